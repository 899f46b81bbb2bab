//! The sections that say how the programs behave: `[policy]`, `[check]`, `[promote]`, `[close]`
//! and `[demote]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which way to lean when safety and availability contradict each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Rather closed than wrong.
    #[default]
    Safe,
    /// Rather open: after the timeouts, promote. Changes the defaults of
    /// `promote.on_apply_timeout` and `promote.unreachable_peer` to `promote`.
    Available,
}

/// `[policy]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Which way to lean. Default `safe`.
    pub profile: Profile,
}

/// What `check_mysql` does itself when the server is unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Nothing: keepalived acts on the exit code.
    #[default]
    None,
    /// Close the server.
    Close,
    /// Stop keepalived, for set-ups whose `vrrp_script` only changes the priority.
    StopKeepalived,
}

/// `[check]`: `check_mysql`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Time for the whole verdict. Keep it below keepalived's `timeout`. Default 900 ms.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Attempts within the deadline, 1 to 100. Default 1.
    pub attempts: u32,
    /// Pause between two attempts. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub retry_interval: Duration,
    /// Also write a row on an open server: a dead disk still answers `SELECT 1`. Default no.
    pub write_probe: bool,
    /// A replica further behind than this is unhealthy. Default: no limit.
    #[serde(with = "humantime_serde")]
    pub max_lag: Option<Duration>,
    /// Start a transition when role and server have drifted apart. Default yes.
    pub repair: bool,
    /// What the check does itself about an unhealthy server. Default `none`.
    pub on_failure: OnFailure,
    /// How often the check's helper looks at the peers, if nothing on this node asks for it sooner.
    /// Default 1 s.
    #[serde(with = "humantime_serde")]
    pub peer_interval: Duration,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(900),
            attempts: 1,
            retry_interval: Duration::from_millis(100),
            write_probe: false,
            max_lag: None,
            repair: true,
            on_failure: OnFailure::None,
            peer_interval: Duration::from_secs(1),
        }
    }
}

/// What a silent peer means for a promotion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnreachablePeer {
    /// A fence command, if configured, must agree; else promote, with a standing warning.
    #[default]
    Auto,
    /// Promote.
    Promote,
    /// Promote only if the fence command succeeded.
    RequireFence,
    /// Promote only if a witness agrees. Not supported by this version.
    RequireWitness,
}

/// What to do when what was received is not applied in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnApplyTimeout {
    /// Keep trying, and say so.
    #[default]
    Wait,
    /// Promote with what was applied; the rest is copied aside first.
    Promote,
    /// Give up; nothing changed.
    Refuse,
}

/// `[promote]`: opening this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promote {
    /// A peer that does not answer within this is silent. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub peer_timeout: Duration,
    /// Time an open peer gets to close by itself. Default 200 ms.
    #[serde(with = "humantime_serde")]
    pub yield_timeout: Duration,
    /// Command that cuts a silent peer off; exit code 0 = it is off. Empty = none.
    pub fence_command: Vec<String>,
    /// What a silent peer means. Default `auto` (profile `available`: `promote`).
    pub unreachable_peer: UnreachablePeer,
    /// Time to apply what was received before alerting. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub apply_timeout: Duration,
    /// What then. Default `wait` (profile `available`: `promote`).
    pub on_apply_timeout: OnApplyTimeout,
    /// Time that a session which blocks the applier gets before it is disconnected. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub blocker_grace: Duration,
    /// A standby seen in sync within this may promote over a silent peer at once. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub max_staleness: Duration,
    /// Time that any other node waits for a peer that does not answer, from its first refused attempt on.
    /// Default 120 s.
    #[serde(with = "humantime_serde")]
    pub boot_wait: Duration,
    /// Clear the replica configuration after opening. Default yes.
    pub reset_replica: bool,
    /// Set `sync_binlog` and `innodb_flush_log_at_trx_commit` to safe values. Default yes.
    pub durability: bool,
    /// Enable, after opening, the events that were enabled on the old source, and disable them again
    /// when this node is demoted. Default no: it needs more privileges, and a status that an operator
    /// gave an event by hand (`DISABLE ON SLAVE`) looks the same.
    pub enable_events: bool,
    /// How long an opening statement stays valid on the server's clock; never longer than four fifths
    /// of `peer_timeout`. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub open_lifetime: Duration,
    /// Longest wait for another transition to end. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
}

impl Default for Promote {
    fn default() -> Self {
        Self {
            peer_timeout: Duration::from_millis(500),
            yield_timeout: Duration::from_millis(200),
            fence_command: Vec::new(),
            unreachable_peer: UnreachablePeer::Auto,
            apply_timeout: Duration::from_secs(60),
            on_apply_timeout: OnApplyTimeout::Wait,
            blocker_grace: Duration::from_secs(2),
            max_staleness: Duration::from_secs(60),
            boot_wait: Duration::from_secs(120),
            reset_replica: true,
            durability: true,
            enable_events: false,
            open_lifetime: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(30),
        }
    }
}

impl Promote {
    /// How long an opening statement stays valid.
    ///
    /// A peer opens over a node that froze only after it has met with silence for `peer_timeout`. An
    /// opening that lay in the frozen server's socket must have expired by then: when the server goes
    /// on, it would take effect beside the peer.
    pub fn opening_expires_after(&self) -> Duration {
        self.open_lifetime.min(self.peer_timeout * 4 / 5)
    }
}

/// Which application sessions a closing disconnects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disconnect {
    /// All that are not exempt.
    #[default]
    All,
    /// None: wait for them until the timeout.
    None,
}

/// `[close]`: closing this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Close {
    /// Time for a closing; past it, it goes on detached. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Time for `notify_stop`, of which keepalived grants one second. Below 1 s, default 800 ms.
    #[serde(with = "humantime_serde")]
    pub stop_budget: Duration,
    /// Users whose sessions are never disconnected.
    pub exempt_users: Vec<String>,
    /// Which sessions are disconnected. Default `all`.
    pub disconnect: Disconnect,
}

impl Default for Close {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            stop_budget: Duration::from_millis(800),
            exempt_users: Vec::new(),
            disconnect: Disconnect::All,
        }
    }
}

/// Whether an old master joins the new one by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejoin {
    /// Yes, once it is proven that nothing is lost.
    #[default]
    Auto,
    /// Only when an operator says so.
    Manual,
}

/// What to do with a node that holds transactions the new master never received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDiverged {
    /// Stay closed and out of election, and say what is lost.
    #[default]
    Refuse,
    /// Rebuild the node. Not supported by this version.
    Rebuild,
}

/// `[demote]`: becoming a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Demote {
    /// Longest wait for a source to appear. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub source_timeout: Duration,
    /// Whether to rejoin by itself. Default `auto`.
    pub rejoin: Rejoin,
    /// What to do with a diverged node. Default `refuse`.
    pub on_diverged: OnDiverged,
    /// Command that rebuilds this node. Not supported by this version.
    pub rebuild_command: Vec<String>,
    /// Run a standby with `sync_binlog = 0` and `innodb_flush_log_at_trx_commit = 2` while it is closed and
    /// follows. Default no: a standby that loses its power then has to be rebuilt.
    pub relaxed_durability: bool,
}

impl Default for Demote {
    fn default() -> Self {
        Self {
            source_timeout: Duration::from_secs(30),
            rejoin: Rejoin::Auto,
            on_diverged: OnDiverged::Refuse,
            rebuild_command: Vec::new(),
            relaxed_durability: false,
        }
    }
}
