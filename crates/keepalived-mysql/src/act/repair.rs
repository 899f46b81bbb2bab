//! Repairs: what the check starts, beside its verdict, when role and server have drifted apart.
//!
//! keepalived's hooks may be lost, killed or started in the wrong order, and servers restart
//! closed. The check runs each second anyway, so it is the clock of the convergence. A repair acts
//! under the intent that it read and never outranks it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::act::close;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::promote::{self, observe, policy};
use crate::act::receipt::Receipt;
use crate::act::rejoin;
use crate::act::servers::{self, SHORT};
use crate::act::settings;
use crate::act::steps::{complete_record, set_durability};
use crate::config::Rejoin;
use crate::deadline::Deadline;
use crate::decide::drift::{Drift, DriftInput, drift};
use crate::decide::plan::Step;
use crate::decide::promote::{Input, data_refusal};
use crate::decide::settings::Settings;
use crate::epoch::Epoch;
use crate::keepalived::drained;
use crate::ledger::tables;
use crate::lock::{LockGuard, TransitionLock};
use crate::node::Contact;
use crate::role::{Intent, Role};
use crate::switches::{Safety, off};
use crate::sys::{Birth, utc_now};
use crate::view::NodeView;

/// Looks at all nodes, and puts right what has drifted. `check` is the birth of the check that
/// keepalived forked, if it was keepalived.
pub fn repair(here: &mut Here, check: Option<&Birth>) -> Result<Drift, Failure> {
    here.note_looking();
    let (me, contact, peers) = observe(here);
    drop(contact);
    here.remember_epochs([&me].into_iter().chain(&peers));
    here.note_peers(&peers);
    if peers.iter().all(NodeView::answers) {
        here.forget_waiting();
    }
    here.update_fenced_mark(&me);
    here.lift_fenced_mark(&peers);
    settings::look_at_source(here, &me, &peers);
    settings::report_semi_sync(here, &me);
    look_again_at_refusal(here, &me, &peers);
    let found = what_drifted(here, &me, &peers);
    let found = match found {
        Drift::AdoptRole { role } => {
            adopt(here, role, check);
            what_drifted(here, &me, &peers)
        }
        other => {
            here.forget_contradiction();
            other
        }
    };
    act(here, &found, &me, &peers)?;
    Ok(found)
}

/// What has drifted, without putting it right.
pub fn look(here: &Here) -> Drift {
    let (me, _, peers) = observe(here);
    what_drifted(here, &me, &peers)
}

/// What has drifted between this node and its peers, as they were just seen.
pub fn what_drifted(here: &Here, me: &NodeView, peers: &[NodeView]) -> Drift {
    let site = here.site();
    let memory = here.memory();
    drift(&DriftInput {
        me,
        peers,
        site: &site,
        memory: &memory,
        reset_replica: here.config.promote.reset_replica,
        durability: here.config.promote.durability && !here.known_not_durable(),
        drained: here.state.as_ref().is_some_and(drained),
        rejoin: here.config.demote.rejoin == Rejoin::Auto,
        settings: &settings::wanted_by_repair(here, me),
    })
}

/// A refused promotion makes the node unhealthy; once its reason is gone, the node may have the VIP.
fn look_again_at_refusal(here: &Here, me: &NodeView, peers: &[NodeView]) {
    let Some(refused) = here.refused() else {
        return;
    };
    // What an attempt ran into only another attempt finds out, so that one waits; a look costs nothing.
    if refused.refusal.rule.found_by_trying() && !refused.due() {
        return;
    }
    let site = here.site();
    let memory = here.memory();
    let policy = policy(&here.config, &BTreeSet::new(), Settings::default());
    let input = Input {
        me,
        peers,
        site: &site,
        memory: &memory,
        policy: &policy,
    };
    let still = here.require_folders().err();
    match still.or_else(|| data_refusal(&input)) {
        Some(refusal) => here.update_refused(&refusal),
        None => {
            log::info!("the reason is gone: {}", refused.refusal);
            here.reason_is_gone();
        }
    }
}

/// Two checks in a row saw that VIP and keepalived speak for another role than the recorded one. The
/// check was forked by keepalived as the hooks are, so its birth stands in the same order.
fn adopt(here: &mut Here, role: Role, check: Option<&Birth>) {
    let Some(birth) = check else {
        return;
    };
    if !here.contradicted_twice(role, birth) {
        return;
    }
    log::warn!("two checks saw what no hook told: recording {role}");
    let intent = Intent {
        role,
        birth: birth.clone(),
        by: here.program.to_owned(),
        at: utc_now(),
        instance: None,
    };
    if let Err(error) = here.take_up(intent) {
        log::error!("the role {role} cannot be recorded: {error}");
    }
}

/// A repair does not queue: if another program works on the node, the next check looks again.
fn lock(here: &Here) -> Option<LockGuard> {
    let run = here.run.as_ref()?;
    TransitionLock::new(run, here.program)
        .acquire(Instant::now() + Duration::from_millis(1), &|| true)
        .ok()
}

fn act(here: &Here, drift: &Drift, me: &NodeView, peers: &[NodeView]) -> Result<(), Failure> {
    match drift {
        Drift::None | Drift::AdoptRole { .. } => Ok(()),
        Drift::Close { why } => {
            log::warn!("drifted: {why}");
            close::close_local(here, why, here.config.close.timeout).map(drop)
        }
        Drift::Yield { to } => promote::yield_to(here, to),
        Drift::Promote => locked(here, promote_again),
        Drift::Rejoin => locked(here, rejoin_again),
        Drift::CloseTighter => locked(here, close_tighter),
        Drift::WithdrawClaim { epoch } => locked(here, |here| withdraw(here, epoch)),
        Drift::FencePeers { .. } if off(Safety::Fence) => Ok(()),
        Drift::FencePeers { nodes } => locked(here, |here| fence(here, nodes, me)),
        Drift::FinishOpening => locked(here, |here| finish_opening(here, me, peers)),
        Drift::Settings { plan } => locked(here, |here| settings::set(here, plan)),
    }
}

fn locked(here: &Here, work: impl FnOnce(&Here) -> Result<(), Failure>) -> Result<(), Failure> {
    let Some(_guard) = lock(here) else {
        log::debug!("another program works on this node");
        return Ok(());
    };
    if !here.still_wanted() {
        return Ok(());
    }
    work(here)
}

fn promote_again(here: &Here) -> Result<(), Failure> {
    if let Err(refusal) = here.require_folders() {
        here.note_refused(&refusal);
        return Err(Failure::Refused(refusal));
    }
    if here.refused().is_some_and(|refused| !refused.due()) {
        return Ok(());
    }
    promote::promote(here, &BTreeSet::new()).map(drop)
}

fn rejoin_again(here: &Here) -> Result<(), Failure> {
    if !here.rejoin_due() {
        return Ok(());
    }
    let result = rejoin::rejoin(here);
    match &result {
        Ok(rejoin::Rejoined::Held(_)) | Err(_) => here.note_rejoin_failed(),
        Ok(_) => here.forget_rejoin_failed(),
    }
    result.map(drop)
}

fn close_tighter(here: &Here) -> Result<(), Failure> {
    const KIND: &str = "super-read-only";
    if !here.due(KIND) {
        return Ok(());
    }
    log::warn!("drifted: closed, but super_read_only is off; setting it");
    let deadline = Deadline::after(here.config.close.timeout);
    Contact::open(&here.target(&here.node), deadline)
        .and_then(|mut contact| tables::close_tighter(&mut contact, deadline))
        .map(|()| here.forget_failed(KIND))
        .map_err(|error| {
            // Each attempt holds the lock for a second, which a promotion may be waiting for.
            here.note_failed(KIND);
            Failure::server("setting super_read_only", &error)
        })
}

fn withdraw(here: &Here, epoch: &Epoch) -> Result<(), Failure> {
    log::warn!("nobody works on the claim {epoch} any more: withdrawing it");
    let deadline = Deadline::after(SHORT);
    Contact::open(&here.target(&here.node), deadline)
        .and_then(|mut contact| tables::withdraw(&mut contact, epoch, deadline))
        .map_err(|error| Failure::server("withdrawing a claim", &error))
}

/// An open master closes every reachable open peer below it, at any time.
fn fence(here: &Here, nodes: &[String], me: &NodeView) -> Result<(), Failure> {
    let epoch = me.own_epoch();
    let mut receipt = Receipt::begin(
        here,
        "fence",
        format!("close {} below epoch {epoch}", nodes.join(", ")),
    );
    for name in nodes {
        let Some(node) = here.peer(name) else {
            continue;
        };
        log::warn!("{name} is open below our epoch {epoch}");
        let raise = Step::RaiseFence {
            node: name.clone(),
            epoch: epoch.clone(),
        };
        let done = receipt
            .time(&raise, || {
                servers::raise_fence(here, node, &epoch).map(|_| ((), String::new()))
            })
            .and_then(|()| {
                receipt.time(&Step::FencePeer { node: name.clone() }, || {
                    servers::fence_peer(here, node).map(|(_, note)| ((), note))
                })
            });
        if let Err(failure) = done {
            receipt.finish(here, failure.to_string());
            return Err(failure);
        }
    }
    receipt.finish(here, "fenced");
    Ok(())
}

/// The steps after an opening that a crash or an error left undone.
fn finish_opening(here: &Here, me: &NodeView, peers: &[NodeView]) -> Result<(), Failure> {
    let failed = |error| Failure::server("finishing the opening", &error);
    let mut contact =
        Contact::open(&here.target(&here.node), Deadline::after(SHORT)).map_err(failed)?;
    let mut receipt = Receipt::begin(
        here,
        "finish",
        format!("finish the opening of {}", here.node.name),
    );
    if let (true, Some(channel)) = (here.config.promote.reset_replica, me.channel_from(peers)) {
        let step = Step::ClearReplication {
            channel: channel.channel.clone(),
        };
        let sql = format!(
            "{}; {}",
            contact.dialect.stop_replication(&channel.channel),
            contact.dialect.reset_replication(&channel.channel)
        );
        receipt.time(&step, || {
            contact
                .session
                .run(&sql, Deadline::after(here.config.close.timeout))
                .map(|_| ((), String::new()))
                .map_err(failed)
        })?;
    }
    if here.config.promote.durability {
        let set = receipt.time(&Step::Durability, || {
            set_durability(&mut contact).map(|note| ((), note))
        });
        match set {
            Ok(()) => {
                if let Err(failure) = settings::end_relaxed(here, Deadline::after(SHORT)) {
                    log::warn!("the mark of a relaxed standby stays: {failure}");
                }
            }
            // Without the privilege, trying each second would change nothing.
            Err(Failure::Denied { .. }) => here.note_not_durable(),
            Err(_) => {}
        }
    }
    let facts = contact.facts(Deadline::after(SHORT)).map_err(failed)?;
    if let Some(record) = facts.last_opening() {
        let step = Step::RecordOpened {
            epoch: record.epoch.clone(),
        };
        receipt.time(&step, || {
            complete_record(here, &facts).map(|()| ((), String::new()))
        })?;
    }
    receipt.finish(here, "finished");
    Ok(())
}
