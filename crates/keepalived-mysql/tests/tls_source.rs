//! Encryption of replication channels: what `CHANGE ... SOURCE` is told, on real pairs of servers.
#![allow(clippy::unwrap_used)]

#[path = "common/tls_pki.rs"]
mod tls_pki;
#[path = "common/tls_server.rs"]
mod tls_server;

use std::time::Duration;

use keepalived_mysql::config::{Tls, TlsMode};
use keepalived_mysql::deadline::{Deadline, Pauses};
use keepalived_mysql::node::Contact;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::replication::replica::{Receiver, ReplicaStatus};
use keepalived_mysql::server::connection::Session;
use keepalived_mysql::server::dialect::{Dialect, Source, Start};
use keepalived_mysql::server::source_tls::{Offered, SourceTls};
use keepalived_mysql::server::status::{StatusRow, parse_replica_status};

use tls_pki::{Authority, Signed, Until};
use tls_server::{Kind, MODES, Server};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// A replica and its source.
struct Pair {
    kind: Kind,
    source: Server,
    replica: Server,
    dialect: Dialect,
}

impl Pair {
    fn new(kind: Kind) -> Option<Self> {
        let (source, mut replica) = (Server::new(kind)?, Server::new(kind)?);
        replica.start(&["--server-id=2".to_owned(), kind.no_tls()]);
        let dialect = Contact::open(&replica.root_target(), soon())
            .unwrap()
            .dialect;
        Some(Self {
            kind,
            source,
            replica,
            dialect,
        })
    }

    fn start_source(&mut self, flags: Vec<String>) {
        let mut all = vec!["--server-id=1".to_owned(), "--log-bin=binlog".to_owned()];
        all.extend(flags);
        self.source.start(&all);
    }

    fn account(&self) {
        self.source.root(
            "CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'secret'; \
             GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'",
        );
    }

    fn require(&self, what: &str) {
        self.source
            .root(&format!("ALTER USER repl@'127.0.0.1' REQUIRE {what}"));
    }

    /// Points the replica at the source, and waits for its receiver: to run, or to say why not.
    fn follow(&self, tls: &Tls, offered: Offered) -> Result<ReplicaStatus, String> {
        let mut session = self.replica.session();
        let source = Source {
            host: "127.0.0.1",
            port: self.source.port(),
            user: "repl",
            password: "secret",
            connect_retry: 1,
            retry_count: 86400,
            heartbeat: 2.0,
            tls: SourceTls::new(tls, offered),
            start: Start::Position(BinlogPosition::new("binlog.000001", 4)),
        };
        let mut statements = vec![
            self.dialect.stop_replication(""),
            self.dialect.reset_replication(""),
        ];
        statements.extend(self.dialect.change_source("", &source));
        statements.push(self.dialect.start_receiver(""));
        for sql in statements {
            session.run(&sql, soon()).expect(&sql);
        }
        self.outcome(&mut session)
    }

    fn outcome(&self, session: &mut Session) -> Result<ReplicaStatus, String> {
        let mut pauses = Pauses::up_to(Duration::from_millis(50));
        loop {
            let rows = session.rows(self.dialect.replica_status(), soon()).unwrap();
            let status = parse_replica_status(&StatusRow::from_iter(rows[0].columns())).unwrap();
            if let Some(error) = status.receiver_error {
                return Err(error.to_string());
            }
            if status.receiver == Receiver::Running {
                return Ok(status);
            }
            assert!(pauses.wait(soon()));
        }
    }
}

fn tls(mode: TlsMode, ca: &Authority) -> Tls {
    Tls {
        mode,
        ca: Some("/not/for/the/server.pem".into()),
        replication_ca: Some(ca.path()),
        ..Tls::default()
    }
}

fn with_client(mode: TlsMode, ca: &Authority, client: &Signed) -> Tls {
    Tls {
        cert: Some(client.cert.clone()),
        replication_key: Some(client.key.clone()),
        ..tls(mode, ca)
    }
}

fn channels(kind: Kind) {
    let Some(mut pair) = Pair::new(kind) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (
        Authority::new(folder.path(), "ca"),
        Authority::new(folder.path(), "other"),
    );
    let named = ca.sign("named", &["127.0.0.1"], Until::Later);
    pair.start_source(ca.server_options(&named));
    pair.account();
    good_and_wrong_authority(&pair, &ca, &other);
    client_certificate(&pair, &ca);
    pair.require("NONE");

    let unnamed = ca.sign("unnamed", &["127.0.0.9"], Until::Later);
    pair.start_source(ca.server_options(&unnamed));
    another_name(&pair, &ca);

    pair.start_source(vec![kind.no_tls()]);
    no_tls(&pair, &ca);
}

fn good_and_wrong_authority(pair: &Pair, ca: &Authority, other: &Authority) {
    for mode in MODES {
        pair.require(if mode == TlsMode::Disabled {
            "NONE"
        } else {
            "SSL"
        });
        let status = pair.follow(&tls(mode, ca), Offered::Tls).unwrap();
        assert_eq!(status.uses_tls, mode != TlsMode::Disabled, "{mode:?}");
        let wrong = pair.follow(&tls(mode, other), Offered::Tls);
        assert_eq!(wrong.is_err(), mode.verifies(), "{mode:?}: {wrong:?}");
    }
}

/// What an earlier channel was given is gone: MariaDB's RESET SLAVE ALL leaves it.
fn client_certificate(pair: &Pair, ca: &Authority) {
    let client = ca.sign("client", &[], Until::Later);
    pair.require("X509");
    for mode in MODES.into_iter().filter(|mode| *mode != TlsMode::Disabled) {
        let with = pair.follow(&with_client(mode, ca, &client), Offered::Tls);
        assert!(with.is_ok(), "{mode:?}: {with:?}");
        let without = pair.follow(&tls(mode, ca), Offered::Tls);
        assert!(without.is_err(), "{mode:?}: {without:?}");
    }
}

/// MariaDB 11.8 takes the shared password for a proof of identity where the name does not fit.
fn another_name(pair: &Pair, ca: &Authority) {
    for mode in MODES {
        let got = pair.follow(&tls(mode, ca), Offered::Tls);
        let fails = mode == TlsMode::VerifyIdentity && pair.kind != Kind::MariaDb118;
        assert_eq!(got.is_err(), fails, "{mode:?}: {got:?}");
    }
}

/// MariaDB falls back to clear text by itself, unless it verifies the name; MySQL never does.
fn no_tls(pair: &Pair, ca: &Authority) {
    for mode in MODES {
        let got = pair.follow(&tls(mode, ca), Offered::Nothing);
        let fails = match mode {
            TlsMode::Disabled | TlsMode::Preferred => false,
            TlsMode::Required | TlsMode::VerifyCa => !pair.kind.is_mariadb(),
            TlsMode::VerifyIdentity => true,
        };
        assert_eq!(got.is_err(), fails, "{mode:?}: {got:?}");
    }
}

#[test]
fn mariadb_channels() {
    channels(Kind::MariaDb);
}

#[test]
fn mariadb_10_5_channels() {
    channels(Kind::MariaDb105);
}

#[test]
fn mariadb_11_8_channels() {
    channels(Kind::MariaDb118);
}

#[test]
fn mysql_channels() {
    channels(Kind::MySql97);
}

/// The options exist there; the packaged 5.6 has no TLS to try them with.
#[test]
fn mysql_5_6_in_clear_text() {
    let Some(mut pair) = Pair::new(Kind::MySql56) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new(folder.path(), "ca");
    pair.start_source(vec![Kind::MySql56.no_tls()]);
    pair.account();
    for mode in [TlsMode::Disabled, TlsMode::Preferred] {
        let got = pair.follow(&tls(mode, &ca), Offered::Nothing);
        assert!(got.is_ok(), "{mode:?}: {got:?}");
    }
}
