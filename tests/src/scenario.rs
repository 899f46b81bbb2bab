//! A scenario: a pair at work under load, whatever the test does to it, and the judgement at the end.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::clock::wait_until;
use crate::divergence;
use crate::lab::Lab;
use crate::node::Node;
use crate::options::{LabOptions, NodeId, Positioning};
use crate::verdict::Verdict;
use crate::writer::{Via, Writers};

/// How long anything may take before the scenario has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How the node that does not serve may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing may be lost: it follows the serving node.
    Follows,
    /// It may hold transactions that nobody received; then it is closed, out of election, and says so.
    FollowsOrHeld,
}

/// Whether two nodes may have acknowledged at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwoOpen {
    /// Never.
    Never,
    /// No program of a cut-off node can know that the other one still serves clients.
    Unavoidable,
}

/// A lab with writers everywhere.
#[derive(Debug)]
pub struct Scenario {
    /// The lab.
    pub lab: Lab,
    writers: Option<Writers>,
    two_open: TwoOpen,
    begun: Instant,
    judged: bool,
}

impl Scenario {
    /// Both servers and both keepaliveds run, node-a serves, writers write. None, with the reason printed, where no lab
    /// can be had.
    pub fn start(options: LabOptions) -> Result<Option<Self>> {
        let Some(scenario) = Self::quiet(options)? else {
            return Ok(None);
        };
        scenario.lab.start_keepalived()?;
        let scenario = scenario.with_writers()?;
        scenario.acks(100)?;
        Ok(Some(scenario))
    }

    /// Only the servers run.
    pub fn quiet(options: LabOptions) -> Result<Option<Self>> {
        if let Some(why) = Lab::unavailable(options.server) {
            eprintln!("skipped: {why}");
            return Ok(None);
        }
        let begun = Instant::now();
        Ok(Some(Self {
            lab: Lab::start(options)?,
            writers: None,
            two_open: TwoOpen::Never,
            begun,
            judged: false,
        }))
    }

    /// Starts the writers.
    pub fn with_writers(mut self) -> Result<Self> {
        self.writers = Some(self.lab.write(&Via::everywhere())?);
        Ok(self)
    }

    /// Says that two nodes may accept writes at the same time here.
    #[must_use]
    pub fn two_open(mut self, two_open: TwoOpen) -> Self {
        self.two_open = two_open;
        self
    }

    /// node-a.
    #[must_use]
    pub fn a(&self) -> &Node {
        self.lab.a()
    }

    /// node-b.
    #[must_use]
    pub fn b(&self) -> &Node {
        self.lab.b()
    }

    /// Waits for further acknowledged rows through the VIP.
    pub fn acks(&self, more: usize) -> Result<()> {
        if let Some(writers) = &self.writers {
            writers.wait_for_acks(more, PATIENCE)?;
        }
        Ok(())
    }

    /// Waits until a node has the VIP, is open, and the VIP's clients write.
    pub fn serves(&self, node: NodeId) -> Result<()> {
        self.lab.node(node).wait_serving(PATIENCE)?;
        self.acks(50)
    }

    /// Waits until any one node has the VIP and is open.
    pub fn one_serves(&self) -> Result<NodeId> {
        let serving = || {
            let mut all = self
                .lab
                .nodes()
                .into_iter()
                .filter(|n| n.has_vip() && n.is_open());
            all.next().map(Node::id)
        };
        wait_until("one node serves", PATIENCE, || Ok(serving().is_some()))?;
        match serving() {
            Some(node) => Ok(node),
            None => bail!("it served for a moment only"),
        }
    }

    /// The epochs under which a node was opened, so far.
    pub fn epochs(&self) -> Result<BTreeSet<(u64, String)>> {
        let ask = "SELECT epoch, state FROM keepalived_mysql.promotion WHERE state IN ('opening','opened')";
        let mut all = BTreeSet::new();
        for node in self.lab.nodes() {
            for row in node.query_local(ask)? {
                all.insert((row.at(0).parse()?, node.id().name().to_owned()));
            }
        }
        Ok(all)
    }

    /// Waits until one node is open, with the VIP and under the highest epoch that there ever was, and the other one
    /// follows it or is diverged and held. Returns why it is held.
    pub fn settled(&self) -> Result<Option<String>> {
        let mut held = None;
        let what = "one node serves under the highest epoch, the other follows it or is held";
        wait_until(what, PATIENCE, || {
            let [serving] = self.lab.open_nodes()[..] else {
                return Ok(false);
            };
            let other = self.lab.node(serving.other());
            held = divergence::claimed(other);
            let rests = held.is_some() || other.follows(serving)?;
            let last = self.epochs()?.pop_last();
            let highest = last.is_some_and(|(_, node)| node == serving.name());
            Ok(rests && highest && self.lab.node(serving).has_vip())
        })?;
        Ok(held)
    }

    /// Ends the load, waits for rest, judges and prints.
    pub fn finish(mut self, end: End) -> Result<Verdict> {
        self.settled()?;
        self.acks(50)?;
        let Some(writers) = self.writers.take() else {
            bail!("a scenario without writers shows nothing");
        };
        let ledger = writers.stop();
        if self.settled()?.is_none() {
            self.lab.settle(PATIENCE)?;
        }
        let mut verdict = Verdict::judge(&self.lab, &ledger, divergence::claimed)?;
        self.judge_divergence(end, &mut verdict);
        self.judge_positioning(&mut verdict)?;
        if self.two_open == TwoOpen::Never {
            let overlaps = ledger.overlaps();
            verdict
                .failures
                .extend(overlaps.iter().map(ToString::to_string));
        }
        println!("{verdict}\nthe scenario took {:.1?}", self.begun.elapsed());
        self.judged = verdict.passed();
        verdict.expect_passed()?;
        Ok(verdict)
    }

    fn judge_divergence(&self, end: End, verdict: &mut Verdict) {
        let [serving] = verdict.open[..] else {
            return;
        };
        let other = self.lab.node(serving.other());
        if divergence::claimed(other).is_none() {
            return;
        }
        match divergence::prove(other, self.lab.node(serving)) {
            Ok(proof) => verdict.other = format!("{} is held, diverged: {proof}", other.id()),
            Err(error) => verdict.failures.push(format!("{error:#}")),
        }
        if end == End::Follows {
            let id = other.id();
            verdict
                .failures
                .push(format!("nothing may be lost here, and {id} has diverged"));
        }
    }

    /// Whoever follows does so in the way that was chosen.
    fn judge_positioning(&self, verdict: &mut Verdict) -> Result<()> {
        let [serving] = verdict.open[..] else {
            return Ok(());
        };
        let wanted = self.lab.options().positioning;
        for row in self.lab.node(serving.other()).replica_status()? {
            let by_gtid =
                row.get("Auto_Position") == "1" || !matches!(row.get("Using_Gtid"), "No" | "");
            if by_gtid != (wanted != Positioning::Position) {
                let failure = format!("{wanted:?} is configured, and by GTID is {by_gtid}");
                verdict.failures.push(failure);
            }
        }
        Ok(())
    }

    /// Runs one of the suite's programs by hand: its exit code, and what it said.
    pub fn by_hand(&self, node: NodeId, program: &str, args: &[&str]) -> Result<(i32, String)> {
        self.lab
            .note(&format!("{node}: by hand: {program} {}", args.join(" ")));
        let output = self.lab.node(node).run_suite(program, args)?;
        let code = output.status.code().unwrap_or(-1);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        self.lab
            .note(&format!("{node}: {program} ended with {code}: {said}"));
        Ok((code, said))
    }

    /// Stays true for a while: what must not happen does not happen.
    pub fn remains(
        &self,
        what: &str,
        span: Duration,
        condition: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let begun = Instant::now();
        let broken = wait_until(what, span, || Ok(!condition()?));
        ensure!(
            broken.is_err(),
            "after {:?} it was no longer so: {what}",
            begun.elapsed()
        );
        Ok(())
    }
}

/// A scenario that failed shows what the programs wrote.
impl Drop for Scenario {
    fn drop(&mut self) {
        if self.judged {
            return;
        }
        let zero = self.lab.timeline().first_fault_us();
        let zero = zero.unwrap_or(self.lab.timeline().begun_us());
        println!("What happened until the scenario failed:");
        for line in self
            .lab
            .timeline()
            .lines(zero, zero.saturating_sub(2_000_000))
        {
            println!("  {line}");
        }
        for node in self.lab.nodes() {
            let log = node.paths().log().join("suite.log");
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().filter(|l| !l.contains(" DEBUG ")).collect();
            println!("{}: the end of the suite's log:", node.id());
            for line in lines.iter().rev().take(60).rev() {
                println!("  {line}");
            }
        }
    }
}
