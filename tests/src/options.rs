//! What can be chosen about a lab, and where its things lie.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::network::Host;
use crate::server::Server;

/// One of the two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// node-a: server id 11, 10.77.0.11, the higher priority.
    A,
    /// node-b: server id 12, 10.77.0.12.
    B,
}

impl NodeId {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Its place on the switch.
    #[must_use]
    pub fn host(self) -> Host {
        match self {
            Self::A => Host::A,
            Self::B => Host::B,
        }
    }

    /// Its own address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        self.host().address()
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "node-a",
            Self::B => "node-b",
        }
    }

    /// Its server id.
    #[must_use]
    pub fn server_id(self) -> u32 {
        match self {
            Self::A => 11,
            Self::B => 12,
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How replicas find their place in the source's binary log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positioning {
    /// MySQL's auto position, MariaDB's `MASTER_USE_GTID=slave_pos`.
    Gtid,
    /// MariaDB's `MASTER_USE_GTID=current_pos`.
    GtidCurrent,
    /// File and position.
    Position,
}

/// The commands that keepalived runs. Each must be an absolute path with arguments.
#[derive(Debug, Clone)]
pub struct HookCommands {
    /// `vrrp_script`.
    pub check: String,
    /// `notify_master`.
    pub master: String,
    /// `notify_backup`.
    pub backup: String,
    /// `notify_fault`.
    pub fault: String,
    /// `notify_stop`.
    pub stop: String,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower_pri: String,
}

/// Makes the hook commands of one node.
pub type HookMaker = Arc<dyn Fn(&NodePaths) -> HookCommands + Send + Sync>;

/// What keepalived runs.
#[derive(Clone)]
pub enum Hooks {
    /// The programs of this project.
    Suite,
    /// `/bin/true`, and both servers open from the beginning: the bare take-over, the floor of every measurement.
    Nothing,
    /// Somebody else's scripts: the rivals.
    Custom(HookMaker),
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suite => "Suite",
            Self::Nothing => "Nothing",
            Self::Custom(_) => "Custom",
        })
    }
}

/// What can be chosen about a lab. Start from `LabOptions::default()`.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// What the nodes' databases are.
    pub server: Server,
    /// What keepalived runs.
    pub hooks: Hooks,
    /// How node-b replicates from node-a at the beginning.
    pub positioning: Positioning,
    /// VRRP priorities of node-a and node-b.
    pub priorities: [u8; 2],
    /// Whether the higher priority takes the VIP back (else `nopreempt`).
    pub preempt: bool,
    /// Whether keepalived watches the server's process.
    pub track_process: bool,
    /// `sync_binlog`.
    pub sync_binlog: u32,
    /// `innodb_flush_log_at_trx_commit`.
    pub flush_log_at_trx_commit: u32,
    /// `gtid_strict_mode` of a MariaDB.
    pub gtid_strict_mode: bool,
    /// Whether a server leaves replication stopped when it starts.
    pub skip_slave_start: bool,
    /// Gives each data folder a file system of its own, of this size (`100m`), in memory.
    pub data_size: Option<String>,
    /// Gives the suite's state and run folders file systems of their own, of this size (`64k`), in memory.
    pub suite_folder_size: Option<String>,
    /// More lines for the `[mysqld]` section of both nodes.
    pub my_cnf: Vec<String>,
    /// Keys of the suite's configuration: ("section.key", value in TOML). An empty section is the top level.
    pub toml: Vec<(String, String)>,
    /// Safety steps that the programs leave out (`KEEPALIVED_MYSQL_TEST_OFF`), on both nodes.
    pub test_off: Vec<String>,
    /// More environment for keepalived and the programs.
    pub env: Vec<(String, String)>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            server: Server::chosen(),
            hooks: Hooks::Suite,
            positioning: Positioning::Gtid,
            priorities: [250, 200],
            preempt: false,
            track_process: true,
            sync_binlog: 0,
            flush_log_at_trx_commit: 2,
            gtid_strict_mode: true,
            skip_slave_start: false,
            data_size: None,
            suite_folder_size: None,
            my_cnf: Vec::new(),
            toml: Vec::new(),
            test_off: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl LabOptions {
    /// With do-nothing hooks.
    #[must_use]
    pub fn floor() -> Self {
        Self {
            hooks: Hooks::Nothing,
            ..Self::default()
        }
    }

    /// With semi-synchronous replication, managed by the suite.
    #[must_use]
    pub fn with_semi_sync(mut self) -> Self {
        self.my_cnf.extend(self.server.semi_sync_options());
        self.toml("semi_sync.manage", "\"auto\"")
    }

    /// Sets a key of the suite's configuration, e.g. `("promote.boot_wait", "\"5s\"")`.
    #[must_use]
    pub fn toml(mut self, key: &str, value: &str) -> Self {
        self.toml.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Leaves safety steps of the programs out.
    #[must_use]
    pub fn without(mut self, steps: &[&str]) -> Self {
        self.test_off
            .extend(steps.iter().map(|&step| step.to_owned()));
        self
    }

    /// Adds a line to both servers' configuration.
    #[must_use]
    pub fn my_cnf(mut self, line: &str) -> Self {
        self.my_cnf.push(line.to_owned());
        self
    }
}

/// Where the things of one node lie.
#[derive(Debug, Clone)]
pub struct NodePaths {
    root: PathBuf,
    bin: PathBuf,
}

impl NodePaths {
    pub(crate) fn new(lab: &Path, node: NodeId) -> Self {
        Self {
            root: lab.join(node.name()),
            bin: lab.join("bin"),
        }
    }

    /// The node's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The programs under test.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The server's data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Configuration and password files.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// The suite's `state_dir`.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Sockets, pid files and the suite's `run_dir`: gone after a power failure.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Logs of all programs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where programs are told to stop.
    #[must_use]
    pub fn pause(&self) -> PathBuf {
        self.root.join("pause")
    }

    /// The server's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run().join("mysqld.sock")
    }

    /// The suite's configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.etc().join("VI_1.toml")
    }

    /// The suite's folders: what survives a reboot, and what does not.
    #[must_use]
    pub fn suite_folders(&self) -> [PathBuf; 2] {
        [self.state(), self.run().join("suite")]
    }

    /// keepalived's track file: not 0 means drained.
    #[must_use]
    pub fn drain(&self) -> PathBuf {
        self.state().join("VI_1/drain")
    }

    /// What the suite remembers of its transitions.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.state().join("VI_1/history.jsonl")
    }

    /// All folders of the node.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let tmp = self.root.join("tmp");
        let state = self.state().join("VI_1");
        vec![
            self.data(),
            self.etc(),
            state,
            self.run(),
            self.log(),
            self.pause(),
            tmp,
        ]
    }
}
