//! A promotion that is killed between two steps.

use anyhow::{Context, Result};
use lab::{LabOptions, NodeId, Via, process};
use nix::sys::signal::Signal;

use super::{PATIENCE, judge, never_two_open, serving_pair, wait_for_rows_of};

/// The steps of a take-over from a dead server, in order.
pub const STEPS: [&str; 14] = [
    "promote.observed",
    "claim.after",
    "raise-fence.after",
    "drain.before",
    "stop-receiver.after",
    "prove-applied.after",
    "stop-replication.after",
    "record-opening.after",
    "open.send",
    "open.sent",
    "open.after",
    "durability.after",
    "record-opened.after",
    "clear-replication.after",
];

/// The open server dies; the promotion of the other node is killed at `step`. The next check finishes the work,
/// and nothing is lost.
pub fn the_promotion_is_killed(options: LabOptions, step: &str) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.b().pause_at(step)?;
    lab.a().kill_server()?;
    let pid = lab.b().wait_reached(step, PATIENCE)?;
    process::signal(pid, Signal::SIGKILL)?;
    lab.note(&format!("node-b: the promotion is killed at {step}"));
    lab.b().release(step)?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    never_two_open(&writers.ledger())?;
    lab.a().start_server()?;
    judge(&lab, writers)
}

/// At each of the steps.
pub fn the_promotion_is_killed_at_each_of(options: &LabOptions, steps: &[&str]) -> Result<()> {
    steps.iter().try_for_each(|step| {
        the_promotion_is_killed(options.clone(), step).with_context(|| format!("killed at {step}"))
    })
}
