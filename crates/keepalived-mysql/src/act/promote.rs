//! Opening this node: observes, decides, runs the plan, puts things back if it fails.

use std::collections::BTreeSet;

use crate::act::close;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::receipt::Receipt;
use crate::act::servers::SHORT;
use crate::act::settings;
use crate::act::steps::Run;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::decide::plan::Plan;
use crate::decide::promote::{self, Decision, Input, Policy};
use crate::decide::rule::{Refusal, Rule};
use crate::decide::settings::Settings;
use crate::epoch::Epoch;
use crate::node::{Contact, observe_local, observe_peers};
use crate::switches::reached;
use crate::view::NodeView;

/// How often a promotion looks again because something changed while it acted.
const ATTEMPTS: u32 = 4;

/// What came of a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promoted {
    /// Open before, under the highest epoch.
    Already,
    /// Open now.
    Opened,
    /// A higher epoch serves elsewhere; this node closed.
    Yielded,
}

/// The policy of the configuration, with an operator's overrides.
pub fn policy(config: &Config, overrides: &BTreeSet<Rule>, settings: Settings) -> Policy {
    Policy {
        unreachable_peer: config.promote.unreachable_peer,
        fence_command: !config.promote.fence_command.is_empty(),
        max_staleness: config.promote.max_staleness,
        boot_wait: config.promote.boot_wait,
        reset_replica: config.promote.reset_replica,
        durability: config.promote.durability,
        settings,
        overrides: overrides.clone(),
    }
}

/// Looks at this node and its peers at the same time.
pub fn observe(here: &Here) -> (NodeView, Option<Contact>, Vec<NodeView>) {
    let patience = here.config.promote.peer_timeout;
    std::thread::scope(|scope| {
        let others = scope.spawn(|| observe_peers(&here.config, &here.node, patience));
        let (me, contact) = observe_local(&here.config, &here.node, Deadline::after(SHORT));
        let peers = others.join().unwrap_or_default();
        (me, contact, peers)
    })
}

/// What a promotion would do now, without doing it.
pub fn decide_only(here: &Here, overrides: &BTreeSet<Rule>) -> (Decision, NodeView, Vec<NodeView>) {
    let (me, _, peers) = observe(here);
    (decision(here, &me, &peers, overrides), me, peers)
}

fn decision(
    here: &Here,
    me: &NodeView,
    peers: &[NodeView],
    overrides: &BTreeSet<Rule>,
) -> Decision {
    let memory = here.memory();
    let site = here.site();
    let policy = policy(&here.config, overrides, settings::wanted(here, me));
    promote::promote(&Input {
        me,
        peers,
        site: &site,
        memory: &memory,
        policy: &policy,
    })
}

/// Promotes this node. The caller holds the transition lock.
pub fn promote(here: &Here, overrides: &BTreeSet<Rule>) -> Result<Promoted, Failure> {
    let mut changed = String::new();
    for _ in 0..ATTEMPTS {
        match attempt(here, overrides) {
            Err(Failure::Changed(why)) => {
                log::warn!("looking again: {why}");
                changed = why;
            }
            result => return settle(here, result),
        }
        if !here.still_wanted() {
            return Err(Failure::Superseded);
        }
    }
    settle(
        here,
        Err(Failure::Failed(format!(
            "the nodes kept changing: {changed}"
        ))),
    )
}

fn settle(here: &Here, result: Result<Promoted, Failure>) -> Result<Promoted, Failure> {
    match &result {
        Ok(Promoted::Already | Promoted::Opened) => here.forget_refused(),
        Err(Failure::Refused(refusal)) => here.note_refused(refusal),
        Err(Failure::Failed(why) | Failure::Incomplete(why)) => here.note_refused(&Refusal::new(
            Rule::Attempt,
            why.clone(),
            "the other node may have the VIP; this one is tried again ever more rarely",
        )),
        Err(Failure::Denied { doing, denied }) => here.note_refused(&Refusal::new(
            Rule::Attempt,
            format!("{doing}: {}; {}", denied.what(), denied.detail()),
            denied.hint(),
        )),
        _ => {}
    }
    result
}

fn attempt(here: &Here, overrides: &BTreeSet<Rule>) -> Result<Promoted, Failure> {
    let (me, contact, peers) = observe(here);
    reached("promote.observed");
    here.remember_epochs([&me].into_iter().chain(&peers));
    if peers.iter().all(NodeView::answers) {
        here.forget_waiting();
    }
    if let Some(facts) = &me.facts {
        here.note_baseline(&facts.fence.epoch);
        here.update_fenced_mark(&me);
    }
    match decision(here, &me, &peers, overrides) {
        Decision::Done => {
            here.note_opened();
            Ok(Promoted::Already)
        }
        Decision::Yield { to } => yield_to(here, &to).map(|()| Promoted::Yielded),
        Decision::Refuse(refusal) => Err(Failure::Refused(refusal)),
        Decision::Go(plan) => {
            let contact =
                contact.ok_or_else(|| Failure::Changed("the local server went away".into()))?;
            execute(here, &plan, contact, me, peers)
        }
    }
}

/// Closes this node and gives the VIP up: the highest opened epoch wins.
pub fn yield_to(here: &Here, to: &Epoch) -> Result<(), Failure> {
    log::error!("epoch {to} was opened above ours: closing and giving the VIP up");
    let why = "a higher epoch serves elsewhere";
    close::close_local(here, why, here.config.close.timeout)?;
    here.note_superseded(to);
    Ok(())
}

fn execute(
    here: &Here,
    plan: &Plan,
    contact: Contact,
    me: NodeView,
    peers: Vec<NodeView>,
) -> Result<Promoted, Failure> {
    for warning in &plan.warnings {
        log::warn!("{warning}");
    }
    let mut receipt = Receipt::begin(here, "promote", plan.goal.clone());
    receipt.warnings.clone_from(&plan.warnings);
    let mut run = Run::new(here, contact, me, peers, plan);
    let result = run.all(plan, &mut receipt);
    match result {
        Ok(()) => {
            receipt.finish(here, "open");
            Ok(Promoted::Opened)
        }
        Err(failure) => {
            let failure = run.undo(failure, &mut receipt);
            receipt.finish(here, failure.to_string());
            Err(failure)
        }
    }
}
