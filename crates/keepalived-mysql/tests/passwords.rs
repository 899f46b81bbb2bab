//! Every way to give a password, and every way in which servers check one, against real servers.
#![allow(clippy::unwrap_used)]

#[path = "common/tls_server.rs"]
mod tls_server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use keepalived_mysql::config::{Config, Node};
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::node::{local_target, peer_target};
use keepalived_mysql::server::connection::{ServerError, Session, Target};

use tls_server::{Kind, Server};

/// A password with everything that files and statements could stumble over.
const HARD: &str = "a'b\"c\\d #e;=";

fn log_in(target: &Target) -> Result<String, ServerError> {
    let deadline = Deadline::after(Duration::from_secs(20));
    let rows = Session::connect(target, deadline)?.rows("SELECT CURRENT_USER()", deadline)?;
    Ok(rows[0].at(0).unwrap().to_owned())
}

/// The configuration with this text as its accounts, as a file of mode 0600.
fn config(server: &Server, accounts: &str, tls: &str) -> (Config, Node) {
    let at = server.folder().display();
    let text = format!(
        "group = \"g\"\nvips = [\"192.0.2.38\"]\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n\
         [[node]]\nname = \"here\"\naddress = \"127.0.0.1\"\nport = {}\nsocket = \"{}\"\n\
         [[node]]\nname = \"there\"\naddress = \"127.0.0.2\"\n\
         [tls]\nmode = \"{tls}\"\n{accounts}\n",
        server.port(),
        server.socket().display()
    );
    let path = server.path("config.toml");
    write(server, "config.toml", &text);
    let config = Config::load(&path).unwrap().config;
    let node = config.node_named("here").unwrap().clone();
    (config, node)
}

fn write(server: &Server, name: &str, text: &str) -> String {
    let path = server.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn as_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The four forms, over the socket and over TCP.
fn forms(kind: Kind) {
    let Some(mut server) = Server::new(kind) else {
        return;
    };
    server.start(&[]);
    for host in ["localhost", "127.0.0.1"] {
        server.root(&format!(
            "CREATE USER 'k'@'{host}' IDENTIFIED BY {}",
            as_literal(HARD)
        ));
    }
    let file = write(&server, "password", &format!("{HARD}\n"));
    let escaped = HARD.replace('\\', "\\\\").replace('"', "\\\"");
    let options = write(
        &server,
        "my.cnf",
        &format!("[client]\nuser = k\npassword = \"{escaped}\"\n"),
    );
    let in_place = serde_json::to_string(HARD).unwrap();
    for form in [
        format!("user = \"k\"\npassword_file = \"{file}\""),
        format!("user = \"k\"\npassword = {in_place}"),
        format!("user = \"k\"\ndefaults_file = \"{options}\""),
        format!("defaults_file = \"{options}\""),
    ] {
        for tls in ["disabled", "preferred"] {
            let accounts = format!("[accounts.local]\n{form}\n[accounts.replication]\n{form}");
            let (config, node) = config(&server, &accounts, tls);
            assert_eq!(
                log_in(&local_target(&config, &node)).unwrap(),
                "k@localhost",
                "{form}"
            );
            assert_eq!(
                log_in(&peer_target(&config, &node)).unwrap(),
                "k@127.0.0.1",
                "{form}"
            );
        }
    }
}

/// No password at all: the server asks the system who is at the other end of the socket.
fn socket_authentication(kind: Kind, plugin: &str, install: &str) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: socket authentication is tried as root");
        return;
    }
    let Some(mut server) = Server::new(kind) else {
        return;
    };
    server.start(&[]);
    if !install.is_empty() {
        server.root(install);
    }
    server.root(&format!(
        "CREATE USER 'k'@'127.0.0.1' IDENTIFIED BY 'secret'; \
         ALTER USER 'root'@'localhost' IDENTIFIED {plugin}"
    ));
    let file = write(&server, "password", "secret");
    let accounts = format!(
        "[accounts.local]\nuser = \"root\"\n\
         [accounts.peer]\nuser = \"k\"\npassword_file = \"{file}\"\n\
         [accounts.replication]\nuser = \"k\"\npassword_file = \"{file}\""
    );
    let (config, node) = config(&server, &accounts, "disabled");
    assert!(config.accounts.local.password.is_none());
    assert_eq!(
        log_in(&local_target(&config, &node)).unwrap(),
        "root@localhost"
    );
    let mut other = local_target(&config, &node);
    server.root(&format!(
        "CREATE USER 'somebody'@'localhost' IDENTIFIED {plugin}"
    ));
    other.user = "somebody".into();
    assert!(log_in(&other).unwrap_err().code().is_some());
}

/// An account that the server checks by `plugin`, over TCP in clear text and over the socket.
fn plugin(server: &Server, name: &str, definition: &str) {
    for host in ["localhost", "127.0.0.1"] {
        server.root(&format!(
            "CREATE USER '{name}'@'{host}' IDENTIFIED {definition}"
        ));
    }
    let file = write(server, "password", "secret");
    let form = format!("user = \"{name}\"\npassword_file = \"{file}\"");
    let accounts = format!("[accounts.local]\n{form}\n[accounts.replication]\n{form}");
    for tls in ["disabled", "preferred"] {
        // Twice: caching_sha2_password knows the account the second time.
        for _ in 0..2 {
            let (config, node) = config(server, &accounts, tls);
            let over_tcp = log_in(&peer_target(&config, &node)).unwrap();
            assert_eq!(over_tcp, format!("{name}@127.0.0.1"), "{tls}");
            let over_the_socket = log_in(&local_target(&config, &node)).unwrap();
            assert_eq!(over_the_socket, format!("{name}@localhost"), "{tls}");
        }
    }
    let (config, node) = config(
        server,
        &accounts.replace(&file, &write(server, "bad", "wrong")),
        "disabled",
    );
    let error = log_in(&peer_target(&config, &node)).unwrap_err();
    assert!(error.code().is_some(), "{error}");
}

#[test]
fn mariadb_forms() {
    forms(Kind::MariaDb);
}

#[test]
fn mysql_forms() {
    forms(Kind::MySql97);
}

#[test]
fn mysql_5_6_forms() {
    forms(Kind::MySql56);
}

#[test]
fn mariadb_socket_authentication() {
    socket_authentication(Kind::MariaDb, "VIA unix_socket", "");
}

#[test]
fn mysql_socket_authentication() {
    let install = "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'";
    socket_authentication(Kind::MySql97, "WITH auth_socket", install);
}

#[test]
fn mysql_plugins() {
    let Some(mut server) = Server::new(Kind::MySql97) else {
        return;
    };
    server.start(&[]);
    plugin(&server, "sha2", "WITH caching_sha2_password BY 'secret'");
}

#[test]
fn mariadb_11_8_plugins() {
    let Some(mut server) = Server::new(Kind::MariaDb118) else {
        return;
    };
    server.start(&[]);
    server.root("INSTALL SONAME 'auth_ed25519'; INSTALL SONAME 'auth_parsec'");
    plugin(&server, "native", "BY 'secret'");
    plugin(&server, "ed", "VIA ed25519 USING PASSWORD('secret')");
    plugin(&server, "par", "VIA parsec USING PASSWORD('secret')");
}

#[test]
fn mariadb_10_5_ed25519() {
    let Some(mut server) = Server::new(Kind::MariaDb105) else {
        return;
    };
    server.start(&[]);
    server.root("INSTALL SONAME 'auth_ed25519'");
    plugin(&server, "ed", "VIA ed25519 USING PASSWORD('secret')");
}
