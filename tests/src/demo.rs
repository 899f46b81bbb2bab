//! A take-over to watch: the server is killed under load, the other node takes over, the old one comes back.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::ledger::Ledger;
use crate::options::{Hooks, LabOptions, NodeId};
use crate::verdict::Verdict;
use crate::writer::Via;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo and prints what happened.
pub fn run(hooks: Hooks) -> Result<()> {
    let nothing = matches!(hooks, Hooks::Nothing);
    println!("Two database servers, two keepaliveds, one switch ...");
    let lab = Lab::start(LabOptions {
        hooks,
        ..LabOptions::default()
    })?;
    lab.start_keepalived()?;
    println!("node-a serves, node-b follows. Clients write through the VIP.\n");
    let ways = Via::everywhere();
    let writers = lab.write(if nothing { &ways[..2] } else { &ways })?;
    writers.wait_for_acks(200, PATIENCE)?;
    lab.a().kill_server()?;
    lab.b().wait_serving(PATIENCE)?;
    writers.wait_for_acks(200, PATIENCE)?;
    lab.a().start_server()?;
    if !nothing {
        lab.settle(PATIENCE)
            .map_or_else(|error| lab.note(&format!("{error:#}")), drop);
    }
    writers.wait_for_acks(100, PATIENCE)?;
    let ledger = writers.stop();
    if !nothing {
        lab.settle(PATIENCE)
            .map_or_else(|error| lab.note(&format!("{error:#}")), drop);
    }
    report(&lab, &ledger)
}

fn report(lab: &Lab, ledger: &Ledger) -> Result<()> {
    let verdict = Verdict::judge(lab, ledger, |_| None)?;
    println!("{verdict}");
    for node in NodeId::ALL {
        let receipts =
            std::fs::read_to_string(lab.node(node).paths().history()).unwrap_or_default();
        for line in receipts.lines() {
            println!("{node} receipt: {line}");
        }
    }
    Ok(())
}
