//! A privilege that is missing is named, with the account and the statement that grants it.

use keepalived_mysql::act::failure::Failure;
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::node::Contact;
use keepalived_mysql::server::connection::ServerError;
use keepalived_mysql::server::dialect::{Dialect, Source, Start};

use crate::servers::{self, Family, PATIENCE, Server, connect, found, run};

/// The statements that need something, on a server with `dialect`.
fn statements(dialect: &Dialect) -> Vec<String> {
    let source = Source {
        password: "geheim",
        ..servers::source(1, Start::Gtid)
    };
    let mut all = vec![
        dialect.replica_status().to_owned(),
        dialect.binlog_end().to_owned(),
        dialect.binlog_files().to_owned(),
        "SHOW BINLOG EVENTS LIMIT 1".into(),
        dialect.stop_receiver(""),
        dialect.stop_replication(""),
        dialect.reset_replication(""),
        dialect.set_net_timeout(6),
        dialect.close().into(),
        "SET GLOBAL sync_binlog = 1".into(),
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1".into(),
        "SET SESSION sql_log_bin = 0".into(),
        "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS".into(),
        "SELECT COUNT(*) FROM information_schema.INNODB_TRX".into(),
        "UPDATE keepalived_mysql.fence SET reason = 'x' WHERE id = 1".into(),
        "SELECT epoch, node FROM keepalived_mysql.fence WHERE id = 1".into(),
    ];
    all.extend(dialect.change_source("", &source));
    for switch in dialect.semi_sync_source_switches() {
        all.push(format!("SET GLOBAL {switch} = 0"));
    }
    all
}

/// An account with nothing; what it is refused is granted as the hint says, until it works.
#[test]
fn each_privilege_that_is_taken_away_is_named() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        let make = match kind.family {
            Family::MySql56 => "GRANT USAGE ON *.* TO poor@localhost IDENTIFIED BY 'poor'",
            _ => "CREATE USER poor@localhost IDENTIFIED BY 'poor'",
        };
        let root = &mut server.root();
        let target = server.target("poor", Some("poor"));
        let dialect = root.dialect;
        for statement in statements(&dialect) {
            run(root, make).unwrap();
            let denied = refused(&mut connect(&target), &statement, kind.name);
            assert!(
                denied.what().starts_with("poor@localhost may not run "),
                "{}",
                denied.what()
            );
            let hint = denied.hint();
            assert!(
                hint.starts_with("GRANT "),
                "{}: {statement}: {denied}",
                kind.name
            );
            run(root, &hint).unwrap_or_else(|e| panic!("{}: {hint}: {e}", kind.name));
            let enough = run(&mut connect(&target), &statement);
            assert_eq!(
                enough,
                Ok(()),
                "{}: {hint} is not enough for {statement}",
                kind.name
            );
            run(root, "SET GLOBAL read_only = 0; DROP USER poor@localhost").unwrap();
        }
    }
}

fn refused(
    contact: &mut Contact,
    statement: &str,
    name: &str,
) -> keepalived_mysql::server::denied::Denied {
    match run(contact, statement) {
        Err(ServerError::Denied(denied)) => *denied,
        other => panic!("{name}: {statement}: {other:?}"),
    }
}

#[test]
fn a_message_says_who_may_not_do_what_and_how_to_grant_it() {
    for kind in found() {
        let server = Server::start(&kind);
        server.grant();
        let root = &mut server.root();
        let privilege = match kind.family {
            Family::MySql56 => "SUPER",
            Family::MySql => "SYSTEM_VARIABLES_ADMIN",
            Family::MariaDb => "READ_ONLY ADMIN",
        };
        run(
            root,
            &format!("REVOKE {privilege} ON *.* FROM keepalived@localhost"),
        )
        .unwrap();
        let contact = &mut connect(&server.local());
        let close = contact.dialect.close();
        let sql = format!("SET SESSION lock_wait_timeout = 5; {close}");
        let error = run(contact, &sql);
        if kind.name == "mariadb-10.5" {
            // SUPER, which the example gives for InnoDB's settings, covers it there.
            assert_eq!(error, Ok(()));
            continue;
        }
        let message = Failure::server("closing", &error.unwrap_err())
            .message()
            .to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(
            lines[0],
            format!(
                "ERROR: closing: keepalived@localhost may not run {close} on {}",
                server.socket.display()
            )
        );
        assert!(
            lines[1].starts_with("DETAIL: the server says error 1227 (42000): Access denied"),
            "{message}"
        );
        assert_eq!(
            lines[2],
            format!("HINT: GRANT {privilege} ON *.* TO 'keepalived'@'localhost'"),
            "{}",
            kind.name
        );
    }
}

#[test]
fn a_closed_server_names_the_privilege_to_write_all_the_same() {
    for kind in found() {
        let server = Server::start(&kind);
        server.application();
        run(&mut server.root(), "SET GLOBAL read_only = 1").unwrap();
        let mut app = connect(&server.target("app", Some("app")));
        let denied = refused(&mut app, "INSERT INTO shop.t VALUES (1)", kind.name);
        assert_eq!(denied.code, 1290);
        let privilege = denied.needs.unwrap().privilege;
        let expected = match kind.family {
            Family::MySql56 => "SUPER",
            Family::MySql => "CONNECTION_ADMIN",
            Family::MariaDb => "READ_ONLY ADMIN",
        };
        assert_eq!(privilege, expected, "{}", kind.name);
    }
}

#[test]
fn a_wrong_password_says_which_account_to_compare() {
    for kind in found() {
        let server = Server::start(&kind);
        let target = server.target("keepalived", Some("wrong"));
        let error = Contact::open(&target, Deadline::after(PATIENCE)).unwrap_err();
        let ServerError::Denied(denied) = &error else {
            panic!("{}: {error:?}", kind.name)
        };
        assert!(
            denied.what().ends_with("does not let keepalived in"),
            "{error}"
        );
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}
