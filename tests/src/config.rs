//! The configuration files of a node: the server's, keepalived's, the suite's.

mod keepalived_conf;
mod my_cnf;
mod suite_toml;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use keepalived_conf::{keepalived_conf, server_command};
pub(crate) use my_cnf::my_cnf;
pub(crate) use suite_toml::suite_toml;

use crate::options::{LabOptions, NodeId, NodePaths};

/// The passwords of the lab's accounts.
pub mod password {
    /// The suite's account, locally and on the peer.
    pub const KEEPALIVED: &str = "lab-keepalived";
    /// The replication account.
    pub const REPL: &str = "lab-repl";
    /// The application's account: neither READ_ONLY ADMIN nor SUPER.
    pub const APP: &str = "lab-app";
}

/// Writes all configuration files of a node.
pub(crate) fn write_all(node: NodeId, paths: &NodePaths, options: &LabOptions) -> Result<()> {
    let etc = paths.etc();
    write(&etc.join("my.cnf"), &my_cnf(node, paths, options), 0o644)?;
    write(
        &etc.join("keepalived.conf"),
        &keepalived_conf(node, paths, options),
        0o644,
    )?;
    write(&paths.config(), &suite_toml(paths, options), 0o600)?;
    write(&etc.join("password"), password::KEEPALIVED, 0o600)?;
    write(&etc.join("repl-password"), password::REPL, 0o600)?;
    write(&paths.drain(), "0\n", 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())
        .with_context(|| path.display().to_string())
}
