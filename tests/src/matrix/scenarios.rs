//! The cases: each a pair under load, something that happens to it, and the judgement.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::network::{Direction, Host};
use crate::options::{LabOptions, NodeId};
use crate::scenario::{End, PATIENCE, Scenario, TwoOpen};
use crate::verdict::Verdict;

/// What happens to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The serving server is killed, and comes back.
    Failover,
    /// The serving server hangs until the other one serves, and then goes on.
    Hang,
    /// A planned move there and back.
    Switch,
    /// After a planned move the old master's server is stopped, misses writes, and comes back. It is not
    /// killed: a MariaDB that replicates by file and position does not survive that.
    Rejoin,
    /// The serving node is cut off, commits what nobody receives, is killed, and comes back.
    Diverged,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Failover,
        Self::Hang,
        Self::Switch,
        Self::Rejoin,
        Self::Diverged,
    ];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Hang => "hang",
            Self::Switch => "switch",
            Self::Rejoin => "rejoin",
            Self::Diverged => "diverged",
        }
    }

    /// Plays it. None where no lab can be had, with the reason printed.
    pub fn play(self, options: LabOptions) -> Result<Option<Verdict>> {
        let Some(scenario) = Scenario::start(options)? else {
            return Ok(None);
        };
        match self {
            Self::Failover => failover(scenario),
            Self::Hang => hang(scenario),
            Self::Switch => switch(scenario),
            Self::Rejoin => rejoin(scenario),
            Self::Diverged => diverged(scenario),
        }
        .map(Some)
    }
}

fn failover(scenario: Scenario) -> Result<Verdict> {
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld)
}

fn hang(scenario: Scenario) -> Result<Verdict> {
    /// The closers wait for a frozen server; nothing but their own way to it may pass.
    const AFTER_THAW: Duration = Duration::from_millis(300);
    // What waited in the frozen server's sockets is answered before anybody can close it.
    let scenario = scenario.two_open(TwoOpen::Unavoidable);
    scenario.a().freeze_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().thaw_server()?;
    let closed = scenario
        .a()
        .wait_until("closed", PATIENCE, |a| a.read_only())?;
    ensure!(closed < AFTER_THAW, "closed only {closed:?} after the thaw");
    scenario.finish(End::FollowsOrHeld)
}

fn switch(scenario: Scenario) -> Result<Verdict> {
    for from in [NodeId::A, NodeId::B] {
        move_away(&scenario, from)?;
    }
    let verdict = scenario.finish(End::Follows)?;
    ensure!(
        verdict.open == [NodeId::A] && verdict.not_received.is_empty(),
        "{verdict}"
    );
    Ok(verdict)
}

fn rejoin(scenario: Scenario) -> Result<Verdict> {
    move_away(&scenario, NodeId::A)?;
    scenario.a().stop_server()?;
    scenario.acks(100)?;
    scenario.a().start_server()?;
    scenario.a().wait_following(NodeId::B, PATIENCE)?;
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::B], "{verdict}");
    Ok(verdict)
}

fn diverged(scenario: Scenario) -> Result<Verdict> {
    let scenario = scenario.two_open(TwoOpen::Unavoidable);
    scenario.lab.cut(Host::A, Host::B, Direction::Both)?;
    scenario.b().wait_serving(PATIENCE)?;
    scenario.a().kill_server()?;
    scenario.lab.heal()?;
    scenario.a().start_server()?;
    let held = scenario.settled()?;
    ensure!(held.is_some(), "node-a has rows that node-b never received");
    scenario.finish(End::FollowsOrHeld)
}

/// Drains a node, and waits until it follows the other one and may be promoted again.
fn move_away(scenario: &Scenario, from: NodeId) -> Result<()> {
    let (old, new) = (scenario.lab.node(from), scenario.lab.node(from.other()));
    old.drain(true)?;
    scenario.serves(new.id())?;
    old.wait_following(new.id(), PATIENCE)?;
    old.drain(false)?;
    old.wait_until("healthy again", PATIENCE, |old| {
        Ok(old.run_suite("check_mysql", &[])?.status.success())
    })
    .map(drop)
}
