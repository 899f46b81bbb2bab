//! The configuration: one TOML file per group, the same on every node.
//!
//! [`Config::load`] reads a file, its password files and its defaults, and refuses what does not
//! fit together; [`load_or_last_good`] falls back to the last file that did. Nothing here changes
//! anything but the stored copy of the last good file.

mod accounts;
mod behaviour;
mod error;
mod find;
mod last_good;
mod load;
mod local;
mod option_file;
mod rules;
mod sections;
mod semi_sync;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod unsupported;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

pub use accounts::{Account, Accounts, Secret};
pub use behaviour::{
    Check, Close, Demote, Disconnect, OnApplyTimeout, OnDiverged, OnFailure, Policy, Profile,
    Promote, Rejoin, UnreachablePeer,
};
pub use error::{ConfigError, ConfigErrorKind};
pub use find::{CONFIG_ENV, CONFIG_FOLDER, find_config, find_config_in};
pub use last_good::{
    LAST_GOOD_ENV, load_or_last_good, load_or_last_good_in, save_last_good, save_last_good_in,
};
pub use load::Loaded;
pub use sections::{
    Hooks, KeepalivedConfig, LogConfig, LogFormat, LogLevel, Node, Positioning, Replication, Tls,
    TlsMode, VipCheck,
};
pub use semi_sync::{ManageSemiSync, SemiSync, SemiSyncTimeout};

/// The configuration of one group, with every default filled in and every rule checked.
///
/// Fields are named as the keys of the file. Printing it, in whatever form, prints no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Name of the group: 1 to 64 of `[A-Za-z0-9_.-]`, one per `vrrp_instance`.
    pub group: String,
    /// The virtual addresses, at least one.
    pub vips: Vec<IpAddr>,
    /// How to tell whether they are on this host.
    pub vip_check: VipCheck,
    /// What must survive a reboot. Default `/var/lib/keepalived-mysql`; absolute.
    pub state_dir: PathBuf,
    /// What must not. Default `/run/keepalived-mysql`; absolute.
    pub run_dir: PathBuf,
    /// The nodes, at least two.
    pub node: Vec<Node>,
    /// The database accounts, passwords read.
    pub accounts: Accounts,
    /// Encryption between nodes.
    pub tls: Tls,
    /// What `CHANGE ... SOURCE` is told.
    pub replication: Replication,
    /// Where this host's keepalived is.
    pub keepalived: KeepalivedConfig,
    /// Which way to lean.
    pub policy: Policy,
    /// `check_mysql`.
    pub check: Check,
    /// Opening this node.
    pub promote: Promote,
    /// Closing this node.
    pub close: Close,
    /// Becoming a replica.
    pub demote: Demote,
    /// Commits that wait for a replica.
    pub semi_sync: SemiSync,
    /// Commands of the operator's.
    pub hooks: Hooks,
    /// Where and how much to log.
    pub log: LogConfig,
}

impl Config {
    /// All nodes but `local`.
    pub fn peers(&self, local: &Node) -> Vec<&Node> {
        self.node
            .iter()
            .filter(|node| node.name != local.name)
            .collect()
    }

    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Option<&Node> {
        self.node.iter().find(|node| node.name == name)
    }

    /// The user with whom other nodes replicate from `source`.
    pub fn replication_user<'a>(&'a self, source: &'a Node) -> &'a str {
        source
            .replication_user
            .as_deref()
            .unwrap_or(&self.accounts.replication.user)
    }

    /// The `vrrp_instance` of this group.
    pub fn instance(&self) -> &str {
        self.keepalived.instance.as_deref().unwrap_or(&self.group)
    }
}

/// Whether `name` can be part of a file name and a message: 1 to 64 of `[A-Za-z0-9_.-]`, not
/// beginning with a dot, so that no name leads out of a folder.
pub(crate) fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
