//! Old data that boot first.

use std::time::Duration;

use anyhow::Result;
use lab::{LabOptions, NodeId, Via, wait_until};

use super::{PATIENCE, judge_ledger, promise, seen_open_since, serving_pair, settle};

/// How long old data wait; the newest are back long before.
const BOOT_WAIT: &str = "\"25s\"";

/// How long the node with old data is alone.
const ALONE: Duration = Duration::from_secs(5);

/// The standby loses power, the open node writes on and loses power too; the standby boots alone.
pub fn old_data_boot_first(options: LabOptions) -> Result<()> {
    let lab = serving_pair(options.toml("promote.boot_wait", BOOT_WAIT))?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.b().power_off()?;
    writers.wait_for_acks(100, PATIENCE)?;
    lab.a().power_off()?;
    lab.b().power_on()?;
    lab.b().start_server()?;
    let alone = lab::clock::now_us();
    lab.b().start_keepalived()?;
    lab.b()
        .wait_until("has the VIP", PATIENCE, |b| Ok(b.has_vip()))?;
    let opened = wait_until("node-b opens with old data", ALONE, || {
        Ok(seen_open_since(&lab, NodeId::B, alone))
    });
    promise(opened.is_err(), || {
        "node-b opened with old data before the newest could come back".to_owned()
    })?;
    lab.a().power_on()?;
    lab.a().start_server()?;
    lab.a().start_keepalived()?;
    settle(&lab);
    writers.wait_for_acks(50, PATIENCE)?;
    let ledger = writers.stop();
    settle(&lab);
    judge_ledger(&lab, &ledger)
}
