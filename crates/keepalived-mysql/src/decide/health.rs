//! The verdict of `check_mysql`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::decide::rule::Refusal;
use crate::decide::{Memory, RELAXED, Relaxed};
use crate::epoch::Epoch;
use crate::replication::replica::{Receiver, ReplicaStatus};
use crate::role::Role;
use crate::view::{NodeView, State};

/// What the last look at a peer said; written by the repair, read by the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerBrief {
    /// Its name.
    pub name: String,
    /// Whether it accepted writes.
    pub open: bool,
    /// The highest epoch under which it was opened.
    pub epoch: Epoch,
    /// Its own address.
    pub address: IpAddr,
    /// Its server's port.
    pub port: u16,
}

impl PeerBrief {
    /// The brief of a view.
    pub fn of(node: &NodeView) -> Self {
        Self {
            name: node.name.clone(),
            open: node.state == State::Open,
            epoch: node.own_epoch(),
            address: node.address,
            port: node.port,
        }
    }

    fn is_source_of(&self, channel: &ReplicaStatus) -> bool {
        channel.reads_from(&self.name, self.address, self.port)
    }
}

/// Everything the verdict rests on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// This node's server.
    pub me: &'a NodeView,
    /// What this node remembers.
    pub memory: &'a Memory,
    /// The newest recorded role.
    pub role: Option<Role>,
    /// Whether an operator drained the node.
    pub drained: bool,
    /// Why the last promotion was refused, if that still holds.
    pub refused: Option<&'a Refusal>,
    /// Recent looks at the peers; empty if there are none.
    pub peers: &'a [PeerBrief],
}

/// Healthy or not, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether keepalived may leave or bring the VIP here.
    pub healthy: bool,
    /// The reason, as a sentence.
    pub why: String,
}

impl Verdict {
    fn healthy(why: impl Into<String>) -> Self {
        Self {
            healthy: true,
            why: why.into(),
        }
    }

    fn unhealthy(why: impl Into<String>) -> Self {
        Self {
            healthy: false,
            why: why.into(),
        }
    }
}

/// The verdict: unhealthy only with evidence that clients cannot or must not be served here.
pub fn verdict(input: &Input<'_>) -> Verdict {
    match input.me.state {
        State::Down => return Verdict::unhealthy(format!("the server is down: {}", input.me.why)),
        State::Silent => {
            return Verdict::unhealthy(format!("the server does not answer: {}", input.me.why));
        }
        State::Alive | State::Open | State::Closed => {}
    }
    if let Some(why) = own_word(input) {
        return Verdict::unhealthy(why);
    }
    match input.me.state {
        State::Alive => Verdict::healthy(format!(
            "alive, though it answered with an error: {}",
            input.me.why
        )),
        // Its replicas are not let in either, so nobody could take over with everything that it has.
        State::Open if is_offline(input.me) => Verdict::healthy(format!("open, but {OFFLINE}")),
        State::Open => Verdict::healthy("open"),
        _ => Verdict::healthy("closed, and ready to be promoted"),
    }
}

const OFFLINE: &str = "an operator set offline_mode: applications are not let in";

fn is_offline(me: &NodeView) -> bool {
    me.facts.as_ref().is_some_and(|facts| facts.offline)
}

fn own_word(input: &Input<'_>) -> Option<String> {
    if input.drained {
        return Some("drained by an operator".into());
    }
    if input.me.state == State::Closed && is_offline(input.me) {
        return Some(OFFLINE.into());
    }
    if let Some(why) = &input.memory.diverged {
        return Some(format!("diverged: {why}"));
    }
    if input.memory.relaxed == Relaxed::BeforeThisBoot && input.me.state != State::Open {
        return Some(RELAXED.into());
    }
    if let Some(mark) = &input.memory.fenced {
        return Some(format!(
            "fenced by {} under epoch {} while keepalived said MASTER here",
            mark.by.node, mark.by
        ));
    }
    if let Some(refusal) = input
        .refused
        .filter(|refusal| !refusal.rule.worth_waiting() && input.me.state != State::Open)
    {
        return Some(refusal.to_string());
    }
    let ours = input.me.own_epoch();
    let higher = input.peers.iter().find(|peer| peer.epoch > ours);
    match (input.me.state, higher) {
        (State::Open, Some(peer)) => Some(format!(
            "{} was opened under epoch {}, above ours ({ours})",
            peer.name, peer.epoch
        )),
        (State::Closed, _) => not_a_working_replica(input),
        _ => None,
    }
}

/// A closed node beside an open one must be its working replica before it may have the VIP: this is
/// what keeps a preempting pair from moving back too early.
fn not_a_working_replica(input: &Input<'_>) -> Option<String> {
    if input.role == Some(Role::Master) {
        // On its way to open: its receiver is stopped on purpose, and refusals speak for themselves.
        return None;
    }
    let facts = input.me.facts.as_ref()?;
    // A peer that is open below our epoch was superseded: it is the one that has to follow.
    let known = facts.own_epoch().max(input.memory.followed_epoch.clone());
    let open = input
        .peers
        .iter()
        .find(|peer| peer.open && peer.epoch >= known)?;
    let Some(channel) = facts
        .channels
        .iter()
        .find(|channel| open.is_source_of(channel))
    else {
        return Some(format!(
            "{} serves and this node does not follow it",
            open.name
        ));
    };
    if !channel.applier_running || channel.receiver == Receiver::Stopped {
        return Some(format!("replication from {} is stopped", open.name));
    }
    // A receiver that is merely connecting may mean that the source has just died, which is when
    // this node is needed most.
    // Once it has caught up after it was pointed there, mere lag keeps it in the election: it is
    // drained before it opens.
    match input.memory.in_sync {
        Some(_) => None,
        None => Some(format!("not yet in sync with {}", open.name)),
    }
}

#[cfg(test)]
mod tests;
