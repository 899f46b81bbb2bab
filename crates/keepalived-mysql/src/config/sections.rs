//! The sections of the configuration file: what each key means, its unit, range and default.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// How to tell whether the virtual addresses are on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VipCheck {
    /// By the addresses of the network interfaces.
    #[default]
    Interface,
    /// By a command, for clouds where the address is not on an interface: exit code 0 = here.
    Command(Vec<String>),
}

/// One host of the group: a database server, a keepalived, our programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Name in records and messages: 1 to 64 of `[A-Za-z0-9_.-]`.
    pub name: String,
    /// The node's own address, never a virtual one. An IP address, because a hanging resolver
    /// cannot be bounded in time.
    pub address: IpAddr,
    /// TCP port of its server, 1 to 65535. Default 3306.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its server's unix socket, for the node's own programs. Absolute.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// The replication account's user on this node, where it differs from `accounts.replication`.
    #[serde(default)]
    pub replication_user: Option<String>,
}

fn default_port() -> u16 {
    3306
}

fn default_socket() -> PathBuf {
    PathBuf::from("/run/mysqld/mysqld.sock")
}

/// How connections between nodes are encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// Where the server offers it, else in clear text. No certificate is verified.
    #[default]
    Preferred,
    /// Always. No certificate is verified.
    Required,
    /// Always, and the certificate must be signed by `ca`, whatever name it bears.
    VerifyCa,
    /// Always, and the certificate must be signed by `ca` and bear the node's address as an IP
    /// subjectAltName.
    VerifyIdentity,
}

/// `[tls]`: encryption between nodes, of the programs' own connections and of replication. A socket
/// is never encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// How connections are encrypted. Default `preferred`.
    pub mode: TlsMode,
    /// Certificates of the authorities that are trusted, PEM. Needed where certificates are verified.
    /// No other authority is trusted.
    pub ca: Option<PathBuf>,
    /// Client certificate with its chain, PEM; with `key`.
    pub cert: Option<PathBuf>,
    /// Client key without a passphrase, PEM, mode 0600; with `cert`.
    pub key: Option<PathBuf>,
    /// What the servers use instead of `ca`, as a replica of each other: they read it themselves.
    pub replication_ca: Option<PathBuf>,
    /// What the servers use instead of `cert`.
    pub replication_cert: Option<PathBuf>,
    /// What the servers use instead of `key`, which the servers' own user can seldom read.
    pub replication_key: Option<PathBuf>,
}

/// How a replica finds its place in the source's history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positioning {
    /// GTID where both servers have it, else file and position.
    #[default]
    Auto,
    /// GTID, or refuse.
    Gtid,
    /// Binary log file and position.
    Position,
}

/// `[replication]`: what `CHANGE ... SOURCE` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replication {
    /// How a replica finds its place. Default `auto`.
    pub positioning: Positioning,
    /// Pause between two attempts to reach the source. Whole seconds, default 1 s.
    #[serde(with = "humantime_serde")]
    pub connect_retry: Duration,
    /// Attempts before the receiver gives up; 0 = never on MySQL. Default 86400.
    pub retry_count: u64,
    /// Longest silence of an idle source. Must be shorter than `net_timeout`. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// Silence after which the receiver gives the connection up. Whole seconds, default 6 s.
    #[serde(with = "humantime_serde")]
    pub net_timeout: Duration,
}

impl Default for Replication {
    fn default() -> Self {
        Self {
            positioning: Positioning::Auto,
            connect_retry: Duration::from_secs(1),
            retry_count: 86_400,
            heartbeat: Duration::from_secs(2),
            net_timeout: Duration::from_secs(6),
        }
    }
}

/// `[keepalived]`: where this host's keepalived is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepalivedConfig {
    /// Its configuration file. Default `/etc/keepalived/keepalived.conf`.
    pub config: PathBuf,
    /// Its parent's pid file. Default `/run/keepalived.pid`.
    pub pid_file: PathBuf,
    /// Its systemd unit. Default `keepalived.service`.
    pub unit: String,
    /// The `vrrp_instance` of this group. Default: the group's name.
    pub instance: Option<String>,
}

impl Default for KeepalivedConfig {
    fn default() -> Self {
        Self {
            config: PathBuf::from("/etc/keepalived/keepalived.conf"),
            pid_file: PathBuf::from("/run/keepalived.pid"),
            unit: "keepalived.service".to_owned(),
            instance: None,
        }
    }
}

/// `[hooks]`: commands of the operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Run on each event, detached, for at most 10 s, with one JSON document on standard input.
    pub on_event: Vec<String>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Also what needs attention.
    Warn,
    /// Also each transition and its steps.
    #[default]
    Info,
    /// Also decisions and their reasons.
    Debug,
    /// Everything.
    Trace,
}

/// How a line of the log file looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Log file; `""` = none. Default `/var/log/keepalived-mysql/keepalived-mysql.log`.
    #[serde(deserialize_with = "path_or_none")]
    pub file: Option<PathBuf>,
    /// Also send to the journal or syslog, through `/dev/log`. Default yes.
    pub journal: bool,
    /// How much. Default `info`.
    pub level: LogLevel,
    /// How a line of the file looks. Default `plain`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            file: Some(PathBuf::from(
                "/var/log/keepalived-mysql/keepalived-mysql.log",
            )),
            journal: true,
            level: LogLevel::Info,
            format: LogFormat::Plain,
        }
    }
}

fn path_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}
