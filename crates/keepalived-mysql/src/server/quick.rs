//! One question to the local server: one connection, one round trip, no thread.
//!
//! The check asks the same thing each second over a Unix socket. [`Session`](super::connection::Session)
//! spends a thread, 4 MiB of buffers and several round trips on it. This is the usual case spelled out;
//! whatever is unusual (a full backlog, another way of authenticating, an error of the server) goes the
//! ordinary way from the start, and is told in its words.

mod packets;

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse};
use mysql_common::proto::MySerialize as _;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

use crate::deadline::Deadline;
use crate::server::connection::{Answer, Endpoint, ServerError, Target};
use crate::server::dialect::{Dialect, Known, Product};
use packets::{Inbox, Reply};

/// Says what the server is, so that an overridden version in its greeting is noticed.
const WHO: &str = "SELECT VERSION(), @@version_comment";

/// What both sides must be able to do. No compression, no TLS: the socket does not leave this host.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_MULTI_STATEMENTS)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// What we say that we can do. MariaDB reads the first flag as "a client of MySQL's kind, without
/// MariaDB's own extensions", and does not send it (protocol documentation, "Capabilities").
const CAPABILITIES: CapabilityFlags = NEEDED.union(CapabilityFlags::CLIENT_LONG_PASSWORD);

/// What we tell the server; it refuses longer packets from us, not longer answers.
const LARGEST_PACKET: u32 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// This is not the usual case: ask in the ordinary way.
    Unusual(&'static str),
    /// The ordinary way would meet the same.
    Failed(ServerError),
}

/// What the server said, and who it is.
#[derive(Debug)]
pub struct Asked {
    /// Its words.
    pub dialect: Dialect,
    /// What it answered to each statement of the question.
    pub answers: Vec<Answer>,
    /// Its process, by the kernel's word (unix(7), SO_PEERCRED): a pid file may be its server's alone.
    pub pid: Option<i32>,
}

/// Asks the server behind a Unix socket everything that `question` wants of a server of this dialect.
///
/// The dialect is read out of the server's greeting, and confirmed in the same round trip. MariaDB is
/// taken to know `server_uid`; a release that does not (before August 2024) answers with an error, and
/// is then asked in the ordinary way.
pub fn ask(
    target: &Target,
    question: impl FnOnce(&Dialect) -> String,
    deadline: Deadline,
) -> Result<Asked, NoAnswer> {
    let Endpoint::Socket(path) = &target.endpoint else {
        return Err(NoAnswer::Unusual("not a Unix socket"));
    };
    if target.encryption.is_some() {
        return Err(NoAnswer::Unusual("an encrypted connection"));
    }
    let mut line = Line::open(path, target, deadline)?;
    let pid = line.server_pid();
    let dialect = line.log_in(target)?;
    let sql = format!("{WHO}; {}", question(&dialect));
    let answers = line.run(&sql);
    line.hang_up();
    let mut answers = answers?;
    if answers.is_empty() || said(&answers.remove(0)) != Some(dialect) {
        return Err(NoAnswer::Unusual("the greeting names another version"));
    }
    Ok(Asked {
        dialect,
        answers,
        pid,
    })
}

fn said(answer: &Answer) -> Option<Dialect> {
    let row = answer.rows.first()?;
    presumed(row.at(0)?, row.at(1)?)
}

/// The dialect of a version, with the variables that its newer releases have. What a server has beyond
/// that is not missed; what it lacks makes its answer an error.
fn presumed(version: &str, comment: &str) -> Option<Dialect> {
    let dialect = Dialect::parse(version, comment, Known::default())?;
    let known = match dialect.product {
        Product::MariaDb => Known::MARIADB,
        Product::MySql => Known {
            super_read_only: dialect.version >= (5, 7, 8),
            log_replica_updates: dialect.version >= (8, 0, 26),
            offline_mode: dialect.version >= (5, 7, 5),
            ..Known::default()
        },
    };
    Some(Dialect { known, ..dialect })
}

/// MariaDB before 11 says `5.5.5-10.11.6-MariaDB` in its greeting, for the sake of old replicas.
fn greeted(version: &str) -> Option<Dialect> {
    let real = match version.strip_prefix("5.5.5-") {
        Some(rest) if rest.contains("MariaDB") => rest,
        _ => version,
    };
    presumed(real, "")
}

/// A connection to the server.
struct Line {
    stream: UnixStream,
    inbox: Inbox,
    endpoint: String,
    waited: Duration,
    deadline: Deadline,
    sequence: u8,
}

impl Line {
    fn open(path: &Path, target: &Target, deadline: Deadline) -> Result<Self, NoAnswer> {
        let endpoint = target.endpoint.to_string();
        let stream = match dial(path) {
            Ok(stream) => stream,
            Err(error) => return Err(not_connected(endpoint, &error)),
        };
        Ok(Self {
            stream,
            inbox: Inbox::default(),
            endpoint,
            waited: deadline.remaining(),
            deadline,
            sequence: 0,
        })
    }

    fn server_pid(&self) -> Option<i32> {
        let peer = getsockopt(&self.stream, PeerCredentials).ok()?;
        Some(peer.pid())
    }

    fn log_in(&mut self, target: &Target) -> Result<Dialect, NoAnswer> {
        let packet = self.receive("connecting")?;
        let greeting: HandshakePacket<'_> = match packet.first() {
            Some(10) => ParseBuf(&packet)
                .parse(())
                .map_err(|_| NoAnswer::Unusual("a greeting that cannot be read"))?,
            _ => return Err(NoAnswer::Unusual("no greeting")),
        };
        if !greeting.capabilities().contains(NEEDED) {
            return Err(NoAnswer::Unusual("an old protocol"));
        }
        let dialect = greeted(&greeting.server_version_str())
            .ok_or(NoAnswer::Unusual("an unknown version"))?;
        let plugin = greeting
            .auth_plugin()
            .filter(usual)
            .unwrap_or(AuthPlugin::MysqlNativePassword);
        let password = target.password.as_ref().map(|secret| secret.expose());
        let proof = plugin.gen_data(password, &greeting.nonce());
        let response = HandshakeResponse::new(
            proof.as_deref(),
            (5, 5, 5),
            Some(target.user.as_bytes()),
            None::<&[u8]>,
            Some(plugin),
            CAPABILITIES,
            None,
            LARGEST_PACKET,
        );
        let mut bytes = Vec::with_capacity(128);
        response.serialize(&mut bytes);
        self.send(&bytes)?;
        self.authenticate(password)?;
        Ok(dialect)
    }

    /// Goes on until the server lets us in. What needs more than a scramble is unusual.
    fn authenticate(&mut self, password: Option<&str>) -> Result<(), NoAnswer> {
        let mut switched = false;
        loop {
            let packet = self.receive("connecting")?;
            match packet.as_slice() {
                [0x00, ..] => return Ok(()),
                // caching_sha2_password knows us; the server's OK follows.
                [0x01, 0x03] => {}
                [0xFE, _, ..] if !switched => {
                    switched = true;
                    self.switch(&packet, password)?;
                }
                _ => return Err(NoAnswer::Unusual("another way of authenticating")),
            }
        }
    }

    fn switch(&mut self, packet: &[u8], password: Option<&str>) -> Result<(), NoAnswer> {
        let unusual = NoAnswer::Unusual("another way of authenticating");
        let Ok(wish) = ParseBuf(packet).parse::<AuthSwitchRequest<'_>>(()) else {
            return Err(unusual);
        };
        let plugin = wish.auth_plugin();
        if !usual(&plugin) {
            return Err(unusual);
        }
        let proof = plugin.gen_data(password, wish.plugin_data());
        self.send(proof.as_deref().unwrap_or_default())
    }

    fn run(&mut self, sql: &str) -> Result<Vec<Answer>, NoAnswer> {
        self.sequence = 0;
        let mut command = Vec::with_capacity(sql.len() + 1);
        command.push(0x03);
        command.extend_from_slice(sql.as_bytes());
        self.send(&command)?;
        let mut reply = Reply::default();
        loop {
            let packet = self.receive("looking at the server")?;
            match reply.take(&packet) {
                Ok(true) => return Ok(reply.answers),
                Ok(false) => {}
                Err(why) => return Err(NoAnswer::Unusual(why)),
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), NoAnswer> {
        let Ok(length) = u32::try_from(payload.len()) else {
            return Err(NoAnswer::Unusual("a long question"));
        };
        let [a, b, c, 0] = length.to_le_bytes() else {
            return Err(NoAnswer::Unusual("a long question"));
        };
        let mut bytes = Vec::with_capacity(payload.len() + 4);
        bytes.extend_from_slice(&[a, b, c, self.sequence]);
        bytes.extend_from_slice(payload);
        self.patience()
            .and_then(|()| self.stream.write_all(&bytes))
            .map_err(|error| self.broken(&error, "asking"))
    }

    fn receive(&mut self, doing: &'static str) -> Result<Vec<u8>, NoAnswer> {
        loop {
            match self.inbox.packet() {
                Ok(Some((sequence, payload))) => {
                    self.sequence = sequence.wrapping_add(1);
                    return Ok(payload);
                }
                Ok(None) => {}
                Err(why) => return Err(NoAnswer::Unusual(why)),
            }
            let read = self
                .patience()
                .and_then(|()| self.stream.read(self.inbox.space()));
            match read {
                Ok(0) => {
                    let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(self.broken(&ended, doing));
                }
                Ok(count) => self.inbox.filled(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error, doing)),
            }
        }
    }

    /// No read and no write outlasts the deadline.
    fn patience(&self) -> io::Result<()> {
        let left = self.deadline.remaining();
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }

    fn broken(&self, error: &io::Error, doing: &str) -> NoAnswer {
        let endpoint = self.endpoint.clone();
        NoAnswer::Failed(match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ServerError::Silent {
                endpoint,
                waited: self.waited,
                doing: doing.into(),
            },
            _ => ServerError::Lost {
                endpoint,
                detail: error.to_string(),
            },
        })
    }

    /// Without it the server counts and logs an aborted connection.
    fn hang_up(&mut self) {
        let _ = self.stream.write_all(&[1, 0, 0, 0, 0x01]);
    }
}

/// The ways of authenticating that are one scramble.
fn usual(plugin: &AuthPlugin<'_>) -> bool {
    matches!(
        plugin,
        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password
    )
}

/// `connect()` on a Unix socket waits for ever where the backlog is full, which a frozen server's is
/// after some eighty attempts; without blocking it says EAGAIN instead (unix(7)).
fn dial(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let descriptor = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(descriptor.as_raw_fd(), &UnixAddr::new(path)?)?;
    let stream = UnixStream::from(descriptor);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn not_connected(endpoint: String, error: &io::Error) -> NoAnswer {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            NoAnswer::Failed(ServerError::NotListening {
                endpoint,
                detail: error.to_string(),
            })
        }
        _ => NoAnswer::Unusual("a socket that does not connect at once"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
