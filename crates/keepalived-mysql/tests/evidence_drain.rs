//! When a replica has applied all that it received, by the answers of real servers.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::status;
use keepalived_mysql::replication::evidence::{Drain, LastTransaction, drained, whole_applied};
use keepalived_mysql::replication::gtid::MariadbPosition;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::replication::replica::{Positioning, Receiver, ReplicaStatus};

const SERVERS: [&str; 5] = [
    "mariadb-10.5",
    "mariadb-10.11",
    "mariadb-11.8",
    "mysql-5.6",
    "mysql-9.7",
];
const BROKEN: LastTransaction = LastTransaction::MayBePartial { workers_idle: true };
const BUSY: LastTransaction = LastTransaction::MayBePartial {
    workers_idle: false,
};

fn position(text: &str) -> MariadbPosition {
    text.parse().unwrap()
}

fn kind(drain: &Drain) -> &'static str {
    match drain {
        Drain::Complete => "complete",
        Drain::Pending { .. } => "pending",
        Drain::PartialTail { .. } => "partial",
        Drain::Impossible { .. } => "impossible",
    }
}

#[test]
fn by_position_on_every_server() {
    for server in SERVERS {
        for (situation, expected) in [
            ("pos_configured_not_started", "complete"),
            ("pos_healthy", "pending"),
            ("pos_io_stopped", "complete"),
            ("pos_io_stopped_with_relay_backlog", "pending"),
            ("pos_lag_lock", "pending"),
            ("pos_lag_delay30", "pending"),
            ("pos_sql_stopped", "impossible"),
            ("pos_both_stopped", "impossible"),
            ("pos_sql_error_1062", "impossible"),
            // Still connecting: the source may come back and send more.
            ("pos_master_killed_t0", "pending"),
            ("pos_master_killed_t2", "pending"),
            ("pos_master_sigstop_2s", "pending"),
        ] {
            let now = status(server, situation);
            let drain = drained(&now, None, None, LastTransaction::Whole);
            assert_eq!(kind(&drain), expected, "{server} {situation}: {drain:?}");
            assert_eq!(drain.nothing_left(), expected == "complete");
        }
    }
}

#[test]
fn a_dead_source_is_drained_once_the_receiver_is_stopped() {
    for server in SERVERS {
        let before = status(server, "pos_master_killed_t0");
        let mut now = status(server, "pos_master_killed_t2");
        now.receiver = Receiver::Stopped;
        assert_eq!(drained(&now, Some(&before), None, BROKEN), Drain::Complete);
    }
}

#[test]
fn a_backlog_is_told_in_bytes_and_errors_in_words() {
    let now = status("mariadb-10.11", "pos_io_stopped_with_relay_backlog");
    let Drain::Pending { remaining, what } = drained(&now, None, None, LastTransaction::Whole)
    else {
        panic!("not pending");
    };
    assert_eq!(remaining, Some(1403 - 1186));
    assert_eq!(
        what,
        "received up to binlog.000001:1403, applied up to binlog.000001:1186"
    );
    let now = status("mysql-9.7", "pos_sql_error_1062");
    let Drain::Impossible { why } = drained(&now, None, None, LastTransaction::Whole) else {
        panic!("not impossible");
    };
    assert!(why.contains("1062"), "{why}");
}

#[test]
fn a_blocked_applier_is_never_a_partial_tail() {
    for server in SERVERS {
        let now = status(server, "pos_io_stopped_with_relay_backlog");
        let drain = drained(&now, Some(&now), None, BUSY);
        assert_eq!(kind(&drain), "pending", "{server}");
        // Where the state text tells the truth it is enough; 9.7's does not.
        if server != "mysql-9.7" {
            let drain = drained(&now, Some(&now), None, BROKEN);
            assert_eq!(kind(&drain), "pending", "{server}");
        }
    }
}

/// A source killed while it was sending: read beyond applied, nobody has work.
fn torn(server: &str) -> ReplicaStatus {
    let mut now = status(server, "pos_master_killed_t2");
    now.receiver = Receiver::Stopped;
    now.received.as_mut().unwrap().offset += 70_000_000;
    now
}

#[test]
fn a_partial_tail_needs_every_sign() {
    for server in SERVERS {
        let now = torn(server);
        let answer = |now: &ReplicaStatus, before: Option<&ReplicaStatus>, last| {
            kind(&drained(now, before, None, last))
        };
        assert_eq!(answer(&now, Some(&now), BROKEN), "partial");
        assert_eq!(answer(&now, None, BROKEN), "pending");
        assert_eq!(answer(&now, Some(&now), BUSY), "pending");
        assert_eq!(answer(&now, Some(&now), LastTransaction::Whole), "pending");

        let mut moving = now.clone();
        moving.applied.as_mut().unwrap().offset -= 1;
        assert_eq!(answer(&now, Some(&moving), BROKEN), "pending");

        let mut started = now.clone();
        started.applier_running = false;
        assert_eq!(answer(&now, Some(&started), BROKEN), "pending");
        assert_eq!(answer(&started, Some(&now), BROKEN), "impossible");

        let mut connecting = now.clone();
        connecting.receiver = Receiver::Connecting;
        assert_eq!(answer(&connecting, Some(&connecting), BROKEN), "pending");

        let mut working = now.clone();
        working.applier_state = "Reading event from the relay log".into();
        assert_eq!(answer(&working, Some(&working), BROKEN), "pending");
    }
}

#[test]
fn by_mysql_gtid() {
    for server in ["mysql-5.6", "mysql-9.7"] {
        let answer = |now: &ReplicaStatus| kind(&drained(now, None, None, LastTransaction::Whole));
        assert_eq!(answer(&status(server, "gtid_auto_healthy")), "pending");
        let mut now = status(server, "gtid_auto_sql_stopped_backlog");
        assert_eq!(answer(&now), "impossible");
        now.applier_running = true;
        now.receiver = Receiver::Stopped;
        assert_eq!(answer(&now), "pending");
        let stopped = status(server, "gtid_auto_io_error_1236_purged");
        assert_eq!(answer(&stopped), "complete");
        // The sets are exact at once; positions follow at the next checkpoint of the workers.
        let mut lagging = stopped.clone();
        lagging.applied.as_mut().unwrap().offset -= 100;
        assert_eq!(answer(&lagging), "complete");
    }
}

#[test]
fn mysql_56_counts_a_partial_transaction_as_retrieved() {
    let mut now = status("mysql-5.6", "gtid_auto_io_error_1236_purged");
    let uuid = "a520c946-e4d0-11f1-a195-02fc00000001";
    now.retrieved_mysql = Some(format!("{uuid}:1-4").parse().unwrap());
    now.received.as_mut().unwrap().offset += 1000;
    let answer = |now: &ReplicaStatus| kind(&drained(now, Some(now), None, BROKEN));
    assert_eq!(answer(&now), "partial");
    now.retrieved_mysql = Some(format!("{uuid}:1-5").parse().unwrap());
    assert_eq!(answer(&now), "pending");
}

#[test]
fn by_mariadb_gtid() {
    for (server, id) in [
        ("mariadb-10.5", 41051),
        ("mariadb-10.11", 41111),
        ("mariadb-11.8", 41181),
    ] {
        for mode in ["slave_pos", "current_pos"] {
            let at = |sequence: u64| position(&format!("0-{id}-{sequence}"));
            let healthy = status(server, &format!("gtid_{mode}_healthy"));
            let whole = LastTransaction::Whole;
            let answer = |now: &ReplicaStatus, pos: Option<&MariadbPosition>| {
                kind(&drained(now, None, pos, whole))
            };
            assert_eq!(answer(&healthy, Some(&at(2))), "pending");
            let mut now = status(server, &format!("gtid_{mode}_sql_stopped_backlog"));
            assert_eq!(answer(&now, Some(&at(2))), "impossible");
            now.applier_running = true;
            now.receiver = Receiver::Stopped;
            assert_eq!(answer(&now, Some(&at(2))), "pending");
            assert_eq!(answer(&now, Some(&at(3))), "complete");
            assert_eq!(answer(&now, None), "pending");
            let stopped = status(server, &format!("gtid_{mode}_io_error_1236_purged"));
            assert_eq!(answer(&stopped, Some(&at(3))), "complete");
            // Another transaction with a higher number: only with equal positions.
            let other = position("0-7-9");
            assert_eq!(answer(&stopped, Some(&other)), "complete");
            assert_eq!(answer(&now, Some(&other)), "pending");
        }
    }
}

#[test]
fn an_empty_mariadb_position_is_nothing_received_unless_the_positions_disagree() {
    let mut now = status("mariadb-10.11", "gtid_slave_pos_io_error_1236_purged");
    now.received_mariadb = Some(MariadbPosition::default());
    let answer = |now: &ReplicaStatus| {
        let pos = MariadbPosition::default();
        kind(&drained(now, None, Some(&pos), LastTransaction::Whole))
    };
    assert_eq!(answer(&now), "complete");
    now.received = Some(BinlogPosition::new("binlog.000001", 5000));
    assert_eq!(answer(&now), "pending");
    (now.received, now.applied) = (None, None);
    assert_eq!(now.positioning, Positioning::MariadbSlavePos);
    assert_eq!(answer(&now), "complete");
}

#[test]
fn a_tail_hides_nothing_whole_where_identifiers_tell() {
    // By file and offset a tail looks like a transaction.
    let by_position = status("mariadb-10.11", "pos_healthy");
    assert!(whole_applied(&by_position, None));
    assert!(!whole_applied(&torn("mariadb-10.11"), None));
    // By GTID only what came whole counts, whether the receiver runs or not.
    let mut by_gtid = torn("mariadb-10.11");
    by_gtid.positioning = Positioning::MariadbSlavePos;
    by_gtid.received_mariadb = Some(position("0-1-9"));
    for receiver in [Receiver::Running, Receiver::Connecting, Receiver::Stopped] {
        by_gtid.receiver = receiver;
        assert!(whole_applied(&by_gtid, Some(&position("0-1-9"))));
        assert!(!whole_applied(&by_gtid, Some(&position("0-1-8"))));
        assert!(!whole_applied(&by_gtid, None));
    }
}
