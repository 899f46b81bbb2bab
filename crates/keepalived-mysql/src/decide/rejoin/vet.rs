//! The vetting: what this node holds beside what the serving one has.

use super::Input;
use crate::decide::{RELAXED, Relaxed};
use crate::ledger::record::{Coordinates, Method, PromotionRecord};
use crate::replication::evidence::{self, Relation};
use crate::switches::{Safety, off};
use crate::view::{Facts, Gtids, Tables};

/// How this node's history stands to that of the source.
pub(super) fn vet(
    input: &Input<'_>,
    me: &Facts,
    source: &Facts,
    record: Option<&PromotionRecord>,
    method: Method,
) -> Relation {
    if off(Safety::Vetting) {
        return Relation::Behind;
    }
    if let Some(why) = no_proof(input, me, source) {
        return Relation::Unknown { why };
    }
    match method {
        Method::Gtid => vet_gtid(me, source),
        Method::Position => vet_position(input, me, record),
    }
}

/// Why neither identifiers nor positions of this node prove anything.
fn no_proof(input: &Input<'_>, me: &Facts, source: &Facts) -> Option<String> {
    if input.memory.relaxed == Relaxed::BeforeThisBoot {
        return Some(RELAXED.into());
    }
    if let Tables::Missing(why) = &source.tables {
        return Some(format!(
            "the suite's tables on the source cannot be read: {why}"
        ));
    }
    let last = me.last_opening();
    if last.is_some() && !me.log_bin {
        return Some(
            "this node writes no binary log, so nothing shows what it alone committed".into(),
        );
    }
    let details = last.and_then(|record| record.details.as_ref())?;
    (!details.durable
        && details.boot_id != input.boot_id
        && me.own_epoch() > input.memory.followed_epoch)
        .then(|| {
            "the host restarted while this node was open with relaxed durability (sync_binlog or \
         innodb_flush_log_at_trx_commit not 1), so its own log may be shorter than what it sent"
                .into()
        })
}

fn vet_gtid(me: &Facts, source: &Facts) -> Relation {
    match (&me.gtids, &source.gtids) {
        (
            Gtids::MariaDb { state: ours, .. },
            Gtids::MariaDb {
                state: theirs,
                slave,
                ..
            },
        ) => evidence::vet_mariadb(ours, theirs, slave),
        (
            Gtids::MySql { executed: ours, .. },
            Gtids::MySql {
                executed: theirs,
                purged,
                ..
            },
        ) => evidence::vet_mysql(ours, theirs, purged),
        _ => Relation::Unknown {
            why: "the two servers are of different products".into(),
        },
    }
}

fn vet_position(input: &Input<'_>, me: &Facts, record: Option<&PromotionRecord>) -> Relation {
    let unknown = |why: &str| Relation::Unknown {
        why: why.to_owned(),
    };
    let Some(record) = record else {
        return unknown(
            "no promotion record of the source lies after the epoch that this node knows, so no position can be mapped",
        );
    };
    let Some(followed) = record
        .details
        .as_ref()
        .and_then(|details| details.followed.as_ref())
    else {
        return unknown("the source's promotion record does not say which history it continued");
    };
    let Some(applied) = &followed.applied.position else {
        return unknown("the source's promotion record names no position");
    };
    if followed.node.as_deref() != Some(input.me.name.as_str()) {
        return vet_sibling(me, &followed.host, &followed.applied);
    }
    let (Some(events), Some(end)) = (input.events, &me.binlog_end) else {
        return unknown("this node's own binary log could not be read");
    };
    evidence::vet_position(applied, end, events, me.server_id)
}

/// A node that followed the same old source as the new master did.
fn vet_sibling(me: &Facts, host: &str, applied: &Coordinates) -> Relation {
    let here = me
        .channels
        .iter()
        .find(|channel| channel.source_host == host)
        .and_then(|channel| channel.applied.as_ref());
    if here.is_some() && here == applied.position.as_ref() {
        Relation::Identical
    } else {
        Relation::Unknown {
            why: "by file and position a node can only be moved if it stopped exactly where the new master did".into(),
        }
    }
}
