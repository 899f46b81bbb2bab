//! Several replication channels, by the answers of real servers: ours is found by whom it reads from.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::replica_fixtures;
use keepalived_mysql::replication::replica::{Receiver, ReplicaStatus};
use keepalived_mysql::server::status::parse_replica_status;

/// The channels in the answer to the statement that the suite uses.
fn channels(server: &str) -> Vec<ReplicaStatus> {
    let statement = if server.starts_with("mysql") {
        "show_replica_status"
    } else {
        "show_all_slaves_status"
    };
    let name = format!("{server}/multi_channel.{statement}");
    let fixtures = replica_fixtures();
    let fixture = fixtures.iter().find(|f| f.name == name).unwrap();
    fixture
        .rows
        .iter()
        .map(|row| parse_replica_status(row).unwrap())
        .collect()
}

#[test]
fn ours_is_the_one_that_reads_from_a_node_of_the_group() {
    for (server, port) in [
        ("mysql-9.7", 41971),
        ("mariadb-10.5", 41051),
        ("mariadb-10.11", 41111),
        ("mariadb-11.8", 41181),
    ] {
        let channels = channels(server);
        let from = |port| -> Vec<&str> {
            channels
                .iter()
                .filter(|c| c.reads_from("node-a", "127.0.0.1".parse().unwrap(), port))
                .map(|c| c.channel.as_str())
                .collect()
        };
        assert_eq!(channels.len(), 2, "{server}");
        assert_eq!(from(port), ["ch1"], "{server}");
        assert_eq!(from(1), ["ch2"], "{server}");
        assert_eq!(channels[0].receiver, Receiver::Stopped, "{server}");
        assert_eq!(channels[1].receiver, Receiver::Connecting, "{server}");
    }
}

#[test]
fn mariadbs_plain_statement_shows_no_named_channel() {
    // Why all connections are asked for at once.
    let fixtures = replica_fixtures();
    let plain: Vec<_> = fixtures
        .iter()
        .filter(|f| f.name.ends_with("multi_channel.show_slave_status_default"))
        .collect();
    assert_eq!(plain.len(), 3);
    assert!(plain.iter().all(|f| f.error.is_none() && f.rows.is_empty()));
}

#[test]
fn an_unknown_channel_is_an_error_of_its_own() {
    for fixture in replica_fixtures() {
        if fixture.name.contains("unknown") {
            let expected = if fixture.name.starts_with("mysql") {
                3074
            } else {
                1617
            };
            assert_eq!(fixture.error, Some(expected), "{}", fixture.name);
        }
    }
}
