//! A take-over to watch: the MASTER's database is killed under load, the standby takes over, the old
//! MASTER comes back.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::divergence::claimed;
use crate::lab::Lab;
use crate::ledger::{Ledger, ms};
use crate::node::Node;
use crate::options::{Hooks, LabOptions, NodeId};
use crate::programs;
use crate::server::Server;
use crate::timeline::{Event, ServerState, What};
use crate::verdict::Verdict;
use crate::writer::Via;

const PATIENCE: Duration = Duration::from_secs(30);
const WIDTH: usize = 46;

/// Runs the demo and prints what happened. Fails if a write was lost that must not be.
pub fn run(server: Server, hooks: Hooks) -> Result<()> {
    let floor = matches!(hooks, Hooks::Nothing);
    println!("Building the programs (a minute the first time) ...");
    programs::prepare()?;
    println!("Starting two servers ({server}), two keepaliveds, a switch and a client ...");
    let started = Instant::now();
    let lab = Lab::start(LabOptions {
        server,
        hooks,
        ..LabOptions::default()
    })?;
    lab.start_keepalived()?;
    println!(
        "Ready after {:.1} s: node-a is MASTER and open, node-b is its closed replica.",
        started.elapsed().as_secs_f64()
    );
    println!("A client writes rows through the virtual IP and keeps each acknowledgement.\n");
    let writers = lab.write(&[Via::Vip(100), Via::FreshVip(100)])?;
    writers.wait_for_acks(300, PATIENCE)?;
    println!("Now mysqld on node-a gets SIGKILL ...");
    lab.a().kill_server()?;
    lab.b().wait_serving(PATIENCE)?;
    writers.wait_for_acks(200, PATIENCE)?;
    println!("... and is started again.\n");
    lab.a().start_server()?;
    if !floor {
        comes_back(&lab)?;
    }
    writers.wait_for_acks(100, PATIENCE)?;
    let ledger = writers.stop();
    if !floor && claimed(lab.a()).is_none() {
        lab.settle(PATIENCE)?;
    }
    let verdict = Verdict::judge(&lab, &ledger, claimed)?;
    timeline(&lab);
    ending(&lab, &ledger, &verdict);
    if floor {
        return Ok(());
    }
    verdict.expect_passed()
}

/// Waits until the old MASTER follows, or is held because it alone has transactions.
fn comes_back(lab: &Lab) -> Result<()> {
    let back = |node: &Node| Ok(node.follows(NodeId::B)? || claimed(node).is_some());
    lab.a()
        .wait_until("follows node-b or is held", PATIENCE, back)
        .map(drop)
}

fn timeline(lab: &Lab) {
    let Some(zero) = lab.timeline().first_fault_us() else {
        return;
    };
    println!("{:>10}   {:<WIDTH$} node-b", "ms", "node-a");
    println!("{:>10}   {:-<WIDTH$} {:-<WIDTH$}", "", "", "");
    let events = lab.timeline().events();
    for event in events.iter().filter(|event| event.at_us >= zero) {
        if let Some((node, text)) = told(event) {
            let at = format!("{:+.1}", ms(event.at_us - zero));
            match node {
                NodeId::A => println!("{at:>10}   {text}"),
                NodeId::B => println!("{at:>10}   {:<WIDTH$} {text}", ""),
            }
        }
    }
    for node in NodeId::ALL {
        steps(lab.node(node));
    }
}

/// An event in a few words, in the column of its node.
fn told(event: &Event) -> Option<(NodeId, String)> {
    match &event.what {
        What::Fault(text) => {
            let node = NodeId::ALL
                .into_iter()
                .find(|n| text.starts_with(n.name()))?;
            let text = text
                .split_once(": ")
                .map_or(text.as_str(), |(_, rest)| rest);
            Some((node, format!("** {text} **")))
        }
        What::Vip(node, here) => {
            let text = if *here {
                "has the virtual IP"
            } else {
                "gives the virtual IP up"
            };
            Some((*node, text.to_owned()))
        }
        What::Server(node, state) => {
            let text = match state {
                ServerState::Open => "OPEN for writes",
                ServerState::Closed => "up, closed",
                ServerState::Down => "down",
                ServerState::Silent => "silent",
            };
            Some((*node, text.to_owned()))
        }
        What::Replica(node, text) => Some((*node, text.clone())),
        What::Note(_) => None,
    }
}

/// The steps of the node's promotions and rejoins, from its own receipts.
fn steps(node: &Node) {
    let history = std::fs::read_to_string(node.paths().history()).unwrap_or_default();
    let receipts = history
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for receipt in receipts.filter(|receipt| receipt["transition"] != "close") {
        let (goal, took) = (&receipt["goal"], &receipt["took_ms"]);
        let outcome = receipt["outcome"].as_str().unwrap_or_default();
        println!(
            "\n{}: {} ({took} ms): {outcome}",
            node.id(),
            goal.as_str().unwrap_or_default()
        );
        let steps = receipt["steps"].as_array().into_iter().flatten();
        let told: Vec<String> = steps
            .map(|step| {
                format!(
                    "{} {}",
                    step["step"].as_str().unwrap_or("?"),
                    step["took_ms"]
                )
            })
            .collect();
        if !told.is_empty() {
            println!("        steps, ms: {}", told.join(", "));
        }
    }
}

fn ending(lab: &Lab, ledger: &Ledger, verdict: &Verdict) {
    println!();
    if let Some(gap) = verdict.fresh_gap {
        println!(
            "Writes stopped for           {:>8.0} ms (clients that connect anew)",
            gap.ms()
        );
    }
    if let Some(gap) = verdict.gap {
        println!(
            "                             {:>8.0} ms (clients that wait for a dead connection)",
            gap.ms()
        );
    }
    let lost = verdict.received_but_lost.len() + verdict.nowhere.len();
    println!("Writes acknowledged          {:>8}", ledger.acked());
    println!("  of them lost               {lost:>8}");
    println!(
        "  never sent to the standby  {:>8}   (asynchronous replication; kept on node-a)",
        verdict.not_received.len()
    );
    match claimed(lab.a()) {
        None => println!("node-a came back and replicates from node-b."),
        Some(why) => println!(
            "node-a came back with something that nobody ever received, so it stays closed and out\n\
             of the way until a person looks: {why}"
        ),
    }
}
