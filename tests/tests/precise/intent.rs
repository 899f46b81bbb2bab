//! keepalived changes its mind in the middle of a promotion.

use anyhow::Result;
use lab::{Lab, LabOptions, NodeId, Via, process};

use super::{
    PATIENCE, has_role, judge, never_two_open, promise, seen_open_since, serving_pair, settle,
};

const LOOKED: &str = "promote.observed";

/// The VIP moves to node-b and, while node-b's promotion waits at `step`, back again.
pub fn the_vip_moves_back(options: LabOptions, step: &str) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    let pid = there_and_back(&lab, step)?;
    let moved_back = lab::clock::now_us();
    lab.b().release(step)?;
    its_promotion_ends(&lab, pid)?;
    let opened = lab.b().is_open() || seen_open_since(&lab, NodeId::B, moved_back);
    promise(!opened, || {
        "node-b opened after the VIP had moved back".to_owned()
    })?;
    lab.a().release(LOOKED)?;
    lab.a().wait_serving(PATIENCE)?;
    lab.b().drain(false)?;
    judge(&lab, writers)
}

/// The VIP moves back while the opening is about to be sent: the last look before it was in time, and both
/// promotions go on at once. node-b may open for a moment, but never beside node-a. What it acknowledged in that
/// moment only it has, so node-a may have to wait for it.
pub fn the_vip_moves_back_at_the_opening(options: LabOptions, step: &str) -> Result<()> {
    let lab = serving_pair(options)?;
    let before = lab.write(&[Via::Vip(200)])?;
    before.wait_for_acks(50, PATIENCE)?;
    let pid = there_and_back(&lab, step)?;
    drop(before);
    let writers = lab.write(&Via::everywhere())?;
    lab.b().release(step)?;
    lab.a().release(LOOKED)?;
    its_promotion_ends(&lab, pid)?;
    promise(lab.b().read_only()?, || "node-b stays open".to_owned())?;
    never_two_open(&writers.ledger())?;
    lab.b().drain(false)?;
    writers.wait_for_acks(50, PATIENCE)?;
    settle(&lab);
    never_two_open(&writers.ledger())?;
    judge(&lab, writers)
}

/// Returns the pid of node-b's promotion, which waits at `step`, while node-a's has just looked around.
fn there_and_back(lab: &Lab, step: &str) -> Result<i32> {
    lab.b().pause_at(step)?;
    lab.a().drain(true)?;
    let pid = lab.b().wait_reached(step, PATIENCE)?;
    lab.a().wait_until("closed", PATIENCE, |a| a.read_only())?;
    lab.a().pause_at(LOOKED)?;
    lab.b().drain(true)?;
    lab.a().drain(false)?;
    lab.a().wait_reached(LOOKED, PATIENCE)?;
    lab.b().wait_until("lost its role", PATIENCE, |b| {
        Ok(!b.has_vip() && has_role(b, "FAULT"))
    })?;
    Ok(pid)
}

fn its_promotion_ends(lab: &Lab, pid: i32) -> Result<()> {
    let ended = |_: &lab::Node| Ok(!process::is_alive(pid));
    lab.b()
        .wait_until("its promotion ends", PATIENCE, ended)
        .map(drop)
}
