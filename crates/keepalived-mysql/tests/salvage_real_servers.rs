//! Salvage from the binary logs of real servers, decoded again by the servers' own tools.
#![allow(clippy::unwrap_used)]

#[path = "common/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::time::Duration;

use keepalived_mysql::binlog::file::BinlogFile;
use keepalived_mysql::binlog::rows::Changes;
use keepalived_mysql::binlog::stream::Stream;
use keepalived_mysql::binlog::summary::{Summary, Taken};
use keepalived_mysql::binlog::take::Taker;
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::epoch::Epoch;
use keepalived_mysql::replication::evidence::Lost;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::server::connection::Session;
use keepalived_mysql::server::dialect::Product;

use server::{KINDS, Kind, Server};

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap()
}

fn product(kind: &Kind) -> Product {
    match kind.is_mariadb() {
        true => Product::MariaDb,
        false => Product::MySql,
    }
}

fn end(server: &Server) -> BinlogPosition {
    use mysql::prelude::Queryable as _;
    let statement = match server.kind.name {
        "mysql-9.7" => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    };
    let row: mysql::Row = server
        .connect()
        .unwrap()
        .query_first(statement)
        .unwrap()
        .unwrap();
    BinlogPosition::new(
        row.get::<String, _>(0).unwrap(),
        row.get::<u64, _>(1).unwrap(),
    )
}

fn files(server: &Server) -> Vec<String> {
    use mysql::prelude::Queryable as _;
    let rows: Vec<mysql::Row> = server.connect().unwrap().query("SHOW BINARY LOGS").unwrap();
    rows.iter()
        .map(|row| row.get::<String, _>(0).unwrap())
        .collect()
}

fn salvage(server: &Server, lost: &Lost, start: &BinlogPosition, to: &Path) -> Taken {
    let files = files(server);
    let mut file = BinlogFile::create(to).unwrap();
    let mut stream = Stream::open(&server.target(), product(server.kind), start).unwrap();
    let mut taker = Taker::new(lost, start, &files, &mut file);
    let deadline = Deadline::after(Duration::from_secs(60));
    while let Some(read) = stream.next(deadline).unwrap() {
        assert!(read.sound);
        taker.event(&read).unwrap();
    }
    let taken = taker.end().unwrap();
    file.finish().unwrap();
    taken
}

fn decoded(kind: &Kind, file: &Path) -> String {
    let output = kind
        .tool()
        .args(["--base64-output=decode-rows", "-vv"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("ERROR"),
        "{}: {said}",
        kind.name
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TABLES: &[&str] = &[
    "CREATE DATABASE lab",
    "CREATE TABLE lab.ledger (id INT PRIMARY KEY, note VARCHAR(300) CHARACTER SET utf8) ENGINE=InnoDB",
    "CREATE TABLE lab.wide (id INT PRIMARY KEY, a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d BIGINT, e FLOAT, \
     f DOUBLE, g DECIMAL(20,7), h DATE, i TIME, j DATETIME, k TIMESTAMP NULL, l YEAR, m CHAR(10), \
     n CHAR(200) CHARACTER SET utf8, o VARCHAR(20), p TEXT, q LONGBLOB, r ENUM('x','y'), s SET('p','q','r'), \
     t BIT(11), u TIME(3), v DATETIME(6), w TIMESTAMP(1) NULL, y BINARY(5), z DECIMAL(9,0)) ENGINE=InnoDB",
];

const WIDE: &str = "INSERT INTO lab.wide VALUES (1,-1,65535,-3,9e9,1.5,2.5,-1234567890123.1234567,'2026-11-20','10:11:12', \
     '2026-11-20 10:11:12','2026-11-20 10:11:12',2026,'abc',REPEAT('n',150),'','text',REPEAT('q',700),'y','p,r', \
     b'10110011101','10:11:12.123','2026-11-20 10:11:12.123456','2026-11-20 10:11:12.1','bin',123456789), \
     (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL, \
     NULL,NULL,NULL)";

/// One of everything: rows of all kinds, DDL, a statement, and what must not be taken.
fn work(server: &Server) {
    server.run(&[
        "INSERT INTO lab.ledger VALUES (1, 'one'), (2, REPEAT('x', 290))",
        WIDE,
        "UPDATE lab.wide SET a = 7, p = REPEAT('p', 300)",
        "UPDATE lab.ledger SET note = 'changed' WHERE id = 2",
        "DELETE FROM lab.ledger WHERE id = 1",
        "CREATE TABLE lab.more (id INT) ENGINE=InnoDB",
        "FLUSH BINARY LOGS",
        "BEGIN",
        "INSERT INTO lab.more VALUES (1), (2), (3)",
        "INSERT INTO lab.ledger VALUES (3, 'three')",
        "COMMIT",
        "BEGIN",
        "INSERT INTO lab.more VALUES (9)",
        "ROLLBACK",
        "SET SESSION binlog_format = STATEMENT",
        "INSERT INTO lab.more VALUES (4)",
        "SET SESSION binlog_format = ROW",
        "XA START 'x1'",
        "INSERT INTO lab.more VALUES (5)",
        "XA END 'x1'",
        "XA PREPARE 'x1'",
        "XA COMMIT 'x1'",
        "TRUNCATE TABLE lab.more",
    ]);
}

fn counted(taken: &Taken, table: &str) -> (u64, u64, u64) {
    let changes: &Changes = taken
        .tables
        .get(table)
        .unwrap_or_else(|| panic!("{taken:#?}"));
    assert_eq!(changes.uncounted_events, 0, "{table}");
    (changes.inserted, changes.updated, changes.deleted)
}

/// What the tool prints is what was counted.
fn same_as_tool(taken: &Taken, text: &str) {
    for (word, count) in [
        (
            "### INSERT INTO ",
            taken.tables.values().map(|c| c.inserted).sum::<u64>(),
        ),
        (
            "### UPDATE ",
            taken.tables.values().map(|c| c.updated).sum(),
        ),
        (
            "### DELETE FROM ",
            taken.tables.values().map(|c| c.deleted).sum(),
        ),
    ] {
        let shown = text.lines().filter(|line| line.starts_with(word)).count() as u64;
        assert_eq!(shown, count, "{word}: {taken:#?}");
    }
}

fn checked(server: &Server, lost: &Lost, start: &BinlogPosition, name: &str) -> (Taken, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("binlog.000001");
    let taken = salvage(server, lost, start, &file);
    let text = decoded(server.kind, &file);
    println!(
        "{} {name}: {} {:?}",
        server.kind.name,
        taken.in_short(),
        taken.found
    );
    if let (Some(fixtures), true) = (std::env::var_os("SALVAGE_FIXTURES"), taken.transactions > 5) {
        let to = Path::new(&fixtures).join(format!("{}.{name}.binlog", server.kind.name));
        fs::copy(&file, to).unwrap();
    }
    same_as_tool(&taken, &text);
    assert_eq!(fs::metadata(&file).unwrap().len(), taken.bytes);
    (taken, text)
}

fn everything_by_position(name: &str, options: &[&str], label: &str) {
    let kind = kind(name);
    if !kind.there() {
        return;
    }
    let mut server = Server::start(kind, options);
    server.run(TABLES);
    let from = end(&server);
    work(&server);
    server.crash_and_restart();
    server.run(&["INSERT INTO lab.ledger VALUES (77, 'after the crash')"]);
    let lost = Lost::Position {
        from: from.clone(),
        server_id: 11,
    };
    let (taken, text) = checked(&server, &lost, &from, label);
    assert_eq!(counted(&taken, "lab.ledger"), (4, 1, 1));
    assert_eq!(counted(&taken, "lab.wide"), (2, 2, 0));
    assert_eq!(taken.left_out, Vec::<String>::new());
    assert!(
        taken
            .statements
            .iter()
            .any(|s| s.contains("CREATE TABLE lab.more")),
        "{taken:#?}"
    );
    assert!(
        taken.statements.iter().any(|s| s.contains("TRUNCATE")),
        "{taken:#?}"
    );
    assert!(text.contains("after the crash"), "the last one is missing");
    let none = Lost::Position {
        from: from.clone(),
        server_id: 12,
    };
    let (taken, _) = checked(&server, &none, &from, "none");
    assert_eq!(taken.transactions, 0, "{taken:#?}");
}

#[test]
fn mariadb_10_11_by_position() {
    everything_by_position("mariadb-10.11", &[], "position");
}

#[test]
fn mariadb_10_11_compressed() {
    everything_by_position(
        "mariadb-10.11",
        &["log_bin_compress=ON", "log_bin_compress_min_len=10"],
        "compressed",
    );
}

#[test]
fn mariadb_10_11_without_checksums() {
    everything_by_position("mariadb-10.11", &["binlog_checksum=NONE"], "no-checksum");
}

#[test]
fn mariadb_11_8_by_position() {
    everything_by_position("mariadb-11.8", &[], "position");
}

#[test]
fn mariadb_10_5_by_position() {
    everything_by_position("mariadb-10.5", &[], "position");
}

#[test]
fn mysql_9_7_by_position() {
    everything_by_position("mysql-9.7", &["gtid_mode=OFF"], "position");
}

#[test]
fn mysql_9_7_compressed() {
    everything_by_position(
        "mysql-9.7",
        &["binlog_transaction_compression=ON"],
        "compressed",
    );
}

#[test]
fn mysql_5_6_by_position() {
    everything_by_position("mysql-5.6", &[], "position");
}

/// Everything, by number, from the head of the first file; and then only some of it.
fn by_number(name: &str, options: &[&str]) {
    let kind = kind(name);
    if !kind.there() {
        return;
    }
    let server = Server::start(kind, options);
    server.run(TABLES);
    let number = match kind.is_mariadb() {
        true => "SELECT @@global.gtid_binlog_state",
        false => "SELECT @@global.gtid_executed",
    };
    let known = server.one(number);
    work(&server);
    let all = server.one(number);
    let lost = |new: &str| match kind.is_mariadb() {
        true => Lost::by_mariadb(
            &all.parse().unwrap(),
            &new.parse().unwrap(),
            &Default::default(),
        ),
        false => Lost::by_mysql(&all.parse().unwrap(), &new.parse().unwrap()),
    };
    let start = BinlogPosition::new("binlog.000001", 4);
    let wanted = lost(&known).unwrap();
    let (taken, _) = checked(&server, &wanted, &start, "gtid");
    assert_eq!(counted(&taken, "lab.ledger"), (3, 1, 1));
    assert_eq!(taken.not_found, Vec::<String>::new());
    assert_eq!(lost(&all), None);
    // The first file is gone: what stood in it is named, the rest is taken.
    let second = files(&server)[1].clone();
    server.run(&[&format!("PURGE BINARY LOGS TO '{second}'")]);
    let (taken, _) = checked(&server, &wanted, &BinlogPosition::new(second, 4), "purged");
    assert!(taken.transactions > 0, "{taken:#?}");
    assert!(
        kind.is_mariadb() || !taken.not_found.is_empty(),
        "{taken:#?}"
    );
}

#[test]
fn mariadb_10_11_by_number() {
    by_number("mariadb-10.11", &[]);
}

#[test]
fn mariadb_11_8_by_number() {
    by_number("mariadb-11.8", &[]);
}

#[test]
fn mysql_9_7_by_number() {
    by_number(
        "mysql-9.7",
        &["gtid_mode=ON", "enforce_gtid_consistency=ON"],
    );
}

#[test]
fn mysql_5_6_by_number() {
    by_number(
        "mysql-5.6",
        &[
            "gtid_mode=ON",
            "enforce_gtid_consistency=ON",
            "log_slave_updates=ON",
        ],
    );
}

/// The command in `summary.txt` commits the transactions again, under new numbers, on a server that would
/// refuse the old ones.
fn can_be_applied_again(name: &str, client: &str, options: &[&str]) {
    let kind = kind(name);
    if !kind.there() {
        return;
    }
    let old = Server::start(kind, options);
    old.run(TABLES);
    let from = end(&old);
    old.run(&[
        "INSERT INTO lab.ledger VALUES (1, 'one'), (2, 'two')",
        "UPDATE lab.ledger SET note = 'changed' WHERE id = 2",
        "DELETE FROM lab.ledger WHERE id = 1",
        "CREATE TABLE lab.more (id INT)",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let lost = Lost::Position {
        from: from.clone(),
        server_id: 11,
    };
    let file = folder.path().join("binlog.000001");
    let taken = salvage(&old, &lost, &from, &file);
    let new = Server::start(kind, options);
    new.run(TABLES);
    new.run(&["CREATE TABLE lab.other (id INT)", "DROP TABLE lab.other"]);
    let summary = Summary {
        taken_at: String::new(),
        group: String::new(),
        node: "node-a".into(),
        source: "localhost".into(),
        epoch: Epoch::default(),
        server: String::new(),
        product: product(kind),
        identity: String::new(),
        server_id: 11,
        lost,
        scanned_from: from,
        taken,
    };
    let command = summary.apply(&folder.path().display().to_string());
    let tool = kind.tool().get_program().to_string_lossy().into_owned();
    let word = if kind.is_mariadb() {
        "mariadb-binlog"
    } else {
        "mysqlbinlog"
    };
    let command = command.replacen(word, &tool, 1);
    let (rest, _) = command.rsplit_once("| ").unwrap();
    let socket = new.socket();
    let command = format!(
        "set -o pipefail; {rest}| {} -u root -S {}",
        new.kind.client(client),
        socket.display()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        new.one("SELECT GROUP_CONCAT(id, note) FROM lab.ledger"),
        "2changed"
    );
    assert_eq!(new.one("SELECT COUNT(*) FROM lab.more"), "0");
}

#[test]
fn mariadb_10_11_can_be_applied_again() {
    can_be_applied_again("mariadb-10.11", "/usr/bin/mariadb", &["gtid_strict_mode=1"]);
}

#[test]
fn mysql_9_7_can_be_applied_again() {
    can_be_applied_again(
        "mysql-9.7",
        "usr/bin/mysql",
        &["gtid_mode=ON", "enforce_gtid_consistency=ON"],
    );
}

/// Without the privilege the server says so, with 1045 or 1227, and the salvage can name what to grant.
fn without_the_privilege(name: &str) {
    let kind = kind(name);
    if !kind.there() {
        return;
    }
    let server = Server::start(kind, &[]);
    server.run(&["CREATE USER 'reader'@'localhost'"]);
    let mut target = server.target();
    target.user = "reader".into();
    Session::connect(&target, Deadline::after(Duration::from_secs(10))).unwrap();
    let start = BinlogPosition::new("binlog.000001", 4);
    let mut stream = Stream::open(&target, product(kind), &start).unwrap();
    let refused = stream
        .next(Deadline::after(Duration::from_secs(10)))
        .unwrap_err();
    println!("{name}: {refused}");
    assert!(
        matches!(refused.code(), Some(1045 | 1227)),
        "{name}: {refused}"
    );
    // And a file that is gone is an error, not an empty log.
    let gone = BinlogPosition::new("binlog.000099", 4);
    let mut stream = Stream::open(&server.target(), product(kind), &gone).unwrap();
    let refused = loop {
        match stream.next(Deadline::after(Duration::from_secs(10))) {
            Ok(Some(read)) => assert!(read.event.artificial() || read.event.bookkeeping()),
            Ok(None) => panic!("{name}: the log is read as empty"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Some(1236), "{name}: {refused}");
}

#[test]
fn without_replication_slave_the_server_refuses() {
    for kind in &KINDS {
        without_the_privilege(kind.name);
    }
}
