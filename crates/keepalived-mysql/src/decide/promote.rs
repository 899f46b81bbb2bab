//! Whether and how this node becomes the one that accepts writes.

mod allow;
mod channel;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use allow::{data_allow, local_facts, site_allows};

use crate::config::UnreachablePeer;
use crate::decide::Memory;
use crate::decide::plan::Plan;
use crate::decide::rule::{Refusal, Rule};
use crate::decide::settings::Settings;
use crate::epoch::Epoch;
use crate::role::Role;
use crate::view::{NodeView, State};

/// What keepalived and the host say about this node right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The newest recorded role; none if keepalived never spoke.
    pub role: Option<Role>,
    /// Whether every VIP is on this host.
    pub vip_here: bool,
    /// Whether that could be told; a check that failed says nothing.
    pub vip_known: bool,
    /// Whether a live keepalived holds it.
    pub keepalived_live: bool,
}

/// The policy's part in the decision.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What silence of a peer means.
    pub unreachable_peer: UnreachablePeer,
    /// Whether a fence command is configured.
    pub fence_command: bool,
    /// How old the last sight of "in sync" may be.
    pub max_staleness: Duration,
    /// How long a node of unknown age waits for its peer.
    pub boot_wait: Duration,
    /// Whether the old source's configuration is removed after opening.
    pub reset_replica: bool,
    /// Whether commits are made durable after opening.
    pub durability: bool,
    /// What else is set for the role.
    pub settings: Settings,
    /// Rules that an operator set aside.
    pub overrides: BTreeSet<Rule>,
}

/// Everything the decision rests on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// This node.
    pub me: &'a NodeView,
    /// The others.
    pub peers: &'a [NodeView],
    /// Host and keepalived.
    pub site: &'a Site,
    /// What this node remembers.
    pub memory: &'a Memory,
    /// The policy.
    pub policy: &'a Policy,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Open already, under the highest epoch there is.
    Done,
    /// Open, but a higher epoch serves elsewhere: close and give the VIP up.
    Yield {
        /// The epoch above ours.
        to: Epoch,
    },
    /// Nothing may change.
    Refuse(Refusal),
    /// Go ahead.
    Go(Plan),
}

/// Decides a promotion.
pub fn promote(input: &Input<'_>) -> Decision {
    let facts = match local_facts(input) {
        Ok(facts) => facts,
        Err(refusal) => return Decision::Refuse(refusal),
    };
    if input.me.state == State::Open {
        // A fence row alone is no reason to close: its claim may never reach an opening, and a
        // burnt claim must not close a healthy master. The fencer itself closes us if it goes on.
        let (elsewhere, ours) = (highest_opened(input.peers), facts.own_epoch());
        if elsewhere > ours {
            return Decision::Yield { to: elsewhere };
        }
        if ours.exists() {
            return Decision::Done;
        }
        // Opened by hand before the suite was here: it stays open and gets its first epoch.
    }
    if let Err(refusal) = site_allows(input).and_then(|()| data_allow(input)) {
        return Decision::Refuse(refusal);
    }
    Decision::Go(plan::plan(input, facts))
}

/// Only the part of the decision that does not depend on keepalived: would the data allow it?
pub fn data_refusal(input: &Input<'_>) -> Option<Refusal> {
    local_facts(input).and_then(|_| data_allow(input)).err()
}

/// The highest epoch under which one of `nodes` was or may have been open.
pub fn highest_opened(nodes: &[NodeView]) -> Epoch {
    nodes
        .iter()
        .map(NodeView::own_epoch)
        .max()
        .unwrap_or_default()
}
