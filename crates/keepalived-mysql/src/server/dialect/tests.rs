use std::fmt::Write as _;

use super::*;
use crate::config::{Tls, TlsMode};
use crate::replication::position::BinlogPosition;
use crate::server::masked::masked;
use crate::server::source_tls::{Offered, SourceTls};

/// The probed variables of each release, as documented; those that can be run were asked.
const SERVERS: [(&str, &[&str]); 10] = [
    ("5.6.24", &[]),
    ("5.7.44", &["super_read_only", "offline_mode"]),
    ("8.0.22", &["super_read_only", "offline_mode"]),
    ("8.0.26", NEW),
    ("8.0.40", NEW),
    ("8.4.5", NEW),
    ("9.7.4", NEW),
    ("10.5.29-MariaDB", MARIADB),
    ("10.11.19-MariaDB", MARIADB),
    ("11.8.6-MariaDB", MARIADB),
];
const NEW: &[&str] = &[
    "super_read_only",
    "log_replica_updates",
    "replica_net_timeout",
    "offline_mode",
    "rpl_semi_sync_source_enabled",
];
const MARIADB: &[&str] = &["server_uid", "rpl_semi_sync_master_enabled"];

fn dialect(version: &str, known: &[&str]) -> Dialect {
    Dialect::parse(version, "", Known::of(known.iter().copied())).expect("a version")
}

fn server(version: &str) -> Dialect {
    let (name, known) = SERVERS
        .iter()
        .find(|(name, _)| name.starts_with(version))
        .expect("a supported server");
    dialect(name, known)
}

static NO_TLS: Tls = Tls {
    mode: TlsMode::Disabled,
    ca: None,
    cert: None,
    key: None,
    replication_ca: None,
    replication_cert: None,
    replication_key: None,
};

fn source(start: Start) -> Source<'static> {
    Source {
        host: "192.168.1.37",
        port: 3306,
        user: "repl",
        password: "it's \\ {channel} secret",
        connect_retry: 1,
        retry_count: 86400,
        heartbeat: 2.0,
        tls: SourceTls::new(&NO_TLS, Offered::Tls),
        start,
    }
}

#[test]
fn products_and_versions() {
    let parse = |version, comment| Dialect::parse(version, comment, Known::default());
    let debian = parse("10.11.19-MariaDB-0+deb12u1-log", "Debian 12").expect("a version");
    assert_eq!(debian.product, Product::MariaDb);
    assert_eq!(debian.version, (10, 11, 19));
    let named_in_the_comment = parse("10.11.6-log", "mariadb.org binary distribution");
    assert_eq!(
        named_in_the_comment.map(|d| d.product),
        Some(Product::MariaDb)
    );
    let debian = parse("9.7.4-2", "(Debian)").expect("a version");
    assert_eq!(
        (debian.product, debian.version),
        (Product::MySql, (9, 7, 4))
    );
    let percona = parse("8.0.36-28", "Percona Server").expect("a version");
    assert_eq!(percona.version, (8, 0, 36));
    assert_eq!(parse("nonsense", ""), None);
}

/// Every statement of the table for `d`, by what it is for.
fn everything(d: &Dialect) -> Vec<(&'static str, String)> {
    let at = BinlogPosition::new("binlog.000007", 4711);
    let joined = |start| masked(&d.change_source("", &source(start)).join("; "));
    vec![
        ("facts", d.facts()),
        ("replica status", d.replica_status().into()),
        ("applied position", d.applied_position().into()),
        ("end of the binary log", d.binlog_end().into()),
        ("binary logs", d.binlog_files().into()),
        ("events", d.binlog_events(&at, 10)),
        ("stop receiver", d.stop_receiver("")),
        ("start receiver", d.start_receiver("")),
        ("stop applier", d.stop_applier("")),
        ("start applier", d.start_applier("")),
        ("stop", d.stop_replication("")),
        ("start", d.start_replication("")),
        ("reset", d.reset_replication("")),
        ("reset a channel", d.reset_replication("ch1")),
        ("network timeout", d.set_net_timeout(6)),
        ("follow by GTID", joined(Start::Gtid)),
        ("follow by position", joined(Start::Position(at))),
        ("close", d.close().into()),
        ("is closed", d.is_closed().into()),
        ("lift", d.lift_for_records().unwrap_or("-").into()),
        ("semi-sync source", d.semi_sync_source_switches().join(", ")),
        ("grants", d.grants_file().into()),
    ]
}

#[test]
fn every_statement_by_purpose_and_version() {
    let dialects: Vec<Dialect> = SERVERS.iter().map(|(v, known)| dialect(v, known)).collect();
    let all: Vec<_> = dialects.iter().map(everything).collect();
    let mut table = String::new();
    for (row, (purpose, _)) in all[0].iter().enumerate() {
        let _ = writeln!(table, "{purpose}");
        let mut before = None;
        for (dialect, statements) in dialects.iter().zip(&all) {
            let words = &statements[row].1;
            if before != Some(words) {
                let _ = writeln!(table, "    from {dialect}: {words}");
            }
            before = Some(words);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_same_for_every_server() {
    // What no line of the table tells apart; proved on real servers.
    for (version, known) in SERVERS {
        let d = dialect(version, known);
        assert!(d.open(7, "node-b", "2026").contains("SYSDATE(6)"));
        assert!(d.busy_appliers().contains("system user"));
        assert_eq!(d.refuses_writes(), "SELECT @@global.read_only");
    }
}

#[test]
fn rejoining_by_gtid_uses_the_form_that_notices_divergence() {
    let new = server("10.11.19").change_source("", &source(Start::Gtid));
    assert_eq!(new.len(), 1);
    assert!(new[0].contains("MASTER_DEMOTE_TO_SLAVE = 1"), "{new:?}");
    let old = server("10.5.29").change_source("", &source(Start::Gtid));
    assert_eq!(
        old[0],
        "SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos"
    );
    let mysql = server("9.7.4").change_source("", &source(Start::Gtid));
    assert!(mysql[0].contains("SOURCE_AUTO_POSITION = 1"), "{mysql:?}");
}

#[test]
fn channels_are_named_in_each_servers_way() {
    let stop = |version| server(version).stop_replication("ch1");
    assert_eq!(stop("10.11.19"), "STOP SLAVE 'ch1'");
    assert_eq!(stop("5.6.24"), "STOP SLAVE");
    assert_eq!(stop("5.7.44"), "STOP SLAVE FOR CHANNEL 'ch1'");
    assert_eq!(stop("9.7.4"), "STOP REPLICA FOR CHANNEL 'ch1'");
    let change = server("10.5.29").change_source("it's", &source(Start::Gtid));
    assert!(
        change[1].starts_with("CHANGE MASTER 'it''s' TO MASTER_HOST"),
        "{change:?}"
    );
    let change = server("8.4.5").change_source("ch1", &source(Start::Gtid));
    assert!(change[0].ends_with(" FOR CHANNEL 'ch1'"), "{change:?}");
}

/// STOP, START and RESET without a name would be about the channels of others too.
#[test]
fn mysqls_default_channel_is_named_where_there_can_be_others() {
    assert_eq!(server("5.6.24").reset_replication(""), "RESET SLAVE ALL");
    assert_eq!(
        server("8.4.5").reset_replication(""),
        "RESET REPLICA ALL FOR CHANNEL ''"
    );
    assert_eq!(server("11.8.6").reset_replication(""), "RESET SLAVE ALL");
}

#[test]
fn a_password_is_never_taken_for_a_place_to_fill() {
    let change = server("8.4.5").change_source("ch1", &source(Start::Gtid));
    assert!(change[0].contains("'it''s \\\\ {channel} secret'"));
}

#[test]
fn passwords_are_masked_whatever_is_in_them() {
    let sql = server("10.11.19")
        .change_source("", &source(Start::Gtid))
        .remove(0);
    let masked_sql = masked(&sql);
    assert!(!masked_sql.contains("secret"), "{masked_sql}");
    assert!(
        masked_sql.contains("MASTER_PASSWORD = '***', MASTER_CONNECT_RETRY"),
        "{masked_sql}"
    );
    assert_eq!(
        masked("CREATE USER u IDENTIFIED BY 'a''b' REQUIRE SSL"),
        "CREATE USER u IDENTIFIED BY '***' REQUIRE SSL"
    );
    assert_eq!(masked("SELECT 1"), "SELECT 1");
}
