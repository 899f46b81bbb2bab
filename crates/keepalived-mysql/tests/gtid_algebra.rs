//! Laws of GTID sets, positions and binlog states, and of the order of binary log positions.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;

use keepalived_mysql::replication::gtid::{
    GtidError, MariadbBinlogState, MariadbGtid, MariadbPosition, MysqlGtidSet,
};
use keepalived_mysql::replication::position::{BinlogPosition, PositionError};
use proptest::prelude::*;

const A: &str = "8cd92904-e4d0-11f1-ab4d-02fc00000001";
const B: &str = "a520c946-e4d0-11f1-a195-02fc00000001";

/// One transaction of the naive model: UUID, tag, number.
type Transaction = (&'static str, &'static str, u64);

fn model() -> impl Strategy<Value = BTreeSet<Transaction>> {
    let one = (
        prop::sample::select(vec![A, B]),
        prop::sample::select(vec!["", "blue", "_x1"]),
        1u64..12,
    );
    prop::collection::btree_set(one, 0..30)
}

fn set(model: &BTreeSet<Transaction>) -> MysqlGtidSet {
    let parts: Vec<String> = model
        .iter()
        .map(|(uuid, tag, number)| match *tag {
            "" => format!("{uuid}:{number}"),
            tag => format!("{uuid}:{tag}:{number}"),
        })
        .collect();
    parts.join(",").parse().unwrap()
}

fn gtid() -> impl Strategy<Value = MariadbGtid> {
    (0u32..3, 1u32..4, 1u64..50).prop_map(|(domain, server_id, sequence)| MariadbGtid {
        domain,
        server_id,
        sequence,
    })
}

fn mariadb_position() -> impl Strategy<Value = MariadbPosition> {
    prop::collection::vec(gtid(), 0..6).prop_map(|gtids| gtids.into_iter().collect())
}

fn state() -> impl Strategy<Value = MariadbBinlogState> {
    prop::collection::btree_map((0u32..3, 1u32..4), 1u64..50, 0..8).prop_map(|newest| {
        let parts: Vec<String> = newest
            .iter()
            .map(|((domain, server), sequence)| format!("{domain}-{server}-{sequence}"))
            .collect();
        parts.join(",").parse().unwrap()
    })
}

proptest! {
    #[test]
    fn mysql_sets_behave_like_sets(a in model(), b in model()) {
        let (x, y) = (set(&a), set(&b));
        prop_assert_eq!(x.union(&y), set(&(&a | &b)));
        prop_assert_eq!(x.subtract(&y), set(&(&a - &b)));
        prop_assert_eq!(x.contains(&y), b.is_subset(&a));
        prop_assert_eq!(x.count(), a.len() as u64);
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn mysql_sets_obey_their_laws(a in model(), b in model()) {
        let (x, y) = (set(&a), set(&b));
        let both = x.union(&y);
        prop_assert_eq!(&both, &y.union(&x));
        prop_assert!(both.contains(&x) && both.contains(&y));
        prop_assert_eq!(x.subtract(&y).union(&y), both);
        prop_assert!(x.subtract(&x).is_empty());
    }

    #[test]
    fn mysql_sets_survive_text(a in model()) {
        let x = set(&a);
        let text = x.to_string();
        prop_assert_eq!(text.parse::<MysqlGtidSet>().unwrap().to_string(), text.clone());
        let spread = text.to_uppercase().replace(',', " ,\n  ").replace(':', " : ");
        prop_assert_eq!(spread.parse::<MysqlGtidSet>().unwrap(), x.clone());
        let json = serde_json::to_string(&x).unwrap();
        prop_assert_eq!(&json, &format!("{text:?}"));
        prop_assert_eq!(serde_json::from_str::<MysqlGtidSet>(&json).unwrap(), x);
    }

    #[test]
    fn parsers_never_panic(text in "[0-9a-f:,\\- \n]{0,60}") {
        let _ = text.parse::<MysqlGtidSet>();
        let _ = text.parse::<MariadbPosition>();
        let _ = text.parse::<MariadbBinlogState>();
        let _ = text.parse::<BinlogPosition>();
    }

    #[test]
    fn mariadb_positions_survive_text(a in mariadb_position(), s in state()) {
        prop_assert_eq!(a.to_string().parse::<MariadbPosition>().unwrap(), a);
        prop_assert_eq!(s.to_string().parse::<MariadbBinlogState>().unwrap(), s);
    }

    #[test]
    fn merging_covers_both(a in mariadb_position(), b in mariadb_position()) {
        let mut merged = a.clone();
        merged.merge_max(&b);
        prop_assert!(merged.covers(&a) && merged.covers(&b));
        prop_assert!(a.covers(&a) && a.contains_exactly(&a));
        prop_assert!(!a.contains_exactly(&b) || a.covers(&b));
        if a.covers(&b) {
            prop_assert_eq!(merged, a);
        }
    }

    #[test]
    fn missing_ranges_name_every_newer_transaction(a in state(), b in state()) {
        for ours in a.iter() {
            let theirs = b.get(ours.domain, ours.server_id).unwrap_or(0);
            let found = a.missing_in(&b).into_iter().find(|range| {
                (range.domain, range.server_id) == (ours.domain, ours.server_id)
            });
            match found {
                Some(range) => {
                    prop_assert_eq!((range.from, range.to), (theirs + 1, ours.sequence));
                    prop_assert!(range.from <= range.to);
                }
                None => prop_assert!(theirs >= ours.sequence),
            }
        }
        prop_assert!(a.missing_in(&a).is_empty());
        if a.missing_in(&b).is_empty() && b.missing_in(&a).is_empty() {
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn extending_adds_what_was_applied(a in state(), p in mariadb_position()) {
        let mut wide = a.clone();
        wide.extend_with_position(&p);
        prop_assert!(a.missing_in(&wide).is_empty());
        for gtid in p.iter() {
            prop_assert!(wide.get(gtid.domain, gtid.server_id) >= Some(gtid.sequence));
        }
    }

    #[test]
    fn positions_are_ordered_like_their_numbers(a in (1u64..2_000_000, 4u64..9999), b in (1u64..2_000_000, 4u64..9999)) {
        let position = |(file, offset): (u64, u64)| BinlogPosition::new(format!("binlog.{file:06}"), offset);
        let (x, y) = (position(a), position(b));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == y, a == b);
        prop_assert_eq!(x.to_string().parse::<BinlogPosition>().unwrap(), x);
    }
}

#[test]
fn mysql_text_is_canonical() {
    for (text, canonical) in [
        ("", ""),
        (" , \n", ""),
        (&format!("{A}:3:1-2:9-9")[..], format!("{A}:1-3:9").as_str()),
        (&format!("{B}:1,\n{A}:5-7:2"), &format!("{A}:2:5-7,{B}:1")),
        (
            &format!("{A}:Blue:4:1-3:_a:7,{A}:1"),
            &format!("{A}:1:_a:7:blue:1-4"),
        ),
        (
            &format!("{A}:1-9223372036854775807"),
            &format!("{A}:1-9223372036854775807"),
        ),
    ] {
        assert_eq!(text.parse::<MysqlGtidSet>().unwrap().to_string(), canonical);
    }
}

#[test]
fn bad_mysql_text_is_refused() {
    use GtidError::{Interval, Shape, Uuid};
    let kind = |text: String| text.parse::<MysqlGtidSet>().unwrap_err();
    assert!(matches!(kind("0-1-5".into()), Uuid(_)));
    assert!(matches!(kind(format!("{}:1", &A[1..])), Uuid(_)));
    assert!(matches!(kind(A.to_owned()), Shape(_)));
    assert!(matches!(kind(format!("{A}:1:tag")), Shape(_)));
    assert!(matches!(kind(format!("{A}:tag:other:1")), Shape(_)));
    assert!(matches!(
        kind(format!("{A}:{}:1", "x".repeat(33))),
        Shape(_)
    ));
    for interval in ["0", "2-1", "", "+1", "1-", "1-2-3", "9223372036854775808"] {
        assert!(matches!(kind(format!("{A}:{interval}")), Interval(_)));
    }
}

#[test]
fn bad_mariadb_text_is_refused() {
    for text in [
        "0-1",
        "0-1-2-3",
        "a-1-2",
        "0-1-+2",
        "4294967296-1-1",
        "0--1",
    ] {
        assert!(matches!(
            text.parse::<MariadbPosition>(),
            Err(GtidError::Mariadb(_))
        ));
    }
    let twice = "0-1-5,0-2-6";
    assert!(matches!(
        twice.parse::<MariadbPosition>(),
        Err(GtidError::Duplicate(_))
    ));
    assert_eq!(
        twice.parse::<MariadbBinlogState>().unwrap().to_string(),
        twice
    );
    assert!("0-1-5,0-1-6".parse::<MariadbBinlogState>().is_err());
}

#[test]
fn a_million_files_do_not_break_the_order() {
    let at = |text: &str| text.parse::<BinlogPosition>().unwrap();
    assert!(at("binlog.1000000:4") > at("binlog.999999:123456"));
    assert!(at("binlog.000002:4") > at("binlog.000001:9"));
    assert!(at("a.000002:4") > at("b.000001:4"));
    assert!(!at("a.000002:4").same_base(&at("b.000002:4")));
    assert_eq!(at("db.bin.000002:9").base(), "db.bin");
    assert_eq!(at("b.000002:9").bytes_since(&at("b.000002:4")), Some(5));
    assert_eq!(at("b.000002:4").bytes_since(&at("b.000002:9")), None);
    assert_eq!(at("b.000003:9").bytes_since(&at("b.000002:4")), None);
    assert!(matches!(
        "binlog.000001".parse::<BinlogPosition>(),
        Err(PositionError::Shape(_))
    ));
    assert!(matches!(
        "binlog.000001:x".parse::<BinlogPosition>(),
        Err(PositionError::Offset(_))
    ));
}
