//! Whether and how a closed node follows the node that serves.
//!
//! A naive rejoin shows Yes/Yes and diverges in silence in three of the four ways of replicating,
//! so an old master is vetted first: does it hold anything that the new one never received?

mod held;
mod vet;

use crate::config::Positioning as Wish;
use crate::decide::plan::{Plan, Step};
use crate::decide::settings::Settings;
use crate::decide::{Memory, RELAXED, Relaxed, channels};
use crate::epoch::Epoch;
use crate::ledger::record::{Method, PromotionRecord};
use crate::replication::evidence::{BinlogEventSummary, Relation};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::{Receiver, ReplicaStatus};
use crate::switches::{Safety, off};
use crate::view::{Facts, NodeView, State, method_of};
use held::hold;
use vet::vet;

/// Everything the decision rests on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// This node; closed.
    pub me: &'a NodeView,
    /// The others.
    pub peers: &'a [NodeView],
    /// What this node remembers.
    pub memory: &'a Memory,
    /// The configured way of replicating.
    pub wish: Wish,
    /// The current boot.
    pub boot_id: &'a str,
    /// The events of the own binary log from [`question`]'s position on; none if it was not asked.
    pub events: Option<&'a [BinlogEventSummary]>,
    /// What else is set for the role.
    pub settings: &'a Settings,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// No peer is open: nothing is repointed and nothing is reset.
    NoSource,
    /// It follows the right source already.
    Following {
        /// The epoch under which the source serves.
        epoch: Epoch,
    },
    /// Go ahead.
    Go {
        /// The steps.
        plan: Plan,
        /// How this node's history stands to the source's.
        relation: Relation,
    },
    /// Stay closed and follow nobody.
    Hold {
        /// What the vetting found.
        relation: Relation,
        /// The source that would have been followed.
        source: String,
        /// What this node alone committed, to be salvaged before anything else; none if nothing is
        /// known of it.
        plan: Option<Plan>,
    },
}

/// The open peer with the highest epoch, unless this node knows a higher one: a peer that is still
/// open below it was superseded, and its history is not the one to be vetted against.
pub fn source_for<'a>(me: &Facts, peers: &'a [NodeView], memory: &Memory) -> Option<&'a NodeView> {
    let known = base(me, memory);
    peers
        .iter()
        .filter(|peer| peer.state == State::Open && peer.own_epoch() >= known)
        .max_by_key(|peer| peer.own_epoch())
}

/// The position in this node's own binary log after which nothing of its own may stand; none if the
/// vetting needs no look into the log.
pub fn question(
    me: &NodeView,
    peers: &[NodeView],
    memory: &Memory,
    wish: Wish,
) -> Option<BinlogPosition> {
    let own = me.facts.as_ref()?;
    let theirs = source_for(own, peers, memory)?.facts.as_ref()?;
    let record = first_record_after(theirs, &base(own, memory))?;
    let channel = me.channel_from(peers);
    if method(wish, Some(record), own, channel) == Method::Gtid {
        return None;
    }
    let followed = record.details.as_ref()?.followed.as_ref()?;
    (followed.node.as_deref() == Some(me.name.as_str()))
        .then(|| followed.applied.position.clone())
        .flatten()
}

/// Decides a rejoin.
pub fn rejoin(input: &Input<'_>) -> Decision {
    let Some(me) = &input.me.facts else {
        return Decision::NoSource;
    };
    let source = source_for(me, input.peers, input.memory);
    let Some((source, theirs)) = source.and_then(|node| Some((node, node.facts.as_ref()?))) else {
        return Decision::NoSource;
    };
    let channel = input.me.channel_from(std::slice::from_ref(source));
    let base = base(me, input.memory);
    let was_master_since = me.own_epoch() > input.memory.followed_epoch;
    if let Some(channel) = channel
        && !was_master_since
    {
        return same_source(input, source, channel, theirs);
    }
    let record = first_record_after(theirs, &base);
    let ours = input.me.channel_from(input.peers);
    let method = method(input.wish, record, me, ours);
    if let Some(channel) = channel.filter(|channel| is_past(channel, record, method)) {
        // Pointed there before, though nobody remembers it: from the record on it would apply twice.
        return same_source(input, source, channel, theirs);
    }
    let relation = vet(input, me, theirs, record, method);
    let name = match ours {
        Some(channel) => Ok(channel.channel.clone()),
        None => channels::free_name(me, input.peers).map_err(|why| Relation::Unknown { why }),
    };
    let place = start(&relation, record, method, me, theirs);
    match place.and_then(|start| Ok((start, name?))) {
        Ok((start, name)) => Decision::Go {
            plan: repoint(input, source, &name, method, start, theirs.own_epoch()),
            relation,
        },
        Err(relation) => hold(input, me, source, theirs, relation, method),
    }
}

/// Whether a channel by file and offset reads beyond where the source's own history begins.
fn is_past(channel: &ReplicaStatus, record: Option<&PromotionRecord>, method: Method) -> bool {
    let begins = record
        .and_then(|record| record.details.as_ref())
        .and_then(|details| details.begins.position.as_ref());
    match (begins, &channel.applied) {
        (Some(begins), Some(applied)) => {
            method == Method::Position && applied.same_base(begins) && applied > begins
        }
        _ => false,
    }
}

/// The newest epoch whose history this node is known to have.
fn base(me: &Facts, memory: &Memory) -> Epoch {
    me.own_epoch().max(memory.followed_epoch.clone())
}

/// The first opening after `base`: where the histories parted, if they did.
fn first_record_after<'a>(source: &'a Facts, base: &Epoch) -> Option<&'a PromotionRecord> {
    source
        .promotions
        .iter()
        .filter(|record| record.state.counts() && record.epoch > *base)
        .min_by(|a, b| a.epoch.cmp(&b.epoch))
}

/// How to follow the source: as wished, else as its record says, else as `ours`, the channel from a
/// node of the group, does now.
fn method(
    wish: Wish,
    record: Option<&PromotionRecord>,
    me: &Facts,
    ours: Option<&ReplicaStatus>,
) -> Method {
    match wish {
        Wish::Gtid => Method::Gtid,
        Wish::Position => Method::Position,
        Wish::Auto => {
            let recorded = record.and_then(|r| r.details.as_ref()).map(|d| d.method);
            let running = ours.map(method_of);
            let possible = if me.gtid_possible() {
                Method::Gtid
            } else {
                Method::Position
            };
            recorded.or(running).unwrap_or(possible)
        }
    }
}

/// The channel reads from the right node already. A CHANGE would purge MariaDB's relay logs, so it
/// is left alone, or merely started.
fn same_source(
    input: &Input<'_>,
    source: &NodeView,
    channel: &ReplicaStatus,
    theirs: &Facts,
) -> Decision {
    let epoch = theirs.own_epoch();
    if channel.is_running() {
        return Decision::Following { epoch };
    }
    if let Some(error) = channel.applier_error.as_ref().or(fatal(channel)) {
        let why = format!(
            "replication from {} stopped with error {}: {}",
            source.name, error.code, error.message
        );
        let relation = if names_own_transactions(&error.message) {
            Relation::Diverged {
                lost: format!("what it refuses: {}", error.message),
                lost_count: None,
            }
        } else {
            Relation::Unknown { why }
        };
        return match &input.me.facts {
            Some(me) => hold(input, me, source, theirs, relation, method_of(channel)),
            None => Decision::NoSource,
        };
    }
    if channel.receiver == Receiver::Connecting && channel.applier_running {
        return Decision::Following { epoch };
    }
    if input.memory.relaxed == Relaxed::BeforeThisBoot {
        return Decision::Hold {
            relation: Relation::Unknown {
                why: RELAXED.into(),
            },
            source: source.name.clone(),
            plan: None,
        };
    }
    let mut plan = Plan::to(format!("{} follows {} again", input.me.name, source.name));
    start_replication(
        input,
        source,
        &channel.channel,
        epoch,
        "the source is the right one and only the threads are stopped",
        &mut plan,
    );
    Decision::Go {
        plan,
        relation: Relation::Behind,
    }
}

/// An error after which the receiver does not try again by itself.
///
/// 1236 on MySQL 5.6 and MariaDB, 13114 on MySQL 9.7 (tests/fixtures, pos_io_error_1236_*).
fn fatal(channel: &ReplicaStatus) -> Option<&crate::replication::replica::ReplicationError> {
    channel.receiver_error.as_ref().filter(|error| {
        channel.receiver == Receiver::Stopped && matches!(error.code, 1236 | 13114 | 1593)
    })
}

/// Whether the source's refusal means that this node holds transactions of its own.
///
/// Error 1236 (13114 on MySQL 9.7) also stands for purged binary logs; only the text tells them
/// apart (test fixtures `*_replica_ahead_of_master` and `gtid_*_io_error_1236_purged`).
pub fn names_own_transactions(message: &str) -> bool {
    message.contains("which is not in the master's binlog")
        || message.contains("has more GTIDs than")
}

/// Where to begin reading; the relation itself if nowhere.
fn start(
    relation: &Relation,
    record: Option<&PromotionRecord>,
    method: Method,
    me: &Facts,
    source: &Facts,
) -> Result<Option<BinlogPosition>, Relation> {
    if !matches!(relation, Relation::Identical | Relation::Behind) {
        return Err(relation.clone());
    }
    if method == Method::Gtid {
        return Ok(None);
    }
    let begins = record
        .and_then(|record| record.details.as_ref())
        .and_then(|details| details.begins.position.clone());
    match begins {
        Some(position) => Ok(Some(position)),
        None if off(Safety::Vetting) => Ok(source.binlog_end.clone()),
        None => Err(Relation::Unknown {
            why: format!(
                "the source's record does not say where its own history begins (server_id {})",
                me.server_id
            ),
        }),
    }
}

fn repoint(
    input: &Input<'_>,
    source: &NodeView,
    name: &str,
    method: Method,
    start: Option<BinlogPosition>,
    epoch: Epoch,
) -> Plan {
    let old = input.me.channel_from(input.peers);
    let name = name.to_owned();
    let mut plan = Plan::to(format!("{} follows {}", input.me.name, source.name));
    plan.warnings = channels::left_alone(input.me, input.peers);
    if let Some(old) = old {
        plan.then(
            Step::SaveChannel {
                channel: name.clone(),
            },
            "its filters, delay and account may be wanted again",
        );
        if old.applier_running || old.receiver != Receiver::Stopped {
            plan.then(
                Step::StopReplication {
                    channel: name.clone(),
                },
                "a running channel cannot be changed",
            );
        }
    }
    plan.then(
        Step::Repoint {
            node: source.name.clone(),
            channel: name.clone(),
            method,
            start,
            epoch: epoch.clone(),
        },
        match method {
            Method::Gtid => {
                "vetted; in this form the source itself refuses a node with transactions of its own"
            }
            Method::Position => {
                "vetted: the own history ends exactly where the source's own history begins"
            }
        },
    );
    start_replication(
        input,
        source,
        &name,
        epoch,
        "nothing is left to be lost",
        &mut plan,
    );
    plan
}

/// Starts and verifies, with what must be set before and after.
fn start_replication(
    input: &Input<'_>,
    source: &NodeView,
    channel: &str,
    epoch: Epoch,
    why: &str,
    plan: &mut Plan,
) {
    let me = input.me.facts.as_ref();
    plan.steps.extend(
        me.into_iter()
            .flat_map(|me| input.settings.before_following(me)),
    );
    plan.then(
        Step::StartReplication {
            channel: channel.to_owned(),
        },
        why,
    );
    plan.then(
        Step::VerifyReplication {
            node: source.name.clone(),
            channel: channel.to_owned(),
            epoch,
        },
        "both threads must really run",
    );
    plan.steps.extend(
        me.into_iter()
            .flat_map(|me| input.settings.once_following(me)),
    );
}

#[cfg(test)]
mod tests;
