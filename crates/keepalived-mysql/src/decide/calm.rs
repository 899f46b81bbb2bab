//! Whether a check may leave the repair out until the peers are to be looked at again.
//!
//! The repair looks at every node, which costs more than the check. It is left out only where this
//! node's own server, role, host and memory show that all is as it should be. The rest of what a
//! repair can find takes a look at a peer, which is made each `peer_interval` however calm it is here.

use crate::config::Node;
use crate::decide::Memory;
use crate::decide::drift::{Drift, DriftInput, drift};
use crate::decide::health::PeerBrief;
use crate::decide::promote::Site;
use crate::decide::settings::Settings;
use crate::ledger::record::RecordState;
use crate::role::Role;
use crate::view::{Facts, NodeView, State, Tables};

/// Everything that a check knows without asking a peer.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// This node, just seen.
    pub me: &'a NodeView,
    /// The others, as the configuration has them.
    pub nodes: &'a [&'a Node],
    /// The others, as they were last seen; empty if that was too long ago.
    pub peers: &'a [PeerBrief],
    /// Host and keepalived.
    pub site: &'a Site,
    /// What this node remembers.
    pub memory: &'a Memory,
    /// Whether a reason why a promotion was refused still holds.
    pub refused: bool,
    /// Whether an earlier check saw VIP and keepalived contradict the recorded role.
    pub contradicted: bool,
    /// Whether the old source's configuration is to be removed after opening.
    pub reset_replica: bool,
    /// Whether commits are to be durable after opening.
    pub durability: bool,
}

/// Why the repair shall look now. None if nothing that can be seen from here asks for it.
pub fn unrest(input: &Input<'_>) -> Option<&'static str> {
    let facts = match &input.me.facts {
        Some(facts) if input.me.answers() => facts,
        _ => return Some("the server cannot be looked at"),
    };
    if drifted(input) {
        return Some("something has drifted");
    }
    if !(input.site.keepalived_live && input.site.vip_known) {
        return Some("VIP or keepalived cannot be told");
    }
    unfinished(input)
        .or_else(|| untold(input, facts))
        .or_else(
            || match (input.me.state, input.site.role, input.site.vip_here) {
                (State::Open, Some(Role::Master), true) => master_unrest(input, facts),
                (State::Closed, Some(Role::Backup), false) => standby_unrest(input, facts),
                _ => Some("role, VIP and server do not belong together"),
            },
        )
}

/// What the repair would find with every peer silent.
fn drifted(input: &Input<'_>) -> bool {
    let found = drift(&DriftInput {
        me: input.me,
        peers: &[],
        site: input.site,
        memory: input.memory,
        reset_replica: input.reset_replica,
        durability: input.durability,
        rejoin: true,
        drained: false,
        // Semi-sync, events and a standby's durability can wait for the next look at the peers.
        settings: &Settings::default(),
    });
    found != Drift::None
}

/// What a repair began, or waits to take back.
fn unfinished(input: &Input<'_>) -> Option<&'static str> {
    let memory = input.memory;
    if input.refused || !memory.waited.is_zero() {
        Some("a promotion was refused")
    } else if memory.fenced.is_some() {
        Some("another node fenced this one")
    } else if memory.diverged.is_some() {
        Some("this node has diverged")
    } else if input.contradicted {
        Some("an earlier check saw a contradiction")
    } else {
        None
    }
}

/// What stands in the server and is not yet in the lasting memory.
fn untold(input: &Input<'_>, facts: &Facts) -> Option<&'static str> {
    let memory = input.memory;
    let withdrawn = facts.promotions.iter().any(|record| {
        record.epoch == memory.highest_opened && record.state == RecordState::Withdrawn
    });
    if matches!(facts.tables, Tables::Missing(_)) {
        Some("the suite's tables are missing")
    } else if facts.highest_epoch() > memory.highest_epoch
        || facts.own_epoch() > memory.highest_opened
        || withdrawn
    {
        Some("an epoch is to be remembered")
    } else {
        None
    }
}

fn master_unrest(input: &Input<'_>, facts: &Facts) -> Option<&'static str> {
    let ours = facts.own_epoch();
    if input
        .peers
        .iter()
        .any(|peer| peer.open || peer.epoch > ours)
    {
        return Some("a peer was open or above our epoch");
    }
    let old_source = input.reset_replica && follows_a_node(input, facts, |_| true);
    old_source.then_some("the old source is still configured")
}

fn standby_unrest(input: &Input<'_>, facts: &Facts) -> Option<&'static str> {
    let followed = &input.memory.followed_epoch;
    if facts.own_epoch() > *followed {
        return Some("this node was MASTER and has followed nobody since");
    }
    if input
        .peers
        .iter()
        .any(|peer| peer.open && peer.epoch > *followed)
    {
        return Some("a peer serves under an epoch that this node does not follow");
    }
    let running = follows_a_node(input, facts, |running| running);
    (!running).then_some("replication from no node of the group runs")
}

/// Whether a channel reads from another node of the group, and `wanted` likes whether it runs.
fn follows_a_node(input: &Input<'_>, facts: &Facts, wanted: impl Fn(bool) -> bool) -> bool {
    facts.channels.iter().any(|channel| {
        let mut nodes = input.nodes.iter();
        nodes.any(|node| channel.reads_from(&node.name, node.address, node.port))
            && wanted(channel.is_running())
    })
}

#[cfg(test)]
mod tests;
