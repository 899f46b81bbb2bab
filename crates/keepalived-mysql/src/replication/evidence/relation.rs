//! How the history of one server relates to that of another.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::replication::gtid::{
    MariadbBinlogState, MariadbGtidRange, MariadbPosition, MysqlGtidSet,
};
use crate::replication::position::BinlogPosition;

/// How the history of an old server relates to that of the new source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "relation")]
pub enum Relation {
    /// Both hold the same transactions.
    Identical,
    /// All that the old server holds, the new source holds too.
    Behind,
    /// The old server holds transactions that the new source never received.
    Diverged {
        /// Which, in words.
        lost: String,
        /// How many, if it can be said.
        lost_count: Option<u64>,
    },
    /// Nothing is lost, but the new source no longer has the binary logs that the old server would need.
    Unrecoverable {
        /// What is needed and gone.
        why: String,
    },
    /// The facts prove nothing.
    Unknown {
        /// What is missing.
        why: String,
    },
}

impl Relation {
    /// Whether the old server may follow the new source as it is.
    pub fn may_follow(&self) -> bool {
        matches!(self, Self::Identical | Self::Behind)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical => f.write_str("identical"),
            Self::Behind => f.write_str("behind"),
            Self::Diverged { lost, .. } => write!(f, "diverged, it alone holds {lost}"),
            Self::Unrecoverable { why } => write!(f, "cannot catch up: {why}"),
            Self::Unknown { why } => write!(f, "nothing is proved: {why}"),
        }
    }
}

/// Transactions that one server holds and another lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// Which, in words.
    pub what: String,
    /// How many, if it can be said.
    pub count: Option<u64>,
}

/// One row of `SHOW BINLOG EVENTS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinlogEventSummary {
    /// `Event_type`: `Gtid`, `Query`, `Xid`...
    pub event_type: String,
    /// `Server_id` of the server that first wrote it.
    pub server_id: u32,
    /// `End_log_pos`: offset in bytes behind the event, in its own file.
    pub end_offset: u64,
    /// `Info`: the statement or what else the server tells.
    pub info: String,
}

/// What a MariaDB peer's binary log holds and the local server has neither logged nor applied.
pub fn lacks_mariadb(
    local: &MariadbBinlogState,
    local_slave_pos: &MariadbPosition,
    peer: &MariadbBinlogState,
) -> Option<Lack> {
    let known = logged_or_applied(local, local_slave_pos);
    let missing = peer.missing_in(&known);
    if missing.is_empty() {
        return None;
    }
    let count = count_missing(peer, &known, &missing);
    let ranges: Vec<String> = missing.iter().map(describe).collect();
    Some(Lack {
        what: ranges.join(", "),
        count,
    })
}

/// What a MySQL peer has executed and the local server has not.
pub fn lacks_mysql(local_executed: &MysqlGtidSet, peer_executed: &MysqlGtidSet) -> Option<Lack> {
    let missing = peer_executed.subtract(local_executed);
    (!missing.is_empty()).then(|| Lack {
        what: missing.to_string(),
        count: Some(missing.count()),
    })
}

/// What a peer's binary log holds behind the place up to which the local server has applied it.
///
/// `peer_end` is the end of that very peer's binary log. Some or all of it may be bookkeeping, for example after a
/// restart of the peer: [`vet_position`] on the events tells. A binary log of another name counts as unknown history.
pub fn lacks_position(local_applied: &BinlogPosition, peer_end: &BinlogPosition) -> Option<Lack> {
    let comparable = peer_end.same_base(local_applied);
    (!comparable || peer_end > local_applied).then(|| Lack {
        what: format!("applied up to {local_applied}, the peer's binary log ends at {peer_end}"),
        count: None,
    })
}

/// How an old MariaDB server relates to the new source, by domain and server id.
///
/// `old` and `new` are `@@gtid_binlog_state`, `new_slave_pos` is the new source's `@@gtid_slave_pos`.
/// The old server must have had its binary log on all the time: an empty state is taken for an empty history.
pub fn vet_mariadb(
    old: &MariadbBinlogState,
    new: &MariadbBinlogState,
    new_slave_pos: &MariadbPosition,
) -> Relation {
    if let Some(lost) = lacks_mariadb(new, new_slave_pos, old) {
        return diverged(lost);
    }
    let held = logged_or_applied(new, new_slave_pos);
    same_or_behind(held.missing_in(old).is_empty())
}

/// How an old MySQL server relates to the new source, by `@@gtid_executed` of both and `@@gtid_purged` of the new one.
///
/// Both must run with `gtid_mode=ON`: without it the sets are empty and would be taken for empty histories.
pub fn vet_mysql(
    old_executed: &MysqlGtidSet,
    new_executed: &MysqlGtidSet,
    new_purged: &MysqlGtidSet,
) -> Relation {
    if let Some(lost) = lacks_mysql(new_executed, old_executed) {
        return diverged(lost);
    }
    let gone = new_purged.subtract(old_executed);
    if !gone.is_empty() {
        return Relation::Unrecoverable {
            why: format!("the new source has purged {gone}, which the old server needs"),
        };
    }
    same_or_behind(old_executed == new_executed)
}

/// How an old server relates to the new source when there are only files and offsets.
///
/// `record_applied` is what the new source had applied of the old one's binary log when it was promoted, `old_end` the
/// end of that binary log now, and `events_after` every event from `record_applied` on, in this and all later files.
/// Only events that the old server itself wrote (`own_server_id`) are its own: what it applied of a source stands in the
/// same log. Read `old_end` first. Nothing but bookkeeping after the record means `Behind`: positions cannot prove `Identical`.
pub fn vet_position(
    record_applied: &BinlogPosition,
    old_end: &BinlogPosition,
    events_after: &[BinlogEventSummary],
    own_server_id: u32,
) -> Relation {
    if !old_end.same_base(record_applied) {
        return unknown(format!(
            "the promotion record names {record_applied}, but the binary log is called {}",
            old_end.base()
        ));
    }
    let own: Vec<BinlogEventSummary> = events_after
        .iter()
        .filter(|event| event.server_id == own_server_id)
        .cloned()
        .collect();
    if own.iter().any(|event| !is_bookkeeping(event)) {
        let count = count_transactions(&own);
        return Relation::Diverged {
            lost: format!("{count} transactions between {record_applied} and {old_end}"),
            lost_count: Some(count),
        };
    }
    if events_after.iter().any(|event| !is_bookkeeping(event)) {
        return unknown(format!(
            "between {record_applied} and {old_end} stands what this server applied of another source, so it is past the record"
        ));
    }
    if old_end < record_applied {
        return unknown(format!(
            "history shorter than the promotion record: it ends at {old_end}, the record is {record_applied}"
        ));
    }
    if listed_to_end(record_applied, old_end, events_after) {
        Relation::Behind
    } else {
        unknown(format!(
            "the events from {record_applied} to {old_end} could not all be read"
        ))
    }
}

/// Whether a list of events can be whole: it has the beginning of each later file, and reaches the end of the last.
fn listed_to_end(
    start: &BinlogPosition,
    end: &BinlogPosition,
    events: &[BinlogEventSummary],
) -> bool {
    let Some(last) = events.last() else {
        return start == end;
    };
    let later_files = end
        .sequence()
        .zip(start.sequence())
        .and_then(|(e, s)| e.checked_sub(s));
    let beginnings = events
        .iter()
        .filter(|event| event.event_type.eq_ignore_ascii_case("format_desc"))
        .count();
    last.end_offset >= end.offset
        && later_files.is_some_and(|files| u64::try_from(beginnings).is_ok_and(|b| b >= files))
}

fn logged_or_applied(log: &MariadbBinlogState, applied: &MariadbPosition) -> MariadbBinlogState {
    let mut both = log.clone();
    both.extend_with_position(applied);
    both
}

fn diverged(lost: Lack) -> Relation {
    Relation::Diverged {
        lost: lost.what,
        lost_count: lost.count,
    }
}

fn unknown(why: String) -> Relation {
    Relation::Unknown { why }
}

fn same_or_behind(same: bool) -> Relation {
    if same {
        Relation::Identical
    } else {
        Relation::Behind
    }
}

fn describe(range: &MariadbGtidRange) -> String {
    let MariadbGtidRange {
        domain,
        server_id,
        from,
        to,
    } = range;
    if *from > 1 {
        format!("{domain}-{server_id}-{to} (known up to {})", from - 1)
    } else {
        format!("{domain}-{server_id}-{to} (none of this server known)")
    }
}

/// Counts on the ground that sequence numbers only rise within a domain, so that what one side lacks lies above what
/// both hold. Where that is visibly wrong (no `gtid_strict_mode`), there is no count.
fn count_missing(
    whole: &MariadbBinlogState,
    known: &MariadbBinlogState,
    missing: &[MariadbGtidRange],
) -> Option<u64> {
    let domains: BTreeSet<u32> = missing.iter().map(|range| range.domain).collect();
    domains
        .into_iter()
        .map(|domain| {
            let ends = missing.iter().filter(|range| range.domain == domain);
            let shared = whole.shared_end(known, domain);
            let lowest = ends.clone().map(|range| range.to).min()?;
            let highest = ends.map(|range| range.to).max()?;
            (lowest > shared).then(|| highest - shared)
        })
        .try_fold(0u64, |sum, count| sum.checked_add(count?))
}

/// Events that a server writes on its own account; they carry no one's data. Names as in `SHOW BINLOG EVENTS` of
/// MySQL and MariaDB. Anything else counts as data, also a kind that nobody has heard of.
fn is_bookkeeping(event: &BinlogEventSummary) -> bool {
    const KINDS: [&str; 11] = [
        "format_desc",
        "previous_gtids",
        "gtid_list",
        "binlog_checkpoint",
        "start_encryption",
        "rotate",
        "stop",
        "heartbeat",
        "heartbeat_v2",
        "ignorable",
        "start_v3",
    ];
    KINDS
        .iter()
        .any(|kind| event.event_type.eq_ignore_ascii_case(kind))
}

/// The number of transactions in a list of events; at least 1.
fn count_transactions(events: &[BinlogEventSummary]) -> u64 {
    let with_id = events
        .iter()
        .filter(|event| starts_with_gtid(event))
        .count();
    // MySQL 5.6 without GTIDs writes no such event.
    let found = if with_id > 0 {
        with_id
    } else {
        count_ends(events)
    };
    u64::try_from(found.max(1)).unwrap_or(u64::MAX)
}

fn starts_with_gtid(event: &BinlogEventSummary) -> bool {
    let kind = event.event_type.to_ascii_lowercase();
    kind == "anonymous_gtid" || (kind.starts_with("gtid") && kind != "gtid_list")
}

/// Counts what ends a transaction, and the statements that stand outside of one (DDL).
fn count_ends(events: &[BinlogEventSummary]) -> usize {
    let mut open = false;
    let mut count = 0;
    for event in events {
        let query = event.event_type.eq_ignore_ascii_case("query");
        let says = |word: &str| query && event.info.trim().eq_ignore_ascii_case(word);
        if says("begin") {
            open = true;
        } else if event.event_type.eq_ignore_ascii_case("xid") || says("commit") {
            open = false;
            count += 1;
        } else if says("rollback") {
            open = false;
        } else if query && !open {
            count += 1;
        }
    }
    count
}
