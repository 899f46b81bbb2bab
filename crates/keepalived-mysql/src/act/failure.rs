//! How a transition can fail, and what that means for whoever called it.

use std::fmt;

use crate::cli::Exit;
use crate::decide::rule::Refusal;
use crate::message::Message;
use crate::server::connection::ServerError;
use crate::server::denied::Denied;

/// Why a transition stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// A newer intent has taken over; the newer program does what is right now.
    Superseded,
    /// SIGTERM: keepalived died or an operator wants us to stop.
    Terminated,
    /// A rule refused.
    Refused(Refusal),
    /// Something changed while we acted; a fresh look may decide otherwise.
    Changed(String),
    /// It could not be done, and nothing that matters was changed.
    Failed(String),
    /// A server refused for want of a privilege; nothing that matters was changed.
    Denied {
        /// What it was for.
        doing: String,
        /// The refusal.
        denied: Box<Denied>,
    },
    /// The local server is not there to be worked on; nothing was changed.
    NoServer(String),
    /// It is half done and somebody has to act.
    Incomplete(String),
}

impl Failure {
    /// A failed call of a server, with what it was for.
    pub fn server(doing: &str, error: &ServerError) -> Self {
        match error {
            ServerError::Denied(denied) => Self::Denied {
                doing: doing.to_owned(),
                denied: denied.clone(),
            },
            error => Self::Failed(format!("{doing}: {error}")),
        }
    }

    /// The exit code for it, where the undo succeeded.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Superseded => Exit::Done,
            Self::Refused(_) => Exit::Refused,
            Self::Terminated | Self::Changed(_) | Self::Failed(_) | Self::Denied { .. } => {
                Exit::RolledBack
            }
            Self::NoServer(_) => Exit::TryAgain,
            Self::Incomplete(_) => Exit::Incomplete,
        }
    }

    /// The message for it.
    pub fn message(&self) -> Message {
        match self {
            Self::Superseded => {
                Message::new("superseded by a newer word of keepalived; nothing more to do here")
            }
            Self::Terminated => Message::new("stopped by a signal between two steps"),
            Self::Refused(refusal) => {
                let message = Message::new(refusal.to_string()).hint(refusal.hint.clone());
                if refusal.rule.overridable() {
                    message.detail(format!(
                        "--override {} sets exactly this rule aside",
                        refusal.rule
                    ))
                } else {
                    message
                }
            }
            Self::Changed(why) | Self::Failed(why) => Message::new(why.clone())
                .detail("everything that this run had changed was put back")
                .hint("check_mysql tries again by itself"),
            Self::Denied { doing, denied } => Message::new(format!("{doing}: {}", denied.what()))
                .detail(denied.detail())
                .hint(denied.hint()),
            Self::NoServer(why) => Message::new(format!("the local server cannot be asked: {why}"))
                .hint("look at the server's own log; check_mysql tries again by itself"),
            Self::Incomplete(why) => Message::new(why.clone())
                .detail("the transition is half done")
                .hint("look at both nodes now"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().one_line())
    }
}

impl crate::cli::Failure for Failure {
    fn message(&self) -> Message {
        Failure::message(self)
    }

    fn exit(&self) -> Exit {
        Failure::exit(self)
    }
}
