//! A take-over to watch: the server is killed under load, the other node takes over, the old one comes back.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::ledger::Ledger;
use crate::node::Node;
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
        settle(&lab);
    }
    writers.wait_for_acks(100, PATIENCE)?;
    let ledger = writers.stop();
    if !nothing && marked(lab.a()).is_none() {
        lab.settle(PATIENCE)
            .map_or_else(|error| lab.note(&format!("{error:#}")), drop);
    }
    let verdict = report(&lab, &ledger)?;
    ensure!(nothing || verdict.passed(), "the demo failed");
    Ok(())
}

/// Waits until the old master follows, or is marked: by chance it committed what node-b never received.
fn settle(lab: &Lab) {
    let what = "node-a follows node-b or is marked";
    let settled = lab.a().wait_until(what, PATIENCE, |node| {
        Ok(marked(node).is_some() || node.follows(NodeId::B)?)
    });
    match (settled, marked(lab.a())) {
        (_, Some(why)) => lab.note(&format!("node-a is marked as diverged: {why}")),
        (Err(error), None) => lab.note(&format!("{error:#}")),
        (Ok(_), None) => {}
    }
}

/// Why the suite keeps the node closed, in its own words.
fn marked(node: &Node) -> Option<String> {
    let text =
        std::fs::read_to_string(node.paths().history().with_file_name("memory.json")).ok()?;
    let memory: serde_json::Value = serde_json::from_str(&text).ok()?;
    memory["data"]["diverged"].as_str().map(str::to_owned)
}

fn report(lab: &Lab, ledger: &Ledger) -> Result<Verdict> {
    let verdict = Verdict::judge(lab, ledger, marked)?;
    println!("{verdict}");
    for node in NodeId::ALL {
        let receipts =
            std::fs::read_to_string(lab.node(node).paths().history()).unwrap_or_default();
        for line in receipts.lines() {
            println!("{node} receipt: {line}");
        }
    }
    Ok(verdict)
}
