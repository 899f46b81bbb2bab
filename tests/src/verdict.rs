//! The judge: what was acknowledged against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::clock::wait_until;
use crate::lab::Lab;
use crate::ledger::{Ack, Gap, Ledger, WriterLog, ms};
use crate::node::Node;
use crate::options::NodeId;
use crate::received::Transactions;

/// How long a replica without writers may need to become level.
const LAG: Duration = Duration::from_secs(10);

/// What became of the acknowledged rows.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Rows acknowledged by any writer.
    pub acked: usize,
    /// Rows sent and never answered.
    pub unknown: usize,
    /// Acknowledged rows on the serving node.
    pub on_serving: usize,
    /// Acknowledged, received by the other node, and not on the serving node. Must be empty.
    pub received_but_lost: Vec<u64>,
    /// Acknowledged, never received, on the old source only: what asynchronous replication may lose.
    pub not_received: Vec<u64>,
    /// Acknowledged and in no table. Must be empty.
    pub nowhere: Vec<u64>,
    /// Not on the serving node, while the other server does not answer.
    pub unjudged: Vec<u64>,
    /// Servers by the epoch in which they acknowledged.
    pub openers: BTreeMap<u64, BTreeSet<u32>>,
    /// The nodes that are open at the end.
    pub open: Vec<NodeId>,
    /// What the other node does.
    pub other: String,
    /// The longest time without acknowledgement after the first fault, as the VIP's clients saw it.
    pub gap: Option<Gap>,
    /// The same for clients that connect anew for every row: when the service was there again.
    pub fresh_gap: Option<Gap>,
    /// What went wrong. Empty means passed.
    pub failures: Vec<String>,
    story: Vec<String>,
    clients: Vec<String>,
}

impl Verdict {
    /// Judges. `diverged` says why a node that does not replicate is rightly marked.
    pub fn judge(
        lab: &Lab,
        ledger: &Ledger,
        diverged: impl Fn(&Node) -> Option<String>,
    ) -> Result<Self> {
        let mut verdict = Self {
            acked: ledger.acked(),
            unknown: ledger.unknown(),
            openers: ledger.openers(),
            open: lab.open_nodes(),
            ..Self::default()
        };
        verdict.rows(lab, ledger)?;
        verdict.epochs();
        verdict.nodes(lab, diverged);
        verdict.story(lab, ledger);
        Ok(verdict)
    }

    /// Nothing went wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// An error with the whole report if something went wrong.
    pub fn expect_passed(&self) -> Result<()> {
        anyhow::ensure!(self.passed(), "{self}");
        Ok(())
    }

    fn rows(&mut self, lab: &Lab, ledger: &Ledger) -> Result<()> {
        let tables = lab.nodes().map(|node| table(node).ok());
        let received = received(lab)?;
        let serving = self.open.first().copied();
        for ack in ledger.acks() {
            let there = |node: NodeId| {
                tables[node.index()]
                    .as_ref()
                    .map(|rows| rows.contains(&ack.id))
            };
            let on = serving.and_then(there);
            let off = serving.map_or(NodeId::ALL.map(there), |node| [there(node.other()); 2]);
            if on == Some(true) {
                self.on_serving += 1;
            } else if was_received(&received, ack) {
                self.received_but_lost.push(ack.id);
            } else if off.contains(&Some(true)) {
                self.not_received.push(ack.id);
            } else if off.contains(&None) {
                self.unjudged.push(ack.id);
            } else {
                self.nowhere.push(ack.id);
            }
        }
        self.accuse("received but lost", &self.received_but_lost.clone());
        self.accuse("acknowledged and nowhere", &self.nowhere.clone());
        Ok(())
    }

    fn accuse(&mut self, what: &str, ids: &[u64]) {
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            self.failures
                .push(format!("{} rows {what}: {first} ... {last}", ids.len()));
        }
    }

    fn epochs(&mut self) {
        for (epoch, servers) in self.openers.iter().filter(|(_, servers)| servers.len() > 1) {
            self.failures.push(format!(
                "two open nodes in epoch {epoch}: servers {servers:?}"
            ));
        }
    }

    fn nodes(&mut self, lab: &Lab, diverged: impl Fn(&Node) -> Option<String>) {
        let [serving] = self.open[..] else {
            self.failures.push(format!(
                "{} nodes are open at the end: {:?}",
                self.open.len(),
                self.open
            ));
            return;
        };
        let other = lab.node(serving.other());
        let follows = other.follows(serving);
        if matches!(follows, Ok(true)) {
            self.alike(lab.node(serving), other);
        }
        self.other = match (&follows, diverged(other)) {
            (Ok(true), _) => format!("{} follows {serving}", other.id()),
            (_, Some(why)) => format!("{} is marked diverged: {why}", other.id()),
            (Ok(false), None) => {
                let text = format!("{} is up and does not follow {serving}", other.id());
                self.failures.push(text.clone());
                text
            }
            (Err(error), None) => {
                let text = format!("{} does not answer: {error:#}", other.id());
                self.failures.push(text.clone());
                text
            }
        };
    }

    /// A replica may run without an error and hold other rows: what it lacks may still come, what it has too
    /// much never goes.
    fn alike(&mut self, serving: &Node, replica: &Node) {
        let mut difference = String::new();
        let alike = wait_until("the replica's rows are the source's", LAG, || {
            let (source, copy) = (table(serving)?, table(replica)?);
            let (extra, missing) = (
                copy.difference(&source).count(),
                source.difference(&copy).count(),
            );
            difference = format!("it has {extra} rows of its own and lacks {missing}");
            Ok(extra + missing == 0)
        });
        if alike.is_err() {
            let (replica, serving) = (replica.id(), serving.id());
            self.failures.push(format!(
                "{replica} follows {serving} and differs from it: {difference}"
            ));
        }
    }

    fn story(&mut self, lab: &Lab, ledger: &Ledger) {
        let fault = lab.timeline().first_fault_us();
        let zero = fault.unwrap_or(lab.timeline().begun_us());
        self.story = lab.timeline().lines(zero, zero.saturating_sub(1_000_000));
        let gap = |writer: &WriterLog| writer.gap_after(fault.unwrap_or(0));
        self.gap = ledger.vip().and_then(gap);
        self.fresh_gap = ledger.fresh().and_then(gap);
        for writer in &ledger.writers {
            let span = writer
                .acks
                .first()
                .zip(writer.acks.last())
                .map_or(0, |(a, z)| z.acked_us - a.acked_us);
            self.clients.push(format!(
                "{:<18} {:>6} acknowledged in {:>7.0} ms, {} without an answer",
                writer.name,
                writer.acks.len(),
                ms(span),
                writer.unknown.len()
            ));
            for (why, count) in &writer.refused {
                self.clients
                    .push(format!("{:<18} {count:>6} refused: {why}", ""));
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "What happened (ms from the first fault):")?;
        self.story
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "What the clients saw:")?;
        self.clients
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))?;
        for (gap, whose) in [(self.gap, "pooled"), (self.fresh_gap, "new")] {
            if let Some(gap) = gap {
                writeln!(
                    f,
                    "  writes through {whose} connections to the VIP stopped for {:.1} ms",
                    gap.ms()
                )?;
            }
        }
        writeln!(f, "What is where:")?;
        writeln!(
            f,
            "  {} rows acknowledged, {} of them on the serving node",
            self.acked, self.on_serving
        )?;
        writeln!(
            f,
            "  {} received but lost, {} nowhere",
            self.received_but_lost.len(),
            self.nowhere.len()
        )?;
        writeln!(
            f,
            "  {} never received, on the old source only",
            self.not_received.len()
        )?;
        if !self.unjudged.is_empty() {
            writeln!(
                f,
                "  {} unjudged: the other server does not answer",
                self.unjudged.len()
            )?;
        }
        writeln!(f, "  {} sent and never answered", self.unknown)?;
        writeln!(f, "  acknowledged by, epoch by epoch: {:?}", self.openers)?;
        writeln!(f, "  open: {:?}; {}", self.open, self.other)?;
        for failure in &self.failures {
            writeln!(f, "FAIL: {failure}")?;
        }
        write!(f, "{}", if self.passed() { "PASSED" } else { "FAILED" })
    }
}

fn table(node: &Node) -> Result<BTreeSet<u64>> {
    let rows = node.query_local("SELECT id FROM lab.ledger")?;
    Ok(rows
        .iter()
        .filter_map(|row| row.at(0).parse().ok())
        .collect())
}

/// For each node: what it was seen to have received.
fn received(lab: &Lab) -> Result<[Transactions; 2]> {
    let paths = [lab.a().paths(), lab.b().paths()];
    let server = lab.options().server;
    Ok([
        lab.a().received().resolve(server, paths)?,
        lab.b().received().resolve(server, paths)?,
    ])
}

fn was_received(received: &[Transactions; 2], ack: &Ack) -> bool {
    let Some((server_id, _, gtid)) = ack.by else {
        return false;
    };
    NodeId::ALL
        .into_iter()
        .filter(|node| node.server_id() != server_id)
        .any(|node| received[node.index()].contain(ack.id, gtid))
}
