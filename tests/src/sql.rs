//! Connections with short deadlines, and rows as text.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Value};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

/// Where a server is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By address, port 3306, from inside the caller's namespace.
    Tcp(Ipv4Addr),
    /// By unix socket.
    Socket(PathBuf),
}

/// Who connects.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    /// The account's name.
    pub user: &'static str,
    /// Its password.
    pub password: Option<&'static str>,
}

impl Login {
    /// The lab's own eyes.
    pub const ROOT: Self = Self {
        user: "root",
        password: None,
    };
    /// What writers use.
    pub const APP: Self = Self {
        user: "app",
        password: Some(crate::config::password::APP),
    };
}

/// One row: column names and their text, `None` for NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(Vec<(String, Option<String>)>);

impl Row {
    /// The text of a column; empty for NULL and for a column that is not there. A replica's columns have
    /// other names on newer MySQL: the old ones find them too.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        let newer = column
            .replace("Master", "Source")
            .replace("Slave", "Replica");
        let found = self.0.iter().find(|(name, _)| {
            name.eq_ignore_ascii_case(column) || name.eq_ignore_ascii_case(&newer)
        });
        found.and_then(|(_, text)| text.as_deref()).unwrap_or("")
    }

    /// The text of the n-th column.
    #[must_use]
    pub fn at(&self, n: usize) -> &str {
        self.0
            .get(n)
            .and_then(|(_, text)| text.as_deref())
            .unwrap_or("")
    }
}

/// The kernel of a living host answers at once, whatever its server does; a lost SYN is sent again after a
/// second only. A short limit measures gaps finely.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(15);

/// Connects; every later read is bounded by `read`.
pub fn open(target: &Target, login: Login, init: &[&str], read: Duration) -> mysql::Result<Conn> {
    let builder = OptsBuilder::new()
        .user(Some(login.user))
        .pass(login.password)
        .prefer_socket(false)
        .max_allowed_packet(Some(16 << 20))
        .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
        .read_timeout(Some(read))
        .write_timeout(Some(read))
        .init(init.to_vec());
    let builder = match target {
        Target::Tcp(address) => builder
            .ip_or_hostname(Some(address.to_string()))
            .tcp_port(3306),
        Target::Socket(path) => builder.socket(path.to_str()),
    };
    Conn::new(builder)
}

/// A frozen server's full backlog would hold connect() for ever: ask first without waiting.
#[must_use]
pub fn would_block(target: &Target) -> bool {
    let Target::Socket(path) = target else {
        return false;
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(address) = UnixAddr::new(path.as_path()) else {
        return false;
    };
    let Ok(probe) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else {
        return false;
    };
    matches!(
        connect(probe.as_raw_fd(), &address),
        Err(nix::errno::Errno::EAGAIN)
    )
}

/// All rows of the last result set of the statements.
pub fn rows(conn: &mut Conn, statements: &str) -> Result<Vec<Row>> {
    Ok(result_sets(conn, statements)?.pop().unwrap_or_default())
}

/// The rows of every result set of the statements, in one round trip.
pub fn result_sets(conn: &mut Conn, statements: &str) -> Result<Vec<Vec<Row>>> {
    let mut answer = conn
        .query_iter(statements)
        .with_context(|| statements.to_owned())?;
    let mut sets = Vec::new();
    while let Some(set) = answer.iter() {
        let names: Vec<String> = set
            .columns()
            .as_ref()
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect();
        let mut list = Vec::new();
        for row in set {
            let values = row.with_context(|| statements.to_owned())?.unwrap();
            list.push(Row(names
                .iter()
                .cloned()
                .zip(values.into_iter().map(text))
                .collect()));
        }
        sets.push(list);
    }
    Ok(sets)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
