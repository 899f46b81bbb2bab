//! Appliers: what counts as idle, tails of dead sources, and how they are stopped.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use keepalived_mysql::act::drain::{self, look};
use keepalived_mysql::act::failure::Failure;
use keepalived_mysql::act::here::Here;
use keepalived_mysql::act::stop::stop_replication;
use keepalived_mysql::config::{Config, Disconnect};
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::node::Contact;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::replication::replica::Receiver;
use keepalived_mysql::server::access::{Ladder, close};
use keepalived_mysql::server::connection::ServerError;
use keepalived_mysql::server::dialect::Start;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::servers::{
    self, Family, Kind, PASSWORD, PATIENCE, REPL_PASSWORD, Server, cell, connect, found, rows, run,
    wait_until,
};

/// A source, a replica that reads from it through a proxy, and the replica's programs.
struct Pair {
    source: Server,
    replica: Server,
    proxy: Proxy,
    here: Here,
    _folder: TempDir,
}

fn workers(kind: &Kind) -> &'static [&'static str] {
    match kind.family {
        Family::MySql56 => &["--slave-parallel-workers=2"],
        Family::MySql => &[],
        Family::MariaDb => &["--slave-parallel-threads=2"],
    }
}

/// This node's programs, with a short patience.
fn here(replica: &Server, folder: &TempDir) -> Here {
    let root = folder.path().display();
    let file = folder.path().join("config.toml");
    let text = format!(
        "group = \"VI_1\"\nvips = [\"192.0.2.1\"]\nstate_dir = \"{root}/state\"\nrun_dir = \"{root}/run\"\n\
         [[node]]\nname = \"node-a\"\naddress = \"127.0.0.1\"\nsocket = \"{}\"\n\
         [[node]]\nname = \"node-b\"\naddress = \"127.0.0.2\"\n\
         [accounts.local]\nuser = \"keepalived\"\npassword = \"{PASSWORD}\"\n\
         [accounts.replication]\nuser = \"repl\"\npassword = \"{REPL_PASSWORD}\"\n\
         [promote]\napply_timeout = \"2s\"\non_apply_timeout = \"refuse\"\nblocker_grace = \"20s\"\n",
        replica.socket.display()
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(&file).unwrap_or_else(|e| panic!("{e}")).config;
    let node = config.node_named("node-a").unwrap().clone();
    Here::open(config, node, "test")
}

impl Pair {
    fn start(kind: &Kind, by_gtid: bool, options: &[&str]) -> Self {
        let source = Server::listening(kind, &[]);
        source.grant();
        run(&mut source.root(), "CREATE DATABASE shop; CREATE TABLE shop.t (a INT PRIMARY KEY, b LONGTEXT) ENGINE = InnoDB").unwrap();
        let replica = Server::listening(kind, options);
        replica.grant();
        let proxy = Proxy::to(source.port);
        let mut contact = connect(&replica.local());
        let start = match by_gtid {
            true => Start::Gtid,
            false => Start::Position(BinlogPosition::new("binlog.000001", 4)),
        };
        let options = servers::source(proxy.port, start);
        for sql in contact.dialect.change_source("", &options) {
            run(&mut contact, &sql).unwrap();
        }
        let start = contact.dialect.start_replication("");
        run(&mut contact, &start).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pair = Self {
            here: here(&replica, &folder),
            source,
            replica,
            proxy,
            _folder: folder,
        };
        pair.inserts(1);
        pair.wait_for_row(1);
        pair
    }

    fn inserts(&self, row: u32) {
        let sql = format!("INSERT INTO shop.t VALUES ({row}, '')");
        run(&mut self.source.root(), &sql).unwrap();
    }

    fn wait_for_row(&self, row: u32) {
        let mut root = self.replica.root();
        let sql = format!(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' AND (SELECT COUNT(*) FROM shop.t WHERE a = {row})"
        );
        let seen = |root: &mut Contact| {
            let there = rows(root, "SHOW DATABASES LIKE 'shop'").len()
                + rows(root, "SHOW TABLES FROM mysql LIKE 'user'").len();
            there == 2
                && root
                    .session
                    .rows(&sql, Deadline::after(PATIENCE))
                    .is_ok_and(|rows| !rows.is_empty())
        };
        wait_until(
            || {
                format!(
                    "{}: row {row}: {:?}",
                    self.replica.kind.name,
                    look(
                        &mut connect(&self.replica.local()),
                        "",
                        Deadline::after(PATIENCE)
                    )
                )
            },
            || seen(&mut root),
        );
    }
}

#[test]
fn a_blocked_worker_is_never_idle() {
    for kind in found() {
        for by_gtid in [true, false] {
            let pair = Pair::start(&kind, by_gtid, workers(&kind));
            let mut blocker = pair.replica.root();
            run(&mut blocker, "LOCK TABLES shop.t READ").unwrap();
            let mut contact = connect(&pair.replica.local());
            pair.inserts(2);
            let received = |contact: &mut Contact| {
                look(contact, "", Deadline::after(PATIENCE))
                    .unwrap()
                    .status
                    .received
            };
            let end = cell(&mut pair.source.root(), contact.dialect.binlog_end());
            let at = rows(&mut pair.source.root(), contact.dialect.binlog_end())[0]
                .at(1)
                .unwrap()
                .parse()
                .unwrap();
            let end = BinlogPosition::new(end.unwrap(), at);
            wait_until(
                || "the row is received",
                || received(&mut contact).as_ref() == Some(&end),
            );
            drain::stop_receiver(&pair.here, &mut contact, "").unwrap();
            let proof = drain::prove_applied(&pair.here, &mut contact, "");
            let Err(Failure::Refused(refusal)) = &proof else {
                panic!("{} gtid={by_gtid}: {proof:?}", kind.name);
            };
            assert!(
                refusal
                    .to_string()
                    .contains("not everything received is applied"),
                "{refusal}"
            );
            run(&mut blocker, "UNLOCK TABLES").unwrap();
            let (_, note) = drain::prove_applied(&pair.here, &mut contact, "").unwrap();
            assert_eq!(note, "everything received is applied", "{}", kind.name);
        }
    }
}

#[test]
fn a_source_that_dies_while_sending_leaves_a_tail_that_nobody_waits_for() {
    for kind in found() {
        for by_gtid in [true, false] {
            // MySQL 5.6 with parallel workers cannot be hurried: it stops after its minute.
            let parallel = match kind.family {
                Family::MySql56 => &[],
                _ => workers(&kind),
            };
            let pair = Pair::start(&kind, by_gtid, parallel);
            // A transaction of many events, of which the proxy lets a part through.
            let mut root = pair.source.root();
            run(&mut root, "SET SESSION binlog_row_event_max_size = 8192").ok();
            let mut sql = String::from("BEGIN");
            for row in 100..120 {
                sql.push_str(&format!(
                    "; INSERT INTO shop.t VALUES ({row}, REPEAT('x', 200000))"
                ));
            }
            pair.proxy.allow(1_000_000);
            run(&mut root, &format!("{sql}; COMMIT")).unwrap();
            wait_until(|| "the proxy cuts", || pair.proxy.has_cut());
            let mut contact = connect(&pair.replica.local());
            let status = |contact: &mut Contact| {
                look(contact, "", Deadline::after(PATIENCE)).unwrap().status
            };
            wait_until(
                || "the receiver notices",
                || status(&mut contact).receiver != Receiver::Running,
            );
            drain::stop_receiver(&pair.here, &mut contact, "").unwrap();
            let label = format!("{} gtid={by_gtid}", kind.name);
            let (seen, note) = drain::prove_applied(&pair.here, &mut contact, "")
                .unwrap_or_else(|e| panic!("{label}: {e}"));
            eprintln!("{label}: {note}");
            assert_ne!(seen.status.received, seen.status.applied, "{label}");
            let begun = Instant::now();
            let note = stop_replication(&pair.here, &mut contact, "", true)
                .unwrap_or_else(|e| panic!("{label}: {e}"));
            eprintln!("{label}: stopped in {:?}: {note}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(8), "{label}");
            let reset = contact.dialect.reset_replication("");
            run(&mut contact, &reset).unwrap_or_else(|e| panic!("{label}: {e}"));
            assert_eq!(
                cell(&mut pair.replica.root(), "SELECT COUNT(*) FROM shop.t").as_deref(),
                Some("1"),
                "{label}"
            );
        }
    }
}

#[test]
fn closing_leaves_replication_threads_and_dump_threads_alone() {
    for kind in found() {
        let pair = Pair::start(&kind, true, workers(&kind));
        for server in [&pair.source, &pair.replica] {
            // Somebody who has to go, so that the ladder looks at everyone.
            let mut blocker = server.root();
            run(&mut blocker, "LOCK TABLES shop.t WRITE").unwrap();
            let target = server.local();
            let ladder = Ladder {
                target: &target,
                own_users: ["keepalived", "keepalived"],
                exempt_users: &[],
                disconnect: Disconnect::All,
                deadline: Deadline::after(PATIENCE),
            };
            let closed = close(&ladder).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
            assert!(!closed.disconnected.is_empty(), "{}", kind.name);
            let strangers: Vec<_> = closed
                .disconnected
                .iter()
                .filter(|name| !name.contains("root@"))
                .collect();
            assert!(strangers.is_empty(), "{}: {strangers:?}", kind.name);
        }
        run(&mut pair.source.root(), "SET GLOBAL read_only = 0").unwrap();
        pair.inserts(2);
        pair.wait_for_row(2);
    }
}

/// On MySQL 5.6 every check left a session behind that waited for ever, until the server had no
/// connections left.
#[test]
fn a_status_that_would_wait_is_not_asked_for() {
    for kind in found() {
        let pair = Pair::start(&kind, false, &[]);
        let mut blocker = pair.replica.root();
        run(&mut blocker, "LOCK TABLES shop.t READ").unwrap();
        pair.inserts(2);
        let mut root = pair.replica.root();
        let blocked = root.dialect.appliers_waiting_for_locks();
        wait_until(
            || "the applier waits for the lock",
            || cell(&mut root, &blocked) != Some("0".into()),
        );
        let mut stopper = connect(&pair.replica.local());
        stopper
            .session
            .send(&stopper.dialect.stop_replication(""))
            .unwrap();
        let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                     WHERE INFO LIKE 'STOP %' AND TIME > 0";
        wait_until(
            || "the STOP waits",
            || cell(&mut root, waits) != Some("0".into()),
        );
        let looked = connect(&pair.replica.local()).facts(Deadline::after(Duration::from_secs(5)));
        match (kind.family, looked) {
            (Family::MySql56, Err(ServerError::Answered { message, .. })) => {
                assert!(message.contains("STOP SLAVE waits"), "{message}");
            }
            (Family::MySql56, other) => panic!("{}: {other:?}", kind.name),
            (_, looked) => assert!(looked.is_ok(), "{}: {looked:?}", kind.name),
        }
        run(&mut blocker, "UNLOCK TABLES").unwrap();
    }
}
