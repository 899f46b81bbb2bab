//! Has a replica applied all that it received?

use serde::{Deserialize, Serialize};

use crate::replication::gtid::MariadbPosition;
use crate::replication::replica::{Positioning, Receiver, ReplicaStatus};

/// What every server's applier says when it waits for the receiver. A proof of nothing by itself.
const HAS_READ_ALL: &str = "has read all relay log";

/// The answer to: has this replica applied all that it received?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "drain")]
pub enum Drain {
    /// Proven: nothing received is left, and nothing more can arrive.
    Complete,
    /// Not yet.
    Pending {
        /// Bytes of the source's binary log still to apply, if both positions are in one file.
        remaining: Option<u64>,
        /// What is waited for.
        what: String,
    },
    /// All complete transactions are applied; what is left is the beginning of one whose end never came, because
    /// the source died while it was sending. Waiting for it would never end.
    PartialTail {
        /// Bytes of the source's binary log that were received in vain, if known.
        remaining: Option<u64>,
        /// What the positions are.
        what: String,
    },
    /// Something is left, and the applier will not apply it as things are.
    Impossible {
        /// Why, with the server's own error.
        why: String,
    },
}

impl Drain {
    /// Whether every completely received transaction is applied.
    pub fn nothing_left(&self) -> bool {
        matches!(self, Self::Complete | Self::PartialTail { .. })
    }
}

/// What the caller knows about the end of the relay log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastTransaction {
    /// The source ended in order, or is alive: what it sent, it sent whole.
    Whole,
    /// The connection broke; the last transaction may have arrived in part.
    MayBePartial {
        /// Whether no worker of the applier has work, or there are no workers. Must be looked up wherever workers
        /// are configured: MySQL 9.7's applier says that it has read all while a worker is blocked.
        workers_idle: bool,
    },
}

/// Whether a replica has applied everything that it received.
///
/// `before` is an earlier status of the same channel, taken while nothing else touched it; the two should be half a
/// second or more apart, since MySQL's workers publish positions only so often. It is needed only to recognise a
/// partial tail. `slave_pos` is needed on MariaDB with GTID: `@@gtid_slave_pos`, or `@@gtid_current_pos` for a channel
/// that uses current_pos, read *after* `now`.
///
/// The proof is, by the channel's positioning and always with the receiver stopped:
/// file and offset: both positions equal; MySQL GTID: retrieved is a subset of executed; MariaDB GTID: `Gtid_IO_Pos`
/// is reached by `slave_pos`. A receiver that runs or connects can bring more at any moment, so the answer is `Pending`.
pub fn drained(
    now: &ReplicaStatus,
    before: Option<&ReplicaStatus>,
    slave_pos: Option<&MariadbPosition>,
    last: LastTransaction,
) -> Drain {
    let Some(what) = left_over(now, slave_pos) else {
        return nothing_left(now);
    };
    if let Some(why) = applier_trouble(now) {
        return Drain::Impossible {
            why: format!("{why}; {what}"),
        };
    }
    let remaining = remaining_bytes(now);
    if before.is_some_and(|before| is_partial_tail(now, before, last)) {
        Drain::PartialTail { remaining, what }
    } else {
        Drain::Pending { remaining, what }
    }
}

/// Whether every transaction that came whole is applied, whatever the receiver does.
///
/// By file and offset the beginning of a transaction cannot be told from a whole one, so this is false while a
/// tail is left.
pub fn whole_applied(now: &ReplicaStatus, slave_pos: Option<&MariadbPosition>) -> bool {
    left_over(now, slave_pos).is_none()
}

fn nothing_left(now: &ReplicaStatus) -> Drain {
    let what = match now.receiver {
        Receiver::Stopped => return Drain::Complete,
        Receiver::Running => "the receiver still runs",
        Receiver::Connecting => "the receiver still tries to connect",
    };
    Drain::Pending {
        remaining: Some(0),
        what: what.to_owned(),
    }
}

/// What is received but not proven to be applied, in words.
fn left_over(now: &ReplicaStatus, slave_pos: Option<&MariadbPosition>) -> Option<String> {
    match now.positioning {
        Positioning::FileAndOffset => left_by_position(now),
        Positioning::MysqlAutoPosition => left_by_mysql_gtid(now),
        Positioning::MariadbSlavePos | Positioning::MariadbCurrentPos => {
            left_by_mariadb_gtid(now, slave_pos)
        }
    }
}

fn left_by_position(now: &ReplicaStatus) -> Option<String> {
    // Both unknown: nothing was ever received on this channel.
    if now.received == now.applied {
        return None;
    }
    let show = |position: &Option<_>| {
        position
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    Some(format!(
        "received up to {}, applied up to {}",
        show(&now.received),
        show(&now.applied)
    ))
}

fn left_by_mysql_gtid(now: &ReplicaStatus) -> Option<String> {
    let (Some(retrieved), Some(executed)) = (&now.retrieved_mysql, &now.executed_mysql) else {
        return Some("the status tells no GTID sets".to_owned());
    };
    let left = retrieved.subtract(executed);
    (!left.is_empty()).then(|| format!("received but not applied: {left}"))
}

fn left_by_mariadb_gtid(
    now: &ReplicaStatus,
    slave_pos: Option<&MariadbPosition>,
) -> Option<String> {
    let Some(received) = &now.received_mariadb else {
        return Some("the status tells no GTID position".to_owned());
    };
    if received.is_empty() {
        // A server that restarted forgets Gtid_IO_Pos, but its relay log may still hold something.
        return left_by_position(now);
    }
    let Some(applied) = slave_pos else {
        return Some(format!(
            "received up to {received}, and it is not known what is applied"
        ));
    };
    if applied.contains_exactly(received) {
        return None;
    }
    let left = format!("received up to {received}, applied up to {applied}");
    if !applied.covers(received) {
        return Some(left);
    }
    // Another transaction with a higher number is not proof enough: two writers in a domain without
    // gtid_strict_mode, or own transactions in a current_pos, look like this too.
    left_by_position(now).map(|by_position| format!("{left}; {by_position}"))
}

fn applier_trouble(now: &ReplicaStatus) -> Option<String> {
    match &now.applier_error {
        Some(error) => Some(format!("the applier failed with {error}")),
        None if !now.applier_running => Some("the applier is stopped".to_owned()),
        None => None,
    }
}

fn remaining_bytes(now: &ReplicaStatus) -> Option<u64> {
    let received = now.received.as_ref()?;
    received.bytes_since(now.applied.as_ref()?)
}

/// Whether what is left can only be the beginning of a transaction.
fn is_partial_tail(now: &ReplicaStatus, before: &ReplicaStatus, last: LastTransaction) -> bool {
    let idle = matches!(last, LastTransaction::MayBePartial { workers_idle: true })
        && now.applier_state.contains(HAS_READ_ALL);
    idle && now.receiver == Receiver::Stopped
        && before.applier_running
        && stands_still(now, before)
        && leaves_at_most_one(now)
}

fn stands_still(now: &ReplicaStatus, before: &ReplicaStatus) -> bool {
    now.received == before.received
        && now.applied == before.applied
        && now.received_mariadb == before.received_mariadb
        && now.retrieved_mysql == before.retrieved_mysql
        && now.executed_mysql == before.executed_mysql
}

/// MySQL 5.6 counts a partial transaction as retrieved. Two of them cannot be.
fn leaves_at_most_one(now: &ReplicaStatus) -> bool {
    match (now.positioning, &now.retrieved_mysql, &now.executed_mysql) {
        (Positioning::MysqlAutoPosition, Some(retrieved), Some(executed)) => {
            retrieved.subtract(executed).count() <= 1
        }
        _ => true,
    }
}
