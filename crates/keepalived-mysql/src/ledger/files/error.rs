//! Why a state file cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::cli::{Exit, Failure};
use crate::message::Message;

/// Why a state file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system, or the user's quota, is full.
    #[error("no space left to write {}", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
    },
    /// We may not write there.
    #[error("cannot write {}: {source}", path.display())]
    NotWritable {
        /// What was written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It belongs to another user, who could change what we trust.
    #[error("{} belongs to the user {owner}, not to us", path.display())]
    NotOurs {
        /// The folder or file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Every user can write to it.
    #[error("every user can write to {}", path.display())]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
    },
    /// It is held by others for too long.
    #[error("{} is held by another program", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was done: `write`, `read`, `remove`, ...
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl StateError {
    /// Sort an error of the system by its remedy.
    pub(crate) fn of(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::DiskFull { path },
            Some(libc::EACCES | libc::EPERM | libc::EROFS) if doing != "read" => {
                Self::NotWritable { path, source }
            }
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::DiskFull { path } => {
                format!("free space on the file system of {}", path.display())
            }
            Self::NotWritable { .. } | Self::Io { .. } => {
                "the programs run as keepalived's script_user: check that this user can use the path, and that the file system is not read-only".to_owned()
            }
            Self::NotOurs { path, .. } => format!(
                "run as the user that keepalived's script_user names, or chown {}",
                path.display()
            ),
            Self::OpenToOthers { path } => format!("chmod 0750 {}", path.display()),
            Self::Busy { .. } => "try again".to_owned(),
        }
    }
}

impl Failure for StateError {
    fn message(&self) -> Message {
        Message::new(self.to_string()).hint(self.hint())
    }

    fn exit(&self) -> Exit {
        Exit::TryAgain
    }
}
