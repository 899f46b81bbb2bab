//! A node that follows nobody: why, and what becomes of what it alone committed.

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::receipt::Receipt;
use crate::act::salvage::{self, Salvaged};
use crate::decide::plan::{Plan, Step};
use crate::node::Contact;
use crate::replication::evidence::Relation;
use crate::switches::reached;
use crate::view::NodeView;

/// Why a node follows nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What the vetting found.
    pub relation: Relation,
    /// The same in words, with what became of the lost transactions.
    pub why: String,
    /// Where those are now.
    pub salvaged: Option<Salvaged>,
}

impl Held {
    /// For whoever called.
    pub fn words(&self) -> String {
        match &self.relation {
            Relation::Diverged { .. } => format!("diverged: {}", self.why),
            relation => relation.to_string(),
        }
    }
}

/// Keeps why this node follows nobody, and salvages what it alone committed.
pub(super) fn hold(
    here: &Here,
    contact: &mut Contact,
    me: &NodeView,
    relation: Relation,
    source: &str,
    plan: Option<&Plan>,
) -> Result<Held, Failure> {
    let mut receipt = Receipt::begin(here, "rejoin", format!("follow {source}"));
    let (why, salvaged) = match &relation {
        Relation::Diverged { lost, .. } => {
            let why = format!("{source} never received {lost}");
            diverged(here, contact, me, why, plan, &mut receipt)?
        }
        Relation::Unrecoverable { why } | Relation::Unknown { why } => (why.clone(), None),
        Relation::Identical | Relation::Behind => (String::new(), None),
    };
    if !here.hold_is_known(&why) {
        log::error!("{} stays closed and follows nobody: {why}", here.node.name);
        receipt.salvage = salvaged.clone();
        receipt.finish(here, format!("held: {why}"));
    }
    Ok(Held {
        relation,
        why,
        salvaged,
    })
}

/// Marks the node, salvages what it alone committed, and completes the mark with where that is now.
fn diverged(
    here: &Here,
    contact: &mut Contact,
    me: &NodeView,
    why: String,
    plan: Option<&Plan>,
    receipt: &mut Receipt,
) -> Result<(String, Option<Salvaged>), Failure> {
    if here.memory().diverged.is_none() {
        // A salvage may take its time, and be killed on the way.
        here.remember_diverged(&why, None);
    }
    let step = plan.and_then(|plan| plan.steps.first());
    let (words, salvaged) = match step.map(|planned| &planned.step) {
        Some(step @ Step::Salvage { lost, node }) => {
            let taken = match salvage::known(here, me, lost) {
                Some(known) => Ok(known),
                None => receipt.time(step, || {
                    reached("salvage.before");
                    let taken = salvage::salvage(here, contact, me, lost, node)?;
                    let note = taken.words();
                    Ok((taken, note))
                }),
            };
            match taken {
                Ok(taken) => (taken.words(), Some(taken)),
                Err(failure @ (Failure::Superseded | Failure::Terminated)) => return Err(failure),
                Err(failure) => (
                    format!("not salvaged yet: {}", failure.message().error),
                    None,
                ),
            }
        }
        _ => (
            "not salvaged: nothing tells which transactions of its binary log they are".into(),
            None,
        ),
    };
    let why = format!("{why}; {words}");
    here.remember_diverged(&why, salvaged.as_ref().map(|taken| taken.folder.as_path()));
    Ok((why, salvaged))
}
