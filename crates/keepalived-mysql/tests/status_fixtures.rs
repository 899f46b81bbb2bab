//! Reads the replica status of real servers in every situation that was recorded, and keeps one line for each.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;

use keepalived_mysql::replication::replica::{
    Positioning, Receiver, ReplicaStatus, ReplicationError,
};
use keepalived_mysql::server::status::{StatusError, StatusRow, parse_replica_status};

use common::{replica_fixture, replica_fixtures};

fn show<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "-".into(), T::to_string)
}

fn summary(s: &ReplicaStatus) -> String {
    let mut line = format!(
        "{:?}/{} {:?} {}>{}",
        s.receiver,
        if s.applier_running {
            "applying"
        } else {
            "stopped"
        },
        s.positioning,
        show(&s.received),
        show(&s.applied),
    );
    let error = |e: &Option<_>| show(&e.as_ref().map(|e: &ReplicationError| e.code));
    write!(
        line,
        " errors={}/{}",
        error(&s.receiver_error),
        error(&s.applier_error)
    )
    .unwrap();
    write!(
        line,
        " behind={} delay={}",
        show(&s.seconds_behind),
        s.delay_seconds
    )
    .unwrap();
    if let Some(gtid) = &s.received_mariadb {
        write!(line, " io_pos={gtid}").unwrap();
    }
    if let (Some(got), Some(done)) = (&s.retrieved_mysql, &s.executed_mysql) {
        write!(line, " retrieved={} executed={}", got.count(), done.count()).unwrap();
    }
    if !s.channel.is_empty() {
        write!(line, " channel={}", s.channel).unwrap();
    }
    write!(line, " | {}", s.applier_state).unwrap();
    line
}

#[test]
fn every_recorded_row_parses() {
    let mut table = String::new();
    let fixtures = replica_fixtures();
    for fixture in &fixtures {
        if let Some(code) = fixture.error {
            writeln!(table, "{}: error {code}", fixture.name).unwrap();
        } else if fixture.rows.is_empty() {
            writeln!(table, "{}: no row", fixture.name).unwrap();
        }
        for row in &fixture.rows {
            let status =
                parse_replica_status(row).unwrap_or_else(|e| panic!("{}: {e}", fixture.name));
            assert!(status.configured(), "{}", fixture.name);
            assert_eq!(status.source_user, "repl");
            assert_eq!(status.connect_retry_seconds, Some(1));
            assert!(status.filters.is_empty());
            writeln!(table, "{}: {}", fixture.name, summary(&status)).unwrap();
        }
    }
    assert!(
        fixtures.len() > 280,
        "only {} fixtures found",
        fixtures.len()
    );
    insta::assert_snapshot!("replica_status", table);
}

fn row(change: &str, value: Option<&str>) -> StatusRow {
    let row = replica_fixture("mariadb-10.11", "pos_healthy.show_slave_status");
    row.iter()
        .map(|(name, old)| {
            let value = if name == change { value } else { old };
            (name.to_owned(), value.map(str::to_owned))
        })
        .collect()
}

#[test]
fn old_and_new_names_find_each_other() {
    let row = row("", None);
    assert_eq!(row.get("Source_Host"), Some("127.0.0.1"));
    assert_eq!(row.get("master_host"), Some("127.0.0.1"));
    assert_eq!(row.get("REPLICA_IO_RUNNING"), Some("Yes"));
    assert_eq!(
        row.get("Relay_Source_Log_File"),
        row.get("Relay_Master_Log_File")
    );
    assert!(row.has("SQL_Remaining_Delay"));
    assert_eq!(row.get("SQL_Remaining_Delay"), None);
    assert!(!row.has("Channel_Name"));
}

#[test]
fn errors_name_the_column() {
    let without = |gone: &str| -> StatusRow {
        row("", None)
            .iter()
            .filter(|(name, _)| *name != gone)
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect()
    };
    assert_eq!(
        parse_replica_status(&without("Exec_Master_Log_Pos")),
        Err(StatusError::Missing("Exec_Source_Log_Pos"))
    );
    assert_eq!(
        parse_replica_status(&StatusRow::default()),
        Err(StatusError::Missing("Source_Host")) // Whichever is looked for first; the default row has none at all.
    );
    for (column, value) in [
        ("Master_Port", "70000"),
        ("Slave_IO_Running", "Maybe"),
        ("Slave_SQL_Running", "Connecting"),
        ("Using_Gtid", "Other"),
        ("Read_Master_Log_Pos", "-1"),
        ("Seconds_Behind_Master", "soon"),
    ] {
        match parse_replica_status(&row(column, Some(value))) {
            Err(StatusError::Bad { value: found, .. }) => assert_eq!(found, value),
            other => panic!("{column}: {other:?}"),
        }
    }
}

#[test]
fn values_that_no_fixture_has() {
    let status = parse_replica_status(&row("Slave_IO_Running", Some("Preparing"))).unwrap();
    assert_eq!(status.receiver, Receiver::Connecting);
    assert!(!status.is_running());
    let status = parse_replica_status(&row("Replicate_Do_DB", Some("shop"))).unwrap();
    assert_eq!(
        status.filters,
        [("Replicate_Do_DB".to_owned(), "shop".to_owned())]
    );
    assert!(status.is_running());
    let status = parse_replica_status(&row("Master_Host", None)).unwrap();
    assert!(!status.configured());
    let status = parse_replica_status(&row("Using_Gtid", Some("Current_Pos"))).unwrap();
    assert_eq!(status.positioning, Positioning::MariadbCurrentPos);
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(
        serde_json::from_str::<ReplicaStatus>(&json).unwrap(),
        status
    );
}
