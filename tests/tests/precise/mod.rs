//! Faults at a precise moment: each scenario aims at one safety step, and is run with the step and without it.

pub mod boot;
pub mod claim;
pub mod crash;
pub mod drain;
pub mod fence;
pub mod gate;
pub mod intent;
pub mod lock;
pub mod tail;
pub mod vetting;

use std::fmt;
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use lab::{Lab, LabOptions, Ledger, Node, NodeId, ServerState, Verdict, What, Writers, wait_until};

/// How long anything may take that is bound to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A promise that was not kept. Every other error is one of the scenario itself.
#[derive(Debug)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BROKEN PROMISE: {}", self.0)
    }
}

impl std::error::Error for Broken {}

/// False where no lab can be had.
pub fn possible() -> bool {
    let why = Lab::unavailable(lab::Server::chosen());
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

/// An error that names the promise if it is not kept.
pub fn promise(kept: bool, broken: impl FnOnce() -> String) -> Result<()> {
    if kept {
        Ok(())
    } else {
        Err(Broken(broken()).into())
    }
}

/// Waits for something that is promised.
pub fn promise_within(
    limit: Duration,
    what: &str,
    condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    match wait_until(what, limit, condition) {
        Ok(_) => Ok(()),
        Err(error) => Err(Broken(format!("{error:#}")).into()),
    }
}

/// A lab that tells what happened when it ends: shown if the test fails.
pub struct Told(Lab);

impl Deref for Told {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let zero = self.timeline().begun_us();
        println!(
            "What happened (ms from the start), in {}:",
            self.folder().display()
        );
        for line in self.timeline().lines(zero, zero) {
            println!("  {line}");
        }
        for node in self.nodes() {
            let log = node.paths().log().join("suite.log");
            let text = fs::read_to_string(log).unwrap_or_default();
            println!("What the programs of {} said:", node.id());
            for line in text.lines().filter(|line| !line.contains("DEBUG")) {
                println!("  {line}");
            }
        }
    }
}

/// Both servers, without keepalived.
pub fn start(options: LabOptions) -> Result<Told> {
    Lab::start(options).map(Told)
}

/// Both nodes with keepalived; node-a serves, and node-b was seen in sync.
pub fn serving_pair(options: LabOptions) -> Result<Told> {
    let lab = start(options)?;
    lab.start_keepalived()?;
    wait_in_sync(lab.b())?;
    Ok(lab)
}

/// Waits until the node's own programs have noted that it may be promoted over a silent peer.
pub fn wait_in_sync(node: &Node) -> Result<()> {
    let note = run_file(node, "sync.json");
    node.wait_until("was seen in sync", PATIENCE, |_| Ok(note.exists()))
        .map(drop)
}

/// A file of the suite's run folder.
pub fn run_file(node: &Node, name: &str) -> PathBuf {
    node.paths().run().join("suite/VI_1").join(name)
}

/// Whether the newest word of keepalived that the node's programs recorded is this one.
pub fn has_role(node: &Node, role: &str) -> bool {
    let text = fs::read_to_string(run_file(node, "role.json")).unwrap_or_default();
    text.contains(&format!("\"{role}\""))
}

/// Waits until the writers have so many rows of this very server.
pub fn wait_for_rows_of(writers: &Writers, node: NodeId, rows: usize) -> Result<()> {
    let what = format!("{rows} rows acknowledged by {node}");
    wait_until(&what, PATIENCE, || {
        Ok(rows_of(&writers.ledger(), node) >= rows)
    })
    .map(drop)
}

/// How many rows this very server acknowledged.
pub fn rows_of(ledger: &Ledger, node: NodeId) -> usize {
    acks_of(ledger, node).len()
}

/// When this server's rows were sent and acknowledged.
fn acks_of(ledger: &Ledger, node: NodeId) -> Vec<(u64, u64)> {
    let by_node = |by: (u32, u64, Option<lab::Gtid>)| by.0 == node.server_id();
    let acks = ledger.acks().filter(|ack| ack.by.is_some_and(by_node));
    acks.map(|ack| (ack.sent_us, ack.acked_us)).collect()
}

/// No server acknowledged a row that was sent after the other one had begun to acknowledge: for scenarios in
/// which the service moves once at most.
pub fn never_two_open(ledger: &Ledger) -> Result<()> {
    let late = |node: NodeId| {
        let begun = acks_of(ledger, node.other())
            .into_iter()
            .map(|(_, acked)| acked)
            .min();
        let after = |&(sent, _): &(u64, u64)| begun.is_some_and(|begun| sent > begun);
        acks_of(ledger, node)
            .iter()
            .filter(|ack| after(ack))
            .count()
    };
    let [a, b] = NodeId::ALL.map(late);
    promise(a == 0 || b == 0, || {
        format!(
            "two open nodes: node-a acknowledged {a} rows sent after node-b's first, and node-b {b} sent after node-a's first"
        )
    })
}

/// Whether the lab saw this server open at or after a moment.
pub fn seen_open_since(lab: &Lab, node: NodeId, since_us: u64) -> bool {
    let opened = What::Server(node, ServerState::Open);
    lab.timeline()
        .events()
        .iter()
        .any(|event| event.at_us >= since_us && event.what == opened)
}

/// Sets rules of the node's own packet filter.
pub fn nft(node: &Node, rules: &str) -> Result<()> {
    let output = node.run_program("/usr/sbin/nft", &[rules], &[])?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "nft {rules}: {complaint}");
    Ok(())
}

/// Why the node's own programs say that it has diverged.
pub fn marked_diverged(node: &Node) -> Option<String> {
    let text = fs::read_to_string(node.paths().state().join("VI_1/memory.json")).ok()?;
    let memory: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(memory["data"]["diverged"].as_str()?.to_owned())
}

/// Waits until one node serves and the other follows it or is marked, stops the writers and judges.
pub fn judge(lab: &Lab, writers: Writers) -> Result<()> {
    settle(lab);
    let ledger = writers.stop();
    settle(lab);
    judge_ledger(lab, &ledger)
}

/// The verdict of the lab as a promise.
pub fn judge_ledger(lab: &Lab, ledger: &Ledger) -> Result<()> {
    let verdict = Verdict::judge(lab, ledger, marked_diverged)?;
    promise(verdict.passed(), || verdict.to_string())
}

/// What does not come true here is the judge's to say.
pub fn settle(lab: &Lab) {
    let settled = wait_until("the nodes settle", PATIENCE, || {
        let [serving] = lab.open_nodes()[..] else {
            return Ok(false);
        };
        let other = lab.node(serving.other());
        let marked = marked_diverged(other).is_some();
        Ok(lab.node(serving).has_vip() && (marked || other.follows(serving)?))
    });
    if let Err(error) = settled {
        lab.note(&format!("{error:#}"));
    }
}
