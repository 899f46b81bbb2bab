//! Every statement of the table, run with the accounts that the examples make and nothing more.

use keepalived_mysql::act::drain;
use keepalived_mysql::act::steps::set_durability;
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::epoch::Epoch;
use keepalived_mysql::gate;
use keepalived_mysql::ledger::record::{PromotionRecord, RecordState};
use keepalived_mysql::ledger::tables;
use keepalived_mysql::node::Contact;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::replication::replica::Receiver;
use keepalived_mysql::server::access::kill;
use keepalived_mysql::server::dialect::{Source, Start};
use keepalived_mysql::view::{Gtids, Tables};

use crate::servers::{self, Family, PATIENCE, Server, cell, connect, found, rows, run, wait_until};

fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

fn source(start: Start) -> Source<'static> {
    Source {
        password: "geheim",
        ..servers::source(1, start)
    }
}

/// What every node's program asks, on either account.
fn looks(contact: &mut Contact, server: &Server) {
    let name = server.kind.name;
    let facts = contact
        .facts(soon())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(facts.tables, Tables::Ready, "{name}");
    assert!(
        !facts.identity.is_empty() && facts.log_bin && facts.server_id > 0,
        "{name}: {facts:?}"
    );
    assert_eq!(
        facts.super_read_only.is_some(),
        server.kind.family == Family::MySql
    );
    match (&facts.gtids, server.kind.family) {
        (Gtids::MariaDb { .. }, Family::MariaDb) => {
            assert!(contact.dialect.known.server_uid, "{name}");
        }
        (Gtids::MySql { on, .. }, _) => assert!(on, "{name}"),
        other => panic!("{name}: {other:?}"),
    }
    assert!(contact.binlog_end(soon()).unwrap().is_some(), "{name}");
    // Without PROCESS it would see itself alone.
    let _bystander = server.root();
    let processes = rows(contact, contact.dialect.processes());
    assert!(
        processes.iter().any(|row| row.get("user") == Some("root")),
        "{name}"
    );
    assert_eq!(
        cell(contact, &contact.dialect.busy_appliers()).as_deref(),
        Some("0")
    );
    assert!(cell(contact, &contact.dialect.appliers_waiting_for_locks()).is_some());
}

/// Closes the server, writes into it while it is closed, and opens it again.
fn records_on_a_closed_server(contact: &mut Contact, epoch: &Epoch, name: &str) {
    run(contact, contact.dialect.close()).unwrap();
    let closed = contact.dialect.is_closed();
    assert_eq!(cell(contact, closed).as_deref(), Some("1"), "{name}");
    assert!(gate::take(contact, soon()).unwrap(), "{name}");
    let stands = tables::raise_fence(contact, epoch, "node-a", "test", soon());
    assert_eq!(stands.as_ref(), Ok(epoch), "{name}");
    let record = PromotionRecord {
        epoch: epoch.clone(),
        server_identity: "it's \"me\"".into(),
        state: RecordState::Opening,
        details: None,
    };
    tables::write_record(contact, &record, soon()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(
        cell(contact, closed).as_deref(),
        Some("1"),
        "{name}: left open"
    );
    let logged = rows(contact, "SELECT @@session.sql_log_bin");
    assert_eq!(logged[0].at(0), Some("0"), "{name}");
    gate::release(contact, soon()).unwrap();
    let at = contact
        .dialect
        .open(epoch.number, &epoch.node, "2100-01-01 00:00:00");
    assert_eq!(cell(contact, &at).as_deref(), Some("0"), "{name}");
    assert_eq!(
        cell(contact, contact.dialect.refuses_writes()).as_deref(),
        Some("0"),
        "{name}"
    );
}

fn kills_an_application(contact: &mut Contact, server: &Server) {
    let mut app = connect(&server.target("app", Some("app")));
    kill(contact, app.session.connection_id(), soon()).unwrap();
    assert!(run(&mut app, "SELECT 1").is_err(), "{}", server.kind.name);
}

#[test]
fn the_local_account_can_do_everything_and_needs_nothing_more() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        server.application();
        let contact = &mut connect(&server.local());
        let name = kind.name;
        looks(contact, &server);
        records_on_a_closed_server(contact, &Epoch::new(7, "node-a"), name);
        kills_an_application(contact, &server);
        run(
            contact,
            "SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 2",
        )
        .unwrap();
        assert!(
            set_durability(contact)
                .unwrap()
                .contains("sync_binlog 0 -> 1"),
            "{name}"
        );
        let files = rows(contact, contact.dialect.binlog_files());
        let first = BinlogPosition::new(files[0].at(0).unwrap(), 4);
        let events = rows(contact, &contact.dialect.binlog_events(&first, 3));
        assert!(events[0].get("End_log_pos").is_some(), "{name}");
        assert!(
            cell(contact, contact.dialect.relay_logs()).is_some(),
            "{name}"
        );
        for switch in contact.dialect.semi_sync_source_switches() {
            run(contact, &format!("SET GLOBAL {switch} = 0")).unwrap();
        }
        replicates(contact, name, &first);
    }
}

/// Every statement about replication, on a closed server, by GTID and by position.
fn replicates(contact: &mut Contact, name: &str, position: &BinlogPosition) {
    let dialect = contact.dialect;
    let mut must = |sql: &str| run(contact, sql).unwrap_or_else(|e| panic!("{name}: {e}"));
    must(dialect.close());
    must(&dialect.set_net_timeout(6));
    for start in [Start::Gtid, Start::Position(position.clone())] {
        for sql in dialect.change_source("", &source(start.clone())) {
            must(&sql);
        }
        must(&dialect.start_replication(""));
        must(&dialect.stop_receiver(""));
        must(&dialect.start_receiver(""));
        must(&dialect.stop_applier(""));
        must(&dialect.start_applier(""));
        must(&dialect.stop_replication(""));
    }
    let look = drain::look(contact, "", soon()).unwrap();
    assert_eq!(look.status.receiver, Receiver::Stopped, "{name}");
    assert_eq!(
        look.status.received.as_ref().map(|p| &p.file),
        Some(&position.file)
    );
    run(contact, &dialect.reset_replication("")).unwrap();
    assert!(rows(contact, dialect.replica_status()).is_empty(), "{name}");
}

#[test]
fn the_peer_account_looks_closes_and_fences_and_cannot_touch_replication() {
    for kind in found() {
        let server = Server::listening(&kind, &[]);
        server.grant();
        server.application();
        let contact = &mut connect(&server.peer());
        looks(contact, &server);
        records_on_a_closed_server(contact, &Epoch::new(7, "node-a"), kind.name);
        kills_an_application(contact, &server);
        for switch in contact.dialect.semi_sync_source_switches() {
            run(contact, &format!("SET GLOBAL {switch} = 0")).unwrap();
        }
        if kind.family != Family::MySql56 {
            let stop = contact.dialect.stop_replication("");
            let error = run(contact, &stop).unwrap_err().to_string();
            assert!(
                error.contains("keepalived@% may not run STOP"),
                "{}: {error}",
                kind.name
            );
        }
    }
}

#[test]
fn the_replication_account_replicates() {
    for kind in found() {
        let source = Server::listening(&kind, &[]);
        source.grant();
        let replica = Server::listening(&kind, &[]);
        replica.grant();
        let contact = &mut connect(&replica.local());
        let options = Source {
            port: source.port,
            password: crate::servers::REPL_PASSWORD,
            ..self::source(Start::Gtid)
        };
        for sql in contact.dialect.change_source("", &options) {
            run(contact, &sql).unwrap();
        }
        run(contact, &contact.dialect.start_replication("")).unwrap();
        run(&mut source.root(), "CREATE DATABASE replicated").unwrap();
        let looked = |contact: &mut Contact| drain::look(contact, "", soon()).unwrap();
        wait_until(
            || {
                format!(
                    "{}: {:?}",
                    kind.name,
                    looked(&mut connect(&replica.local()))
                )
            },
            || !rows(&mut replica.root(), "SHOW DATABASES LIKE 'replicated'").is_empty(),
        );
        let look = drain::look(contact, "", soon()).unwrap();
        assert!(look.status.is_running(), "{}: {look:?}", kind.name);
    }
}
