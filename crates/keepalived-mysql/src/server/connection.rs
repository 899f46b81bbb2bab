//! One session with one server, in which no call can outlast its deadline.
//!
//! The `mysql` crate bounds single reads and writes, but neither `connect()` on a Unix socket whose
//! backlog is full (a frozen server after about 80 attempts) nor a whole call. So the connection
//! lives in a thread of its own: a caller waits for the answer as long as it can afford and then
//! walks away. The abandoned thread ends with its own read timeout, or with the process.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use thiserror::Error;

use crate::config::Secret;
use crate::deadline::Deadline;
use crate::server::denied::{Denied, statement_at};
use crate::server::dialect::Dialect;
use crate::server::tls::Encryption;

mod answer;
pub(crate) mod handshake;

use answer::answers;
pub use answer::{Answer, Row};
use handshake::classify;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket on this host.
    Socket(PathBuf),
    /// A TCP address of another host.
    Tcp(IpAddr, u16),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp(address @ IpAddr::V6(_), port) => write!(f, "[{address}]:{port}"),
            Self::Tcp(address, port) => write!(f, "{address}:{port}"),
        }
    }
}

/// Who asks whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// The account's user name.
    pub user: String,
    /// Its password; none for socket authentication.
    pub password: Option<Secret>,
    /// How the connection is encrypted; none for clear text. A socket's never is.
    pub encryption: Option<Encryption>,
}

/// Why a call to a server has no answer that we can use.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ServerError {
    /// The host answered that nobody listens there: the server is down.
    #[error("{endpoint}: nobody listens ({detail})")]
    NotListening {
        /// Where we tried.
        endpoint: String,
        /// The system's word.
        detail: String,
    },
    /// No answer in time: frozen, partitioned or powered off.
    #[error("{endpoint}: no answer within {waited:?} ({doing})")]
    Silent {
        /// Where we tried.
        endpoint: String,
        /// How long we waited.
        waited: Duration,
        /// What we were doing.
        doing: String,
    },
    /// The server answered with an error: it is alive.
    #[error("{endpoint}: error {code} ({state}): {message}")]
    Answered {
        /// Which server.
        endpoint: String,
        /// MySQL's error number.
        code: u16,
        /// SQLSTATE.
        state: String,
        /// The server's own words.
        message: String,
    },
    /// The server answered that the account may not do that, or may not come in: it is alive.
    #[error("{0}")]
    Denied(Box<Denied>),
    /// The connection cannot be encrypted as it has to be. Whoever answers is alive.
    #[error("{endpoint}: {problem}; {remedy}")]
    Encryption {
        /// Which server.
        endpoint: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The connection ended in the middle of a call, so its effect is unknown.
    #[error("{endpoint}: the connection ended ({detail})")]
    Lost {
        /// Which server.
        endpoint: String,
        /// What the library said.
        detail: String,
    },
}

impl ServerError {
    /// MySQL's error number, where the server itself answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            Self::Denied(denied) => Some(denied.code),
            _ => None,
        }
    }
}

type Reply = Result<Vec<Answer>, Failed>;

/// A failed call, with the place of the statement that failed among those that were sent.
struct Failed {
    error: ServerError,
    statement: usize,
}

/// Who we are to the server, and what it understands: for messages about privileges.
#[derive(Debug, Clone)]
struct Introduced {
    account: String,
    dialect: Dialect,
}

/// A session with one server.
#[derive(Debug)]
pub struct Session {
    endpoint: String,
    requests: Sender<String>,
    replies: Receiver<Reply>,
    connection_id: u32,
    introduced: Option<Introduced>,
    sent: String,
    broken: bool,
}

impl Session {
    /// Connects and authenticates before `deadline`.
    pub fn connect(target: &Target, deadline: Deadline) -> Result<Self, ServerError> {
        let endpoint = target.endpoint.to_string();
        let (requests, request_queue) = mpsc::channel::<String>();
        let (reply_queue, replies) = mpsc::channel::<Reply>();
        let (greeting, greeted) = mpsc::channel::<Result<u32, ServerError>>();
        let waited = deadline.remaining();
        let target = target.clone();
        std::thread::Builder::new()
            .name("server".into())
            .spawn(move || converse(&target, waited, &greeting, &request_queue, &reply_queue))
            .map_err(|error| ServerError::Lost {
                endpoint: endpoint.clone(),
                detail: format!("no thread for the connection: {error}"),
            })?;
        match greeted.recv_timeout(waited) {
            Ok(Ok(connection_id)) => Ok(Self {
                endpoint,
                requests,
                replies,
                connection_id,
                introduced: None,
                sent: String::new(),
                broken: false,
            }),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Err(ServerError::Silent {
                endpoint,
                waited,
                doing: "connecting".into(),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(gave_up(&endpoint)),
        }
    }

    /// The server's number for this session, as in its process list.
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// Remembers the account that the server matched and its dialect, so that a refusal can name what
    /// is missing.
    pub fn introduce(&mut self, account: &str, dialect: Dialect) {
        self.introduced = Some(Introduced {
            account: account.to_owned(),
            dialect,
        });
    }

    /// Runs one statement, or several joined by `;`, in one round trip; an answer for each.
    ///
    /// After [`ServerError::Silent`] or [`ServerError::Lost`] the session is of no further use: the
    /// statement may still be queued on the server.
    pub fn run(&mut self, sql: &str, deadline: Deadline) -> Result<Vec<Answer>, ServerError> {
        self.send(sql)?;
        self.receive(sql, deadline)
    }

    /// Runs one statement and gives its rows.
    pub fn rows(&mut self, sql: &str, deadline: Deadline) -> Result<Vec<Row>, ServerError> {
        let mut answers = self.run(sql, deadline)?;
        Ok(answers.pop().map(|answer| answer.rows).unwrap_or_default())
    }

    /// Sends a statement without waiting for it.
    pub fn send(&mut self, sql: &str) -> Result<(), ServerError> {
        if self.broken || self.requests.send(sql.to_owned()).is_err() {
            self.broken = true;
            return Err(gave_up(&self.endpoint));
        }
        sql.clone_into(&mut self.sent);
        Ok(())
    }

    /// Waits for the answer to the statement sent last.
    pub fn receive(&mut self, doing: &str, deadline: Deadline) -> Result<Vec<Answer>, ServerError> {
        let waited = deadline.remaining();
        match self.replies.recv_timeout(waited) {
            Ok(reply) => self.note(reply),
            Err(RecvTimeoutError::Timeout) => {
                self.broken = true;
                Err(ServerError::Silent {
                    endpoint: self.endpoint.clone(),
                    waited,
                    doing: shortened(doing),
                })
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.broken = true;
                Err(gave_up(&self.endpoint))
            }
        }
    }

    /// The answer to the statement sent last, if it is there already.
    pub fn poll(&mut self) -> Option<Result<Vec<Answer>, ServerError>> {
        match self.replies.try_recv() {
            Ok(reply) => Some(self.note(reply)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.broken = true;
                Some(Err(gave_up(&self.endpoint)))
            }
        }
    }

    fn note(&mut self, reply: Reply) -> Result<Vec<Answer>, ServerError> {
        let Failed { error, statement } = match reply {
            Ok(answers) => return Ok(answers),
            Err(failed) => failed,
        };
        if matches!(error, ServerError::Lost { .. } | ServerError::Silent { .. }) {
            self.broken = true;
        }
        Err(self.explained(error, statement))
    }

    /// A refusal for want of a privilege, with what is missing.
    fn explained(&self, error: ServerError, statement: usize) -> ServerError {
        let (
            Some(us),
            ServerError::Answered {
                endpoint,
                code,
                state,
                message,
            },
        ) = (&self.introduced, &error)
        else {
            return error;
        };
        if !Denied::is_privilege(*code, message) {
            return error;
        }
        let statement = statement_at(&self.sent, statement);
        let said = (*code, state.as_str(), message.as_str());
        ServerError::Denied(Box::new(Denied::statement(
            endpoint,
            &us.dialect,
            &us.account,
            statement,
            said,
        )))
    }
}

fn gave_up(endpoint: &str) -> ServerError {
    ServerError::Lost {
        endpoint: endpoint.to_owned(),
        detail: "the session has ended".into(),
    }
}

/// A statement short enough for a message, and never one that carries a password.
fn shortened(sql: &str) -> String {
    let masked = crate::server::masked::masked(sql);
    let mut text: String = masked.chars().take(80).collect();
    if masked.chars().count() > 80 {
        text.push('…');
    }
    text
}

fn converse(
    target: &Target,
    limit: Duration,
    greeting: &Sender<Result<u32, ServerError>>,
    requests: &Receiver<String>,
    replies: &Sender<Reply>,
) {
    let mut connection = match handshake::connect(target, limit) {
        Ok(connection) => connection,
        Err(error) => {
            // A caller that has walked away does not want the error either.
            let _ = greeting.send(Err(not_let_in(error, &target.user)));
            return;
        }
    };
    let endpoint = target.endpoint.to_string();
    if greeting.send(Ok(connection.connection_id())).is_err() {
        return;
    }
    while let Ok(sql) = requests.recv() {
        let mut done = Vec::new();
        let reply = match answers(&mut connection, &sql, &mut done) {
            Ok(()) => Ok(done),
            Err(error) => Err(Failed {
                error: classify(&endpoint, &error),
                statement: done.len(),
            }),
        };
        if replies.send(reply).is_err() {
            return;
        }
    }
}

/// A server's refusal of an account, said as one.
fn not_let_in(error: ServerError, user: &str) -> ServerError {
    match &error {
        ServerError::Answered {
            endpoint,
            code,
            state,
            message,
        } if Denied::is_account(*code) => ServerError::Denied(Box::new(Denied::login(
            endpoint,
            user,
            (*code, state, message),
        ))),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
