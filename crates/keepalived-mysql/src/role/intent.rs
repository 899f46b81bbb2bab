//! Roles, intents, and which of two intents is the newer one.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sys::{self, Birth};

/// What keepalived told this node to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// It holds the virtual addresses: the server shall be open.
    Master,
    /// Another node may hold them: the server shall be a closed replica.
    Backup,
    /// Something is wrong here: the server shall be closed.
    Fault,
    /// keepalived is stopping: the server shall be closed.
    Stop,
}

impl Role {
    /// Whether the role closes the server: all but Master.
    pub fn closes(self) -> bool {
        self != Self::Master
    }

    /// keepalived's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{word}' is not a role: keepalived says MASTER, BACKUP, FAULT or STOP")]
pub struct RoleError {
    /// The word.
    pub word: String,
}

impl FromStr for Role {
    type Err = RoleError;

    /// keepalived's words, in capitals as it writes them.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Master, Self::Backup, Self::Fault, Self::Stop]
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| RoleError {
                word: crate::message::one_line(word),
            })
    }
}

/// A role, and the birth of the process that keepalived forked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The role.
    pub role: Role,
    /// The birth of the process that keepalived forked: it orders the intents.
    pub birth: Birth,
    /// The program that recorded it.
    pub by: String,
    /// When, in UTC as RFC 3339. For people: clocks jump, so nothing is ordered by it.
    pub at: String,
    /// The `vrrp_instance` or group that keepalived named, if it did.
    #[serde(default)]
    pub instance: Option<String>,
}

impl Intent {
    /// The intent of this very process, which keepalived forked for `role`.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_self(role: Role, by: &str, instance: Option<&str>) -> io::Result<Self> {
        Ok(Self {
            role,
            birth: Birth::of_self()?,
            by: by.to_owned(),
            at: sys::utc_now(),
            instance: instance.map(str::to_owned),
        })
    }
}

/// Whether `a` is strictly newer than `b`, in the boot `boot_id`.
///
/// In order: an intent of this boot is newer than one of another; then the later start; within one
/// clock tick closing is newer than Master, because closing is the safe error; within one kind the
/// higher pid. Intents of two other boots are ordered too, by name, so that the order is total.
/// Of two intents with one birth neither is newer.
pub fn supersedes(a: &Intent, b: &Intent, boot_id: &str) -> bool {
    compare(a, b, boot_id) == Ordering::Greater
}

fn compare(a: &Intent, b: &Intent, boot_id: &str) -> Ordering {
    let this_boot = |intent: &Intent| intent.birth.boot_id == boot_id;
    this_boot(a)
        .cmp(&this_boot(b))
        .then_with(|| a.birth.boot_id.cmp(&b.birth.boot_id))
        .then_with(|| a.birth.start_ticks.cmp(&b.birth.start_ticks))
        .then_with(|| a.role.closes().cmp(&b.role.closes()))
        .then_with(|| a.birth.pid.cmp(&b.birth.pid))
}
