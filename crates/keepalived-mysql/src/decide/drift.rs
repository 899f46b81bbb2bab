//! What has drifted apart between role, host and server, and what a repair has to do.

mod settings;

use std::fmt;

use serde::Serialize;

use crate::decide::plan::Plan;
use crate::decide::promote::{Site, highest_opened};
use crate::decide::rejoin;
use crate::decide::settings::Settings;
use crate::decide::{Memory, Relaxed};
use crate::epoch::Epoch;
use crate::ledger::record::RecordState;
use crate::role::Role;
use crate::view::{NodeView, State};

/// What a repair has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Nothing has drifted.
    None,
    /// Open, and must not be.
    Close {
        /// Why.
        why: String,
    },
    /// Open, although a higher epoch was opened elsewhere.
    Yield {
        /// The epoch above ours.
        to: Epoch,
    },
    /// Master with the VIP, closed and idle.
    Promote,
    /// Closed, and does not follow the node that serves.
    Rejoin,
    /// Closed, but accounts with CONNECTION_ADMIN may write: `super_read_only` is off.
    CloseTighter,
    /// A claim of ours that nobody works on any more.
    WithdrawClaim {
        /// Its epoch.
        epoch: Epoch,
    },
    /// Open peers below our epoch.
    FencePeers {
        /// Which.
        nodes: Vec<String>,
    },
    /// Open, with steps left that come after an opening.
    FinishOpening,
    /// Settings that do not fit the role.
    Settings {
        /// What to set.
        plan: Plan,
    },
    /// Host and keepalived contradict the recorded role.
    AdoptRole {
        /// The role that they speak for.
        role: Role,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing has drifted"),
            Self::Close { why } => write!(f, "to be closed: {why}"),
            Self::Yield { to } => write!(f, "to be closed: epoch {to} was opened above ours"),
            Self::Promote => {
                f.write_str("MASTER with the VIP and without an epoch that is open: to be promoted")
            }
            Self::Rejoin => f.write_str("does not follow the node that serves: to rejoin"),
            Self::CloseTighter => f.write_str(
                "closed, but accounts with CONNECTION_ADMIN may write: super_read_only to be set",
            ),
            Self::WithdrawClaim { epoch } => {
                write!(f, "claim {epoch} came to nothing: to be withdrawn")
            }
            Self::FencePeers { nodes } => write!(
                f,
                "open below our epoch, to be closed: {}",
                nodes.join(", ")
            ),
            Self::FinishOpening => f.write_str("open, with steps left that come after an opening"),
            Self::Settings { plan } => {
                f.write_str("settings that do not fit the role:")?;
                plan.steps
                    .iter()
                    .try_for_each(|planned| write!(f, " {} ({})", planned.step.name(), planned.why))
            }
            Self::AdoptRole { role } => {
                write!(
                    f,
                    "VIP and keepalived say {role}, and no hook told so: to be recorded if the next check agrees"
                )
            }
        }
    }
}

/// Everything drift is told from.
#[derive(Debug, Clone)]
pub struct DriftInput<'a> {
    /// This node.
    pub me: &'a NodeView,
    /// The others, just seen.
    pub peers: &'a [NodeView],
    /// Host and keepalived.
    pub site: &'a Site,
    /// What this node remembers.
    pub memory: &'a Memory,
    /// Whether the old source's configuration is to be removed after opening.
    pub reset_replica: bool,
    /// Whether commits are to be durable after opening.
    pub durability: bool,
    /// Whether closed nodes rejoin by themselves.
    pub rejoin: bool,
    /// Whether an operator drained the node.
    pub drained: bool,
    /// What else is set for the role.
    pub settings: &'a Settings,
}

/// What has drifted apart, the most dangerous thing first.
pub fn drift(input: &DriftInput<'_>) -> Drift {
    match input.me.state {
        State::Open => open_drift(input),
        State::Closed => closed_drift(input),
        State::Down | State::Alive | State::Silent => adoption(input).unwrap_or(Drift::None),
    }
}

fn open_drift(input: &DriftInput<'_>) -> Drift {
    let ours = input.me.own_epoch();
    let elsewhere = highest_opened(input.peers);
    if elsewhere > ours {
        return Drift::Yield { to: elsewhere };
    }
    let master = input.site.role == Some(Role::Master);
    if !master && !input.site.vip_here && input.site.vip_known {
        return Drift::Close {
            why: "open without the VIP and without the role".into(),
        };
    }
    if let Some(adopt) = adoption(input) {
        return adopt;
    }
    if !master {
        return Drift::None;
    }
    if !ours.exists() {
        // Somebody opened it by hand; as MASTER it needs an epoch that others can be fenced with.
        return if input.site.vip_here && input.site.keepalived_live {
            Drift::Promote
        } else {
            Drift::None
        };
    }
    let below: Vec<String> = input
        .peers
        .iter()
        .filter(|peer| peer.state == State::Open)
        .map(|peer| peer.name.clone())
        .collect();
    if !below.is_empty() {
        return Drift::FencePeers { nodes: below };
    }
    if unfinished(input) {
        return Drift::FinishOpening;
    }
    settings::while_open(input)
}

fn unfinished(input: &DriftInput<'_>) -> bool {
    let Some(facts) = &input.me.facts else {
        return false;
    };
    let old_source = input.me.channel_from(input.peers).is_some();
    let relaxed = !facts.is_durable();
    let unrecorded = facts
        .last_opening()
        .is_some_and(|record| record.state != RecordState::Opened);
    // The mark goes only when what was committed before is flushed as well.
    let marked = input.memory.relaxed != Relaxed::No;
    (input.reset_replica && old_source) || (input.durability && (relaxed || marked)) || unrecorded
}

fn closed_drift(input: &DriftInput<'_>) -> Drift {
    if let Some(adopt) = adoption(input) {
        return adopt;
    }
    let site = input.site;
    if site.role == Some(Role::Master) {
        return if site.vip_here && site.keepalived_live && !input.drained {
            Drift::Promote
        } else {
            Drift::None
        };
    }
    if let Some(epoch) = burnt_claim(input) {
        return Drift::WithdrawClaim { epoch };
    }
    if let Drift::Settings { plan } = settings::once_closed(input) {
        return Drift::Settings { plan };
    }
    if input.rejoin && needs_rejoin(input) {
        return Drift::Rejoin;
    }
    let facts = input.me.facts.as_ref();
    match settings::while_closed(input) {
        Drift::None if facts.is_some_and(|facts| facts.super_read_only == Some(false)) => {
            Drift::CloseTighter
        }
        found => found,
    }
}

/// A program that was killed after its claim leaves it standing; peers that it fenced would wait for
/// an opening that never comes.
fn burnt_claim(input: &DriftInput<'_>) -> Option<Epoch> {
    let records = &input.me.facts.as_ref()?.promotions;
    let newest = records.iter().max_by(|a, b| a.epoch.cmp(&b.epoch))?;
    (newest.state == RecordState::Claim).then(|| newest.epoch.clone())
}

fn needs_rejoin(input: &DriftInput<'_>) -> bool {
    let Some(me) = &input.me.facts else {
        return false;
    };
    let Some(source) = rejoin::source_for(me, input.peers, input.memory) else {
        return false;
    };
    let Some(theirs) = &source.facts else {
        return false;
    };
    let followed = &input.memory.followed_epoch;
    let follows = input
        .me
        .channel_from(std::slice::from_ref(source))
        .is_some_and(|channel| channel.is_running());
    !follows || me.own_epoch() > *followed || theirs.own_epoch() > *followed
}

/// The role that VIP and keepalived speak for, where it is another than the recorded one. The caller
/// adopts it only when two checks in a row say so: hooks are on their way for a moment after every
/// change.
fn adoption(input: &DriftInput<'_>) -> Option<Drift> {
    let site = input.site;
    if !site.keepalived_live || !site.vip_known {
        return None;
    }
    let master = site.role == Some(Role::Master);
    match (site.vip_here, master) {
        (true, false) => Some(Drift::AdoptRole { role: Role::Master }),
        (false, true) => Some(Drift::AdoptRole { role: Role::Backup }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
