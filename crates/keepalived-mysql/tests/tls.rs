//! Encryption of connections to peers, against real servers.
#![allow(clippy::unwrap_used)]

#[path = "common/tls_pki.rs"]
mod tls_pki;
#[path = "common/tls_server.rs"]
mod tls_server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use keepalived_mysql::config::{Node, Tls, TlsMode};
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::node::view_of;
use keepalived_mysql::server::connection::{Endpoint, ServerError, Session, Target};
use keepalived_mysql::server::tls::Encryption;
use keepalived_mysql::view::State;

use tls_pki::{Authority, Signed, Until};
use tls_server::{Kind, MODES, Server};

/// What a session is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Clear,
    Encrypted,
    Refused(ServerError),
}

struct Pki {
    ca: Authority,
    other: Authority,
}

impl Pki {
    fn new(folder: &Path) -> Self {
        Self {
            ca: Authority::new(folder, "ca"),
            other: Authority::new(folder, "other"),
        }
    }
}

fn tls(mode: TlsMode, ca: &Authority) -> Tls {
    Tls {
        mode,
        ca: Some(ca.path()),
        ..Tls::default()
    }
}

fn with_client(mode: TlsMode, ca: &Authority, client: &Signed) -> Tls {
    Tls {
        cert: Some(client.cert.clone()),
        key: Some(client.key.clone()),
        ..tls(mode, ca)
    }
}

fn connect(target: &Target) -> Got {
    let deadline = Deadline::after(Duration::from_secs(20));
    let mut session = match Session::connect(target, deadline) {
        Ok(session) => session,
        Err(error) => return Got::Refused(error),
    };
    let rows = session
        .rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'", deadline)
        .unwrap();
    match rows.first().and_then(|row| row.at(1)) {
        None | Some("") => Got::Clear,
        Some(_) => Got::Encrypted,
    }
}

fn ask(server: &Server, user: &str, tls: &Tls) -> Got {
    let mut target = server.target(user);
    target.encryption = Encryption::new(tls, server.path("no-tls"));
    connect(&target)
}

/// The error's words. A peer whose encryption fails is alive, and so counts as open.
fn words(got: Got) -> String {
    let Got::Refused(error) = got else {
        panic!("no error: {got:?}");
    };
    let text = error.to_string();
    assert_eq!(state(error), State::Alive, "{text}");
    assert!(!text.contains('\n'), "{text}");
    text
}

fn state(error: ServerError) -> State {
    let node: Node =
        serde_json::from_value(serde_json::json!({"name": "node-b", "address": "127.0.0.1"}))
            .unwrap();
    view_of(&node, Err(error)).state
}

fn accounts(server: &Server) {
    for (user, required) in [("plain", "NONE"), ("ssl", "SSL"), ("x509", "X509")] {
        server.root(&format!(
            "CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY 'secret' REQUIRE {required}"
        ));
    }
}

fn five_modes(kind: Kind) {
    let Some(mut server) = Server::new(kind) else {
        return;
    };
    let pki = Pki::new(server.folder());
    let named = pki.ca.sign("named", &["127.0.0.1"], Until::Later);
    server.start(&pki.ca.server_options(&named));
    accounts(&server);
    a_good_certificate(&server, &pki);
    client_certificates(&server, &pki);
    files_that_are_gone(&server, &pki);

    let unnamed = pki.ca.sign("unnamed", &["127.0.0.9"], Until::Later);
    server.start(&pki.ca.server_options(&unnamed));
    another_name(&server, &pki);

    let expired = pki.ca.sign("expired", &["127.0.0.1"], Until::Past);
    server.start(&pki.ca.server_options(&expired));
    out_of_date(&server, &pki);

    server.start(&[kind.no_tls()]);
    no_tls(&server, &pki);

    server.start(&pki.ca.server_options(&named));
    tls_that_came_later(&server, &pki);
}

fn a_good_certificate(server: &Server, pki: &Pki) {
    for mode in MODES {
        let clear = mode == TlsMode::Disabled;
        let expected = if clear { Got::Clear } else { Got::Encrypted };
        assert_eq!(
            ask(server, "plain", &tls(mode, &pki.ca)),
            expected,
            "{mode:?}"
        );
        let with_the_wrong_ca = ask(server, "plain", &tls(mode, &pki.other));
        if mode.verifies() {
            let text = words(with_the_wrong_ca);
            assert!(
                text.contains("is not signed by the 'ca' of [tls]"),
                "{text}"
            );
        } else {
            assert_eq!(with_the_wrong_ca, expected, "{mode:?}");
        }
    }
    assert_eq!(
        ask(server, "ssl", &tls(TlsMode::VerifyCa, &pki.ca)),
        Got::Encrypted
    );
    let text = words(ask(server, "ssl", &tls(TlsMode::Disabled, &pki.ca)));
    assert!(text.contains("1045"), "{text}");
}

fn client_certificates(server: &Server, pki: &Pki) {
    let client = pki.ca.sign("client", &[], Until::Later);
    let foreign = pki.other.sign("client", &[], Until::Later);
    for mode in MODES.into_iter().filter(|mode| *mode != TlsMode::Disabled) {
        let got = ask(server, "x509", &with_client(mode, &pki.ca, &client));
        assert_eq!(got, Got::Encrypted, "{mode:?}");
        let text = words(ask(server, "x509", &tls(mode, &pki.ca)));
        assert!(text.contains("1045"), "{mode:?}: {text}");
        let text = words(ask(server, "x509", &with_client(mode, &pki.ca, &foreign)));
        let expected = [
            "does not accept our certificate",
            "breaks the TLS handshake off",
        ];
        assert!(
            expected.iter().any(|words| text.contains(words)),
            "{mode:?}: {text}"
        );
    }
    let mut mixed = with_client(TlsMode::Required, &pki.ca, &client);
    mixed.key = Some(foreign.key);
    let text = words(ask(server, "x509", &mixed));
    assert!(text.contains("'key' does not belong to 'cert'"), "{text}");
}

/// A missing file of ours read as a missing socket, and a server that is not there counts as closed.
fn files_that_are_gone(server: &Server, pki: &Pki) {
    let mut gone = tls(TlsMode::VerifyCa, &pki.ca);
    gone.ca = Some(server.path("gone.pem"));
    let text = words(ask(server, "plain", &gone));
    assert!(text.contains("cannot read 'ca' of [tls]"), "{text}");
    let garbage = server.path("garbage.pem");
    fs::write(
        &garbage,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    gone.ca = Some(garbage);
    let text = words(ask(server, "plain", &gone));
    assert!(
        text.contains("cannot be set up with the files of [tls]"),
        "{text}"
    );
}

fn another_name(server: &Server, pki: &Pki) {
    for mode in MODES.into_iter().filter(|mode| *mode != TlsMode::Disabled) {
        let got = ask(server, "plain", &tls(mode, &pki.ca));
        if mode == TlsMode::VerifyIdentity {
            let text = words(got);
            assert!(text.contains("needs an IP subjectAltName"), "{text}");
        } else {
            assert_eq!(got, Got::Encrypted, "{mode:?}");
        }
    }
    let text = words(ask(server, "plain", &tls(TlsMode::VerifyCa, &pki.other)));
    assert!(text.contains("is not signed by"), "{text}");
}

fn out_of_date(server: &Server, pki: &Pki) {
    for mode in MODES.into_iter().filter(|mode| *mode != TlsMode::Disabled) {
        let got = ask(server, "plain", &tls(mode, &pki.ca));
        if mode.verifies() {
            let text = words(got);
            assert!(text.contains("has expired"), "{text}");
        } else {
            assert_eq!(got, Got::Encrypted, "{mode:?}");
        }
    }
}

/// Clear text where that will do, and one connection given up, however often we connect.
fn no_tls(server: &Server, pki: &Pki) {
    let mark = server.path("no-tls");
    assert!(!mark.exists());
    let before = connections(server);
    for _ in 0..5 {
        let got = ask(server, "plain", &tls(TlsMode::Preferred, &pki.ca));
        assert_eq!(got, Got::Clear);
    }
    assert!(mark.exists());
    // Five sessions, one attempt, and the question itself.
    assert_eq!(connections(server) - before, 7);
    assert_eq!(
        ask(server, "plain", &tls(TlsMode::Disabled, &pki.ca)),
        Got::Clear
    );
    for mode in [
        TlsMode::Required,
        TlsMode::VerifyCa,
        TlsMode::VerifyIdentity,
    ] {
        let text = words(ask(server, "plain", &tls(mode, &pki.ca)));
        assert!(text.contains("offers no TLS"), "{mode:?}: {text}");
    }
}

fn connections(server: &Server) -> u64 {
    let deadline = Deadline::after(Duration::from_secs(20));
    let sql = "SHOW GLOBAL STATUS LIKE 'Connections'";
    let rows = server.session().rows(sql, deadline).unwrap();
    rows[0].at(1).unwrap().parse().unwrap()
}

/// What is remembered of a server gives way when the server insists on TLS.
fn tls_that_came_later(server: &Server, pki: &Pki) {
    let mark = server.path("no-tls");
    assert!(mark.exists());
    let preferred = tls(TlsMode::Preferred, &pki.ca);
    assert_eq!(ask(server, "ssl", &preferred), Got::Encrypted);
    assert!(!mark.exists());
    assert_eq!(ask(server, "plain", &preferred), Got::Encrypted);
}

#[test]
fn mariadb_in_five_modes() {
    five_modes(Kind::MariaDb);
}

#[test]
fn mysql_in_five_modes() {
    five_modes(Kind::MySql97);
}

#[test]
fn mariadb_11_8_in_five_modes() {
    five_modes(Kind::MariaDb118);
}

/// A socket is never encrypted, whatever the configuration says.
#[test]
fn a_socket_stays_in_clear_text() {
    let Some(mut server) = Server::new(Kind::MariaDb) else {
        return;
    };
    let pki = Pki::new(server.folder());
    let signed = pki.other.sign("named", &["127.0.0.1"], Until::Past);
    server.start(&pki.ca.server_options(&signed));
    let mut target = server.target("root");
    target.password = None;
    target.endpoint = Endpoint::Socket(server.socket());
    let strict = tls(TlsMode::VerifyIdentity, &pki.ca);
    target.encryption = Encryption::new(&strict, server.path("no-tls"));
    assert_eq!(connect(&target), Got::Clear);
}

/// The greeting of MySQL 5.6.24 with TLS: version, connection 1, capabilities with CLIENT_SSL.
fn greeting() -> Vec<u8> {
    let mut packet = vec![10];
    packet.extend(b"5.6.24\0\x01\0\0\0abcdefgh\0\xff\xff\x21\x02\0\x7f\x80\x15");
    packet.extend([0; 10]);
    packet.extend(b"abcdefghijkl\0mysql_native_password\0");
    let length = u8::try_from(packet.len()).unwrap();
    [&[length, 0, 0, 0], packet.as_slice()].concat()
}

/// A server that greets, reads what TLS begins with, says `answer` and hangs up.
fn old_server(answer: &'static [u8]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let mut peer = peer;
            let _ = peer.write_all(&greeting());
            let mut hello = [0; 36 + 5];
            let _ = peer.read_exact(&mut hello);
            let _ = peer.write_all(answer);
        }
    });
    Target {
        endpoint: Endpoint::Tcp([127, 0, 0, 1].into(), port),
        user: "plain".into(),
        password: None,
        encryption: None,
    }
}

/// A peer that answers and cannot do our TLS read as silent, and a silent peer is promoted over.
#[test]
fn a_server_with_old_tls_is_alive_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new(folder.path(), "ca");
    // The alert "protocol version", then nothing at all.
    for answer in [b"\x15\x03\x01\x00\x02\x02\x46".as_slice(), b""] {
        for mode in [TlsMode::Preferred, TlsMode::Required, TlsMode::VerifyCa] {
            let mut target = old_server(answer);
            target.encryption = Encryption::new(&tls(mode, &ca), folder.path().join("no-tls"));
            let text = words(connect(&target));
            assert!(text.contains("TLS 1.2 is the least"), "{mode:?}: {text}");
        }
    }
}

/// Something that accepts for a server that is gone, and hangs up, is no server.
#[test]
fn a_port_that_only_accepts_is_not_alive() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new(folder.path(), "ca");
    let required = tls(TlsMode::Required, &ca);
    let target = Target {
        endpoint: Endpoint::Tcp([127, 0, 0, 1].into(), port),
        user: "plain".into(),
        password: None,
        encryption: Encryption::new(&required, folder.path().join("no-tls")),
    };
    let Got::Refused(error) = connect(&target) else {
        panic!("connected");
    };
    assert_eq!(state(error), State::Silent);
}

/// With a certificate file that could not be read, a dead peer counted as alive, and nobody took over.
#[test]
fn nobody_listening_is_down_in_every_mode() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new(folder.path(), "ca");
    let mut gone = tls(TlsMode::VerifyCa, &ca);
    gone.ca = Some(folder.path().join("gone.pem"));
    let all = MODES.map(|mode| tls(mode, &ca));
    for tls in all.into_iter().chain([gone]) {
        let target = Target {
            endpoint: Endpoint::Tcp([127, 0, 0, 1].into(), port),
            user: "plain".into(),
            password: None,
            encryption: Encryption::new(&tls, folder.path().join("no-tls")),
        };
        let Got::Refused(error) = connect(&target) else {
            panic!("connected");
        };
        assert_eq!(state(error), State::Down, "{tls:?}");
    }
}
