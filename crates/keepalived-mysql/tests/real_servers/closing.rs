//! The ladder that closes a server.

use std::time::Duration;

use keepalived_mysql::config::Disconnect;
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::server::access::{Ladder, close};
use keepalived_mysql::server::connection::{ServerError, Target};

use crate::servers::{PATIENCE, Server, cell, connect, found, rows, run};

fn ladder<'a>(target: &'a Target, exempt: &'a [String], patience: Duration) -> Ladder<'a> {
    Ladder {
        target,
        own_users: ["keepalived", "keepalived"],
        exempt_users: exempt,
        disconnect: Disconnect::All,
        deadline: Deadline::after(patience),
    }
}

#[test]
fn who_holds_a_table_lock_is_disconnected_and_the_servers_own_threads_stay() {
    for kind in found() {
        let server = Server::listening(&kind, &["--event-scheduler=ON"]);
        server.grant();
        let mut app = connect(&server.application());
        run(&mut app, "LOCK TABLES shop.t WRITE").unwrap();
        let root = &mut server.root();
        let own = |root: &mut _| {
            rows(root, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER IN ('event_scheduler', 'system user')")[0].at(0).map(str::to_owned)
        };
        let before = own(root);
        // root too is an application unless it is exempt.
        let exempt = ["root".to_owned()];
        let target = server.local();
        let closed = close(&ladder(&target, &exempt, PATIENCE))
            .unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        assert_eq!(closed.disconnected.len(), 1, "{}: {closed:?}", kind.name);
        assert!(
            closed.disconnected[0].contains("app@localhost"),
            "{closed:?}"
        );
        assert!(run(&mut app, "SELECT 1").is_err());
        assert_eq!(own(root), before, "{}", kind.name);
        assert_eq!(cell(root, root.dialect.is_closed()).as_deref(), Some("1"));
        let again = close(&ladder(&target, &exempt, PATIENCE)).unwrap();
        assert!(again.already, "{}", kind.name);
    }
}

#[test]
fn a_setter_that_gives_up_leaves_nothing_queued() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        let mut app = connect(&server.application());
        run(&mut app, "LOCK TABLES shop.t WRITE").unwrap();
        let exempt = ["app".to_owned(), "root".to_owned()];
        let target = server.local();
        let error = close(&ladder(&target, &exempt, Duration::from_secs(2))).unwrap_err();
        match &error {
            ServerError::Silent { doing, .. } => {
                assert!(doing.contains("app@localhost"), "{error}")
            }
            error => assert_eq!(error.code(), Some(1205), "{}: {error}", kind.name),
        }
        run(&mut app, "UNLOCK TABLES; INSERT INTO shop.t VALUES (1)")
            .unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        let refuses = cell(&mut app, "SELECT @@global.read_only");
        assert_eq!(refuses.as_deref(), Some("0"), "{}", kind.name);
    }
}

#[test]
fn a_setter_waits_no_longer_than_lock_wait_timeout() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        let mut app = connect(&server.application());
        run(&mut app, "LOCK TABLES shop.t WRITE").unwrap();
        let contact = &mut connect(&server.local());
        let sql = format!(
            "SET SESSION lock_wait_timeout = 1; {}",
            contact.dialect.close()
        );
        assert_eq!(
            run(contact, &sql).unwrap_err().code(),
            Some(1205),
            "{}",
            kind.name
        );
        assert_eq!(
            cell(contact, contact.dialect.is_closed()).as_deref(),
            Some("0")
        );
    }
}

/// A record that could not set super_read_only again left read_only alone; the next closing then
/// disconnected everybody who read there.
#[test]
fn nobody_is_disconnected_for_super_read_only_alone() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        let root = &mut server.root();
        if !root.dialect.has_super_read_only() {
            continue;
        }
        run(
            root,
            "SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 1",
        )
        .unwrap();
        let mut reader = connect(&server.application());
        let target = server.local();
        let closed = close(&ladder(&target, &[], PATIENCE)).unwrap();
        assert!(
            closed.already && closed.disconnected.is_empty(),
            "{closed:?}"
        );
        assert_eq!(cell(root, root.dialect.is_closed()).as_deref(), Some("1"));
        run(&mut reader, "SELECT 1").unwrap();
    }
}
