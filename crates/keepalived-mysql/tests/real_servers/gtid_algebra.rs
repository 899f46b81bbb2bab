//! Our algebra of MySQL's GTID sets beside the server's own.

use std::cell::RefCell;

use keepalived_mysql::node::Contact;
use keepalived_mysql::replication::gtid::MysqlGtidSet;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::servers::{Server, one, rows};

const UUIDS: [&str; 3] = [
    "8cd92904-e4d0-11f1-ab4d-02fc00000001",
    "8CD92904-E4D0-11F1-AB4D-02FC00000002",
    "00000000-0000-0000-0000-00000000000a",
];

/// A set as a person may write it: unordered, overlapping, doubled.
fn set(tags: &'static [&'static str]) -> impl Strategy<Value = String> {
    let interval = (1_u64..30, 0_u64..6).prop_map(|(first, more)| match more {
        0 => first.to_string(),
        _ => format!("{first}-{}", first + more),
    });
    let stream = (
        0..UUIDS.len(),
        0..tags.len(),
        prop::collection::vec(interval, 1..5),
    );
    prop::collection::vec(stream, 0..6).prop_map(move |streams| {
        let parts: Vec<String> = streams
            .into_iter()
            .map(|(uuid, tag, intervals)| {
                format!("{}{}:{}", UUIDS[uuid], tags[tag], intervals.join(":"))
            })
            .collect();
        parts.join(",")
    })
}

fn agree(contact: &mut Contact, a: &str, b: &str) -> Result<(), TestCaseError> {
    let sql = format!(
        "SELECT GTID_SUBTRACT('{a}', '{b}'), GTID_SUBSET('{a}', '{b}'), GTID_SUBTRACT('{a}', '')"
    );
    let row = rows(contact, &sql).remove(0);
    let (ours, theirs): (MysqlGtidSet, MysqlGtidSet) = (a.parse().unwrap(), b.parse().unwrap());
    // The server writes line breaks after commas.
    let said = |index: usize| row.at(index).unwrap().replace('\n', "");
    prop_assert_eq!(ours.subtract(&theirs).to_string(), said(0));
    prop_assert_eq!(theirs.contains(&ours), said(1) == "1");
    prop_assert_eq!(ours.to_string(), said(2));
    Ok(())
}

fn agrees(name: &str, tags: &'static [&'static str]) {
    let Some(kind) = one(name) else { return };
    let server = Server::start(&kind);
    let contact = RefCell::new(server.root());
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&(set(tags), set(tags)), |(a, b)| {
            agree(&mut contact.borrow_mut(), &a, &b)
        })
        .unwrap();
}

#[test]
fn of_mysql_5_6() {
    agrees("mysql-5.6", &[""]);
}

#[test]
fn of_mysql_9_7_with_tags() {
    agrees("mysql-9.7", &["", ":billing", ":_x1"]);
}
