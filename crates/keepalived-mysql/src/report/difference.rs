//! How far a replica is behind: what it received and has not applied, and what one node holds and
//! another does not.

use serde::Serialize;

use super::counted;
use crate::replication::evidence::{Lost, lacks_mariadb, lacks_mysql};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::{Positioning, ReplicaStatus};
use crate::view::{Facts, Gtids, NodeView};

/// What a channel received and has not applied yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Whether all that was received is applied; null where it cannot be told.
    pub everything_applied: Option<bool>,
    /// Transactions that are not applied yet, where they have numbers (MySQL with GTID).
    pub transactions: Option<u64>,
    /// Bytes of the source's binary log that are not applied yet, where both places are in one file.
    pub bytes: Option<u64>,
    /// Up to where the source's binary log was received.
    pub received: Option<String>,
    /// Up to where it was applied. MySQL's workers run ahead of it.
    pub applied: Option<String>,
}

impl Backlog {
    /// What a channel says of itself.
    pub fn of(channel: &ReplicaStatus) -> Self {
        let places = channel.received.as_ref().zip(channel.applied.as_ref());
        let numbered = match (
            channel.positioning,
            &channel.retrieved_mysql,
            &channel.executed_mysql,
        ) {
            (Positioning::MysqlAutoPosition, Some(retrieved), Some(executed)) => {
                Some(retrieved.subtract(executed).count())
            }
            _ => None,
        };
        let by_place = places.map(|(received, applied)| received == applied);
        let everything_applied = match numbered {
            Some(transactions) => Some(transactions == 0),
            None => by_place,
        };
        let waiting = everything_applied == Some(false);
        Self {
            everything_applied,
            transactions: numbered,
            bytes: places
                .filter(|_| waiting)
                .and_then(|(received, applied)| received.bytes_since(applied)),
            received: channel.received.as_ref().map(ToString::to_string),
            applied: channel.applied.as_ref().map(ToString::to_string),
        }
    }

    /// `all received is applied`, `2 transactions not applied yet`.
    pub fn words(&self) -> String {
        let place = |place: &Option<String>| place.clone().unwrap_or_else(|| "?".into());
        match (self.everything_applied, self.transactions, self.bytes) {
            (Some(true), ..) => "all received is applied".into(),
            (_, Some(count), _) => format!("{} not applied yet", counted(count, "transaction")),
            (_, _, Some(bytes)) => format!("{} not applied yet", counted(bytes, "byte")),
            (Some(false), ..) => format!(
                "received up to {}, applied up to {}",
                place(&self.received),
                place(&self.applied)
            ),
            (None, ..) => "nobody can say what is not applied yet".into(),
        }
    }
}

/// What a node lacks, or alone holds, beside another one. The two were not seen at the same instant: under
/// load a healthy replica lacks what was committed between the two looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The other node.
    pub with: String,
    /// What the other node holds and this one lacks, in words; null if nothing.
    pub lacks: Option<String>,
    /// How many transactions that are, where it can be said.
    pub lacks_transactions: Option<u64>,
    /// How many bytes of the other node's binary log that are, where nodes are compared by position.
    pub lacks_bytes: Option<u64>,
    /// What this server committed itself and the other node does not hold; null if nothing is known.
    pub alone: Option<String>,
}

impl Difference {
    /// Compares `node` with `other`. None where the two cannot be compared.
    pub fn between(node: &NodeView, other: &NodeView) -> Option<Self> {
        let (ours, theirs) = (node.facts.as_ref()?, other.facts.as_ref()?);
        let by_position = ours.channels.iter().find(|channel| {
            other.is_source_of(channel) && channel.positioning == Positioning::FileAndOffset
        });
        let mut found = match by_position {
            Some(channel) => by_places(channel.applied.as_ref()?, theirs.binlog_end.as_ref()?)?,
            None => by_numbers(ours, theirs)?,
        };
        found.with.clone_from(&other.name);
        Some(found)
    }

    /// `lacks nothing of node-a`, `lacks 3 transactions of node-a`, `alone holds ...`.
    pub fn words(&self) -> String {
        let with = &self.with;
        let lacks = match (&self.lacks, self.lacks_transactions, self.lacks_bytes) {
            (None, ..) => format!("lacks nothing of {with}"),
            (_, Some(count), _) => format!("lacks {} of {with}", counted(count, "transaction")),
            (_, _, Some(bytes)) => format!("lacks {} of {with}", counted(bytes, "byte")),
            (Some(what), ..) => format!("lacks something of {with}: {what}"),
        };
        match &self.alone {
            None => lacks,
            Some(alone) => format!("{lacks}, ALONE HOLDS {alone}"),
        }
    }
}

fn by_places(applied: &BinlogPosition, end: &BinlogPosition) -> Option<Difference> {
    if !end.same_base(applied) {
        return None;
    }
    Some(Difference {
        with: String::new(),
        lacks: (end > applied).then(|| format!("{applied} to {end}")),
        lacks_transactions: None,
        lacks_bytes: end.bytes_since(applied).filter(|bytes| *bytes > 0),
        alone: None,
    })
}

fn by_numbers(ours: &Facts, theirs: &Facts) -> Option<Difference> {
    let (lack, alone) = match (&ours.gtids, &theirs.gtids) {
        (
            Gtids::MySql {
                executed, on: true, ..
            },
            Gtids::MySql {
                executed: other,
                on: true,
                ..
            },
        ) => {
            // What a third server committed may only have come between the two looks.
            let own = executed.of_server(&ours.identity);
            (lacks_mysql(executed, other), Lost::by_mysql(&own, other))
        }
        (
            Gtids::MariaDb { state, slave, .. },
            Gtids::MariaDb {
                state: other,
                slave: other_slave,
                ..
            },
        ) => {
            let lost = Lost::by_mariadb(state, other, other_slave);
            (
                lacks_mariadb(state, slave, other),
                own(lost, ours.server_id),
            )
        }
        _ => return None,
    };
    Some(Difference {
        with: String::new(),
        lacks_transactions: lack.as_ref().and_then(|lack| lack.count),
        lacks: lack.map(|lack| lack.what),
        lacks_bytes: None,
        alone: alone.map(|lost| lost.to_string()),
    })
}

/// Those of them that the server with this id committed first.
fn own(lost: Option<Lost>, id: u32) -> Option<Lost> {
    match lost? {
        Lost::MariaDb { mut ranges } => {
            ranges.retain(|range| range.server_id == id);
            (!ranges.is_empty()).then_some(Lost::MariaDb { ranges })
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::testing::node;

    #[test]
    fn a_backlog_is_told_by_number_by_bytes_or_by_places() {
        let source = node(1);
        let mut channel = crate::decide::testing::channel(&source);
        assert_eq!(Backlog::of(&channel).words(), "all received is applied");
        channel.received = Some(BinlogPosition::new("binlog.000001", 501));
        assert_eq!(Backlog::of(&channel).words(), "1 byte not applied yet");
        channel.received = Some(BinlogPosition::new("binlog.000002", 4));
        assert_eq!(
            Backlog::of(&channel).words(),
            "received up to binlog.000002:4, applied up to binlog.000001:500"
        );
        channel.received = None;
        assert!(Backlog::of(&channel).words().starts_with("nobody can say"));
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        channel.positioning = Positioning::MysqlAutoPosition;
        channel.retrieved_mysql = format!("{uuid}:4-9").parse().ok();
        channel.executed_mysql = format!("{uuid}:1-7").parse().ok();
        assert_eq!(
            Backlog::of(&channel).words(),
            "2 transactions not applied yet"
        );
        channel.executed_mysql = format!("{uuid}:1-9").parse().ok();
        assert_eq!(Backlog::of(&channel).words(), "all received is applied");
    }

    #[test]
    fn a_difference_names_what_is_lacked_and_what_is_alone() {
        let source = node(1).open().holds("0-1-9");
        let told = |state: &str| {
            let replica = node(2).holds(state).follows(&source);
            Difference::between(&replica, &source).map(|found| found.words())
        };
        assert_eq!(told("0-1-9").as_deref(), Some("lacks nothing of node-a"));
        assert_eq!(
            told("0-1-6").as_deref(),
            Some("lacks 3 transactions of node-a")
        );
        let alone = told("0-1-9,0-2-10").unwrap_or_default();
        assert!(alone.ends_with("ALONE HOLDS 0-2-1..10"), "{alone}");
    }

    fn mysql(number: u8, identity: &str, executed: &str) -> NodeView {
        let mut node = node(number);
        if let Some(facts) = node.facts.as_mut() {
            facts.identity = identity.into();
            facts.gtids = Gtids::MySql {
                executed: executed.parse().expect("a set"),
                purged: Default::default(),
                on: true,
            };
        }
        node
    }

    #[test]
    fn mysql_alone_is_what_its_own_uuid_committed() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";
        let source = mysql(1, A, &format!("{A}:1-9"));
        let told = |executed: &str| {
            Difference::between(&mysql(2, B, executed), &source).map(|found| found.words())
        };
        assert_eq!(
            told(&format!("{A}:1-7")).as_deref(),
            Some("lacks 2 transactions of node-a")
        );
        assert_eq!(
            told(&format!("{A}:1-12")).as_deref(),
            Some("lacks nothing of node-a")
        );
        let alone = told(&format!("{A}:1-9,{B}:1-2")).unwrap_or_default();
        assert!(alone.ends_with(&format!("ALONE HOLDS {B}:1-2")), "{alone}");
    }

    /// The replica was seen a moment after its source: what came between is not its own.
    #[test]
    fn what_the_source_committed_between_two_looks_is_not_alone_on_the_replica() {
        let source = node(1).open().holds("0-1-9");
        let replica = node(2).holds("0-1-12").follows(&source);
        let found = Difference::between(&replica, &source).expect("comparable");
        assert_eq!(found.words(), "lacks nothing of node-a");
    }

    #[test]
    fn by_position_it_is_told_in_bytes_and_never_what_is_alone() {
        let source = node(1).open();
        let replica = node(2).follows(&source).with_channel(|channel| {
            channel.positioning = Positioning::FileAndOffset;
        });
        let found = Difference::between(&replica, &source).expect("comparable");
        assert_eq!(found.words(), "lacks 500 bytes of node-a");
        assert!(Difference::between(&replica, &node(1).gone(crate::view::State::Down)).is_none());
    }
}
