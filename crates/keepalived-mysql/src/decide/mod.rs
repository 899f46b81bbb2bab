//! Decisions: what was observed goes in, a plan or a refusal comes out.
//!
//! Nothing here touches a server, a file or a clock.

pub mod calm;
mod channels;
pub mod drift;
pub mod health;
pub mod plan;
pub mod promote;
pub mod rejoin;
pub mod rule;
pub mod settings;
#[cfg(test)]
pub(crate) mod testing;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;

/// What this node remembers, from its state and run folders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The highest epoch that any program of this node has seen anywhere.
    pub highest_epoch: Epoch,
    /// The highest epoch under which any node was seen to be or to have been open.
    pub highest_opened: Epoch,
    /// The epoch that this node last followed as a vetted replica.
    pub followed_epoch: Epoch,
    /// Set while the node holds transactions that the serving node does not have; the reason.
    pub diverged: Option<String>,
    /// Where that was salvaged to, once it was.
    pub salvage: Option<PathBuf>,
    /// When this node was last seen as a replica that had applied everything, in this boot.
    pub in_sync: Option<InSync>,
    /// Whether this node opened its server in this boot.
    pub opened_in_this_boot: bool,
    /// For how long this node has waited for its peer, its own data being of unknown age.
    pub waited: Duration,
    /// The fence row was raised by another node while our keepalived said MASTER.
    pub fenced: Option<FencedMark>,
    /// Whether the suite relaxed this standby's durability.
    pub relaxed: Relaxed,
}

/// Why a standby of [`Relaxed::BeforeThisBoot`] cannot be trusted.
pub const RELAXED: &str = "the host restarted while this standby ran with relaxed durability, so its tables may \
     lack what its own log says they hold";

/// Whether the suite let this node run, as a standby, without flushing every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxed {
    /// It did not, or has put it back since.
    #[default]
    No,
    /// It does now. A crash of the server alone loses nothing.
    InThisBoot,
    /// The host restarted meanwhile: the tables may lack what the server's own log says they hold.
    BeforeThisBoot,
}

/// A sight of a replica that had applied everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InSync {
    /// How long ago it was.
    pub age: Duration,
    /// When the server started that was seen, on the clock that counts since boot.
    pub server_started: Duration,
}

/// A node that was fenced while its live keepalived said MASTER.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FencedMark {
    /// The epoch of the fencer.
    pub by: Epoch,
    /// The keepalived process that said MASTER; another one lifts the mark.
    pub keepalived_pid: i32,
}
