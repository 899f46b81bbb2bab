//! Closing while another program holds the transition lock.

use std::fs::File;
use std::time::Duration;

use anyhow::Result;
use lab::{Lab, LabOptions, Via, wait_until};

use super::{PATIENCE, has_role, judge, promise_within, run_file, serving_pair, start};

/// From the hook's first mark to the closed server.
const AT_ONCE: Duration = Duration::from_millis(500);

const LOOKED: &str = "promote.observed";

/// keepalived takes the role away from an open node whose transition lock is held. The repairs of the checks
/// are off, and node-b's promotion waits: only the hook itself can close.
pub fn the_lock_is_held_when_the_role_goes(options: LabOptions) -> Result<()> {
    let lab = serving_pair(options.toml("check.repair", "false"))?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.b().pause_at(LOOKED)?;
    let held = hold_lock(&lab)?;
    lab.a().drain(true)?;
    wait_until("node-a's hook begins", PATIENCE, || {
        Ok(has_role(lab.a(), "FAULT"))
    })?;
    let closes = "node-a closes at once while another program holds the lock";
    promise_within(AT_ONCE, closes, || lab.a().read_only())?;
    drop(held);
    lab.b().release(LOOKED)?;
    lab.b().wait_serving(PATIENCE)?;
    lab.a().drain(false)?;
    rejoin_by_hand(&lab)?;
    judge(&lab, writers)
}

/// The same with BACKUP: node-b has the higher priority and comes back.
pub fn the_lock_is_held_when_a_higher_priority_returns(options: LabOptions) -> Result<()> {
    let lab = start(LabOptions {
        priorities: [200, 250],
        preempt: true,
        ..options.toml("check.repair", "false")
    })?;
    lab.a().start_keepalived()?;
    lab.a().wait_serving(PATIENCE)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    let held = hold_lock(&lab)?;
    lab.b().pause_at(LOOKED)?;
    lab.b().start_keepalived()?;
    wait_until("node-a's hook begins", PATIENCE, || {
        Ok(has_role(lab.a(), "BACKUP"))
    })?;
    let closes = "node-a closes at once while another program holds the lock";
    promise_within(AT_ONCE, closes, || lab.a().read_only())?;
    drop(held);
    lab.b().release(LOOKED)?;
    lab.b().wait_serving(PATIENCE)?;
    judge(&lab, writers)
}

/// The lock that the programs take: free again when the file is closed.
fn hold_lock(lab: &Lab) -> Result<File> {
    let lock = File::options()
        .write(true)
        .open(run_file(lab.a(), "transition.lock"))?;
    wait_until("the lock is ours", PATIENCE, || Ok(lock.try_lock().is_ok()))?;
    lab.note("node-a: another program holds the transition lock");
    Ok(lock)
}

/// FAULT does not rejoin, and the repairs are off.
fn rejoin_by_hand(lab: &Lab) -> Result<()> {
    lab.a().run_suite("check_mysql", &["--repair"]).map(drop)
}
