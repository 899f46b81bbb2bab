//! From a file to a [`Config`].

use std::fmt;
use std::fs::Metadata;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::accounts::{FileMode, RawAccounts};
use super::behaviour::{
    Check, Close, Demote, OnApplyTimeout, Policy, Profile, Promote, UnreachablePeer,
};
use super::error::{ConfigError, ConfigErrorKind};
use super::sections::{Hooks, KeepalivedConfig, LogConfig, Node, Replication, Tls, VipCheck};
use super::semi_sync::SemiSync;
use super::source::Source;
use super::{Config, rules, tls, unsupported};
use crate::message::Message;
use crate::sys;

/// Larger than any configuration; what is bigger is the wrong file.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A configuration and where it came from.
#[derive(Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// The file's text, verbatim. It may hold passwords: never print it.
    pub text: String,
    /// What is allowed but unwise, one sentence each.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Loaded {
    // Without the text, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("config", &self.config)
            .field("path", &self.path)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// The file as it is written, before passwords are read and rules checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    group: String,
    vips: Vec<IpAddr>,
    #[serde(default)]
    vip_check: VipCheck,
    #[serde(default = "default_state_dir")]
    state_dir: PathBuf,
    #[serde(default = "default_run_dir")]
    run_dir: PathBuf,
    node: Vec<Node>,
    accounts: RawAccounts,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    replication: Replication,
    #[serde(default)]
    keepalived: KeepalivedConfig,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    check: Check,
    #[serde(default)]
    promote: Promote,
    #[serde(default)]
    close: Close,
    #[serde(default)]
    demote: Demote,
    #[serde(default)]
    semi_sync: SemiSync,
    #[serde(default)]
    hooks: Hooks,
    #[serde(default)]
    log: LogConfig,
}

/// Default of `state_dir`.
pub(super) fn default_state_dir() -> PathBuf {
    PathBuf::from("/var/lib/keepalived-mysql")
}

fn default_run_dir() -> PathBuf {
    PathBuf::from("/run/keepalived-mysql")
}

impl Config {
    /// Read a configuration file and the files with passwords, certificates and keys that it names.
    ///
    /// # Errors
    /// When a file cannot be read or is open to others, or when the configuration is not valid or
    /// asks for what this version cannot do. Nothing was changed.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let loaded = Self::load_without_certificates(path)?;
        let source = Source::parse(&loaded.path, &loaded.text)?;
        tls::check_files(&loaded.config.tls, &source)?;
        Ok(loaded)
    }

    /// As [`Config::load`], whatever has become of certificates and keys: they say nothing about this
    /// node's own server, and a peer that cannot be asked without them counts as open.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(super) fn load_without_certificates(path: &Path) -> Result<Loaded, ConfigError> {
        let path = std::path::absolute(path)
            .map_err(|why| ConfigError::unreadable("the configuration", path, &why, HINT_READ))?;
        let (text, metadata) = read_config(&path)?;
        refuse_writable_by_others(&path, &metadata)?;
        let source = Source::parse(&path, &text)?;
        unsupported::check(&source)?;
        let config = build(&source, &metadata)?;
        rules::check(&config, &source)?;
        let warnings = rules::warnings(&config, &source);
        drop(source);
        Ok(Loaded {
            config,
            path,
            text,
            warnings,
        })
    }
}

const HINT_READ: &str =
    "the programs run as keepalived's script_user: check that this user can read the file";

fn read_config(path: &Path) -> Result<(String, Metadata), ConfigError> {
    sys::read_regular(path, MAX_CONFIG_BYTES)
        .map_err(|why| ConfigError::unreadable("the configuration", path, &why, HINT_READ))
}

/// Who can write the file can have commands of their own run by us.
fn refuse_writable_by_others(path: &Path, metadata: &Metadata) -> Result<(), ConfigError> {
    let mode = metadata.mode();
    let us = nix::unistd::geteuid().as_raw();
    let our_group = nix::unistd::getegid().as_raw();
    let foreign_owner = metadata.uid() != 0 && metadata.uid() != us;
    let foreign_group = mode & 0o020 != 0 && metadata.gid() != 0 && metadata.gid() != our_group;
    if !foreign_owner && !foreign_group && mode & 0o002 == 0 {
        return Ok(());
    }
    let error = format!("{} can be changed by others", path.display());
    let detail = format!(
        "mode {:04o}, owner {}, group {}",
        mode & 0o7777,
        metadata.uid(),
        metadata.gid()
    );
    let hint = format!("chown root {0} && chmod 0640 {0}", path.display());
    let message = Message::new(error).detail(detail).hint(hint);
    Err(ConfigError::new(ConfigErrorKind::Permissions, message))
}

fn build(source: &Source<'_>, metadata: &Metadata) -> Result<Config, ConfigError> {
    let raw: RawConfig = source.read()?;
    let mode = FileMode::of(metadata);
    let accounts = raw.accounts.resolve(source, mode)?;
    let mut config = Config {
        group: raw.group,
        vips: raw.vips,
        vip_check: raw.vip_check,
        state_dir: raw.state_dir,
        run_dir: raw.run_dir,
        node: raw.node,
        accounts,
        tls: raw.tls,
        replication: raw.replication,
        keepalived: raw.keepalived,
        policy: raw.policy,
        check: raw.check,
        promote: raw.promote,
        close: raw.close,
        demote: raw.demote,
        semi_sync: raw.semi_sync,
        hooks: raw.hooks,
        log: raw.log,
    };
    apply_profile(&mut config, source);
    Ok(config)
}

/// A profile changes defaults only: what the file says wins.
fn apply_profile(config: &mut Config, source: &Source<'_>) {
    if config.policy.profile != Profile::Available {
        return;
    }
    if !source.has("promote.on_apply_timeout") {
        config.promote.on_apply_timeout = OnApplyTimeout::Promote;
    }
    if !source.has("promote.unreachable_peer") {
        config.promote.unreachable_peer = UnreachablePeer::Promote;
    }
}
