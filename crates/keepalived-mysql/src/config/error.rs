//! Why a configuration cannot be used.

use std::io;
use std::path::Path;

use crate::message::Message;

/// What kind of thing is wrong with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigErrorKind {
    /// No file, or more than one, could be meant.
    NotFound,
    /// A file is missing or cannot be read.
    Unreadable,
    /// Others can read a secret, or change what we run.
    Permissions,
    /// The text is not TOML, or a key is unknown, missing or of the wrong type.
    Syntax,
    /// The values do not fit together.
    Rule,
    /// A known key that this version cannot honour.
    Unsupported,
    /// Which of the nodes this host is cannot be told.
    Local,
}

/// Why a configuration cannot be used. Always exit code 78; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// What kind of thing is wrong.
    pub kind: ConfigErrorKind,
    /// What, where, and the remedy.
    pub message: Message,
}

impl ConfigError {
    pub(super) fn new(kind: ConfigErrorKind, message: Message) -> Self {
        Self { kind, message }
    }

    pub(super) fn rule(message: Message) -> Self {
        Self::new(ConfigErrorKind::Rule, message)
    }

    pub(super) fn unreadable(what: &str, path: &Path, why: &io::Error, hint: &str) -> Self {
        let error = format!("cannot read {what} {}", path.display());
        Self::new(
            ConfigErrorKind::Unreadable,
            Message::new(error).detail(why.to_string()).hint(hint),
        )
    }
}
