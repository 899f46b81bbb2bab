//! keepalived changes its mind in the middle of a promotion.

use anyhow::Result;
use lab::{LabOptions, NodeId, Via, process};

use super::{PATIENCE, has_role, judge, promise, seen_open_since, serving_pair};

const LOOKED: &str = "promote.observed";

/// The VIP moves to node-b and, while node-b's promotion waits at `step`, back again.
pub fn the_vip_moves_back(options: LabOptions, step: &str) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
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
    let moved_back = lab::clock::now_us();
    lab.b().release(step)?;
    lab.b().wait_until("its promotion ends", PATIENCE, |_| {
        Ok(!process::is_alive(pid))
    })?;
    promise(!seen_open_since(&lab, NodeId::B, moved_back), || {
        "node-b opened after the VIP had moved back".to_owned()
    })?;
    lab.a().release(LOOKED)?;
    lab.a().wait_serving(PATIENCE)?;
    lab.b().drain(false)?;
    judge(&lab, writers)
}
