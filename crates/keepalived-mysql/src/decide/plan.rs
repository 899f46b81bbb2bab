//! Plans: ordered, named steps, each with its reason.

use std::time::Duration;

use serde::Serialize;

use crate::decide::rule::Rule;
use crate::epoch::Epoch;
use crate::ledger::record::Method;
use crate::replication::events::EventName;
use crate::replication::evidence::Lost;
use crate::replication::position::BinlogPosition;
use crate::replication::semi_sync::Words;

/// One step of a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// Refuse application writes on this node.
    Close,
    /// Write down, durably, that this node wants to open under `epoch`.
    Claim {
        /// The claimed epoch.
        epoch: Epoch,
    },
    /// Tell a server of the epoch, so that no opening below it can succeed there.
    RaiseFence {
        /// Which server.
        node: String,
        /// The epoch it is told of.
        epoch: Epoch,
    },
    /// Wait until everything received is applied, while the source may still send.
    Drain {
        /// The replication channel.
        channel: String,
    },
    /// Close an open peer and learn where its history ends.
    FencePeer {
        /// Which peer.
        node: String,
    },
    /// Run the configured fence command against a silent peer.
    FenceCommand {
        /// Which peer.
        node: String,
    },
    /// Receive and apply up to the end of a closed peer's history.
    CatchUp {
        /// Which peer.
        node: String,
        /// The replication channel.
        channel: String,
    },
    /// Let no more arrive.
    StopReceiver {
        /// The replication channel.
        channel: String,
    },
    /// Prove that everything received is applied.
    ProveApplied {
        /// The replication channel.
        channel: String,
    },
    /// Stop the applier as well.
    StopReplication {
        /// The replication channel.
        channel: String,
    },
    /// Keep the channel's settings in a file.
    SaveChannel {
        /// The replication channel.
        channel: String,
    },
    /// Write down that the opening is about to be sent.
    RecordOpening {
        /// The epoch to open under.
        epoch: Epoch,
    },
    /// Let the server open itself, if fence row and clock allow.
    Open {
        /// The epoch to open under.
        epoch: Epoch,
    },
    /// Write down that the server was read back open.
    RecordOpened {
        /// The epoch it is open under.
        epoch: Epoch,
    },
    /// Forget the old source, which would otherwise feed its lost transactions in when it returns.
    ClearReplication {
        /// The replication channel.
        channel: String,
    },
    /// Make every commit durable before it is acknowledged.
    Durability,
    /// Follow a new source.
    Repoint {
        /// The node to follow.
        node: String,
        /// The replication channel.
        channel: String,
        /// How the place in its binary log is found.
        method: Method,
        /// Where to begin; none with GTID.
        start: Option<BinlogPosition>,
        /// The epoch that the source serves under.
        epoch: Epoch,
    },
    /// Start the threads of a channel that is configured already.
    StartReplication {
        /// The replication channel.
        channel: String,
    },
    /// Wait until both threads run.
    VerifyReplication {
        /// The node that is followed.
        node: String,
        /// The replication channel.
        channel: String,
        /// The epoch that the source serves under.
        epoch: Epoch,
    },
    /// Write down where replication stood.
    RecordPosition,
    /// Let commits wait until a replica has received them.
    SemiSyncSourceOn {
        /// How the server names the variables.
        words: Words,
        /// How long a commit waits.
        #[serde(with = "humantime_serde")]
        timeout: Duration,
    },
    /// Let commits go on alone.
    SemiSyncSourceOff {
        /// How the server names the variables.
        words: Words,
    },
    /// Acknowledge what is received, from the next start of the receiver on.
    SemiSyncReplicaOn {
        /// How the server names the variables.
        words: Words,
    },
    /// Acknowledge nothing, from the next start of the receiver on.
    SemiSyncReplicaOff {
        /// How the server names the variables.
        words: Words,
    },
    /// Stop and start the receiver alone, while the applier runs.
    RestartReceiver {
        /// The replication channel.
        channel: String,
    },
    /// Run the events that ran on the node that served before.
    EnableEvents {
        /// Which were to be enabled when it was planned.
        events: Vec<EventName>,
    },
    /// Run no events on a node that does not serve.
    DisableEvents {
        /// Which ran when it was planned.
        events: Vec<EventName>,
    },
    /// Flush a standby's commits once a second only.
    RelaxDurability,
    /// Copy what this node alone committed out of its own binary log.
    Salvage {
        /// Which transactions.
        lost: Lost,
        /// The node that never received them.
        node: String,
    },
}

impl Step {
    /// The step's name, in receipts, logs and the lab's switches.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Claim { .. } => "claim",
            Self::RaiseFence { .. } => "raise-fence",
            Self::Drain { .. } => "drain",
            Self::FencePeer { .. } => "fence-peer",
            Self::FenceCommand { .. } => "fence-command",
            Self::CatchUp { .. } => "catch-up",
            Self::StopReceiver { .. } => "stop-receiver",
            Self::ProveApplied { .. } => "prove-applied",
            Self::StopReplication { .. } => "stop-replication",
            Self::SaveChannel { .. } => "save-channel",
            Self::RecordOpening { .. } => "record-opening",
            Self::Open { .. } => "open",
            Self::RecordOpened { .. } => "record-opened",
            Self::ClearReplication { .. } => "clear-replication",
            Self::Durability => "durability",
            Self::Repoint { .. } => "repoint",
            Self::StartReplication { .. } => "start-replication",
            Self::VerifyReplication { .. } => "verify-replication",
            Self::RecordPosition => "record-position",
            Self::SemiSyncSourceOn { .. } => "semi-sync-source-on",
            Self::SemiSyncSourceOff { .. } => "semi-sync-source-off",
            Self::SemiSyncReplicaOn { .. } => "semi-sync-replica-on",
            Self::SemiSyncReplicaOff { .. } => "semi-sync-replica-off",
            Self::RestartReceiver { .. } => "restart-receiver",
            Self::EnableEvents { .. } => "enable-events",
            Self::DisableEvents { .. } => "disable-events",
            Self::RelaxDurability => "relax-durability",
            Self::Salvage { .. } => "salvage",
        }
    }

    /// Whether the server is open already when this step runs, so that its failure is only reported
    /// and left to repair.
    pub fn after_opening(&self) -> bool {
        matches!(self, Self::ClearReplication { .. } | Self::Durability) || self.is_setting()
    }

    /// Whether this step only sets a server up for its role: its failure stops no transition and is
    /// left to repair.
    pub fn is_setting(&self) -> bool {
        matches!(
            self,
            Self::SemiSyncSourceOn { .. }
                | Self::SemiSyncSourceOff { .. }
                | Self::SemiSyncReplicaOn { .. }
                | Self::SemiSyncReplicaOff { .. }
                | Self::RestartReceiver { .. }
                | Self::EnableEvents { .. }
                | Self::DisableEvents { .. }
                | Self::RelaxDurability
        )
    }

    /// Whether SIGTERM is held back here: between these steps the server's state and the record
    /// about it differ.
    pub fn critical(&self) -> bool {
        matches!(
            self,
            Self::RecordOpening { .. } | Self::Open { .. } | Self::RecordOpened { .. }
        )
    }
}

/// A step and why it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// What to do.
    #[serde(flatten)]
    pub step: Step,
    /// Why.
    pub why: String,
}

/// What a program is going to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The purpose in a few words.
    pub goal: String,
    /// The steps, in order.
    pub steps: Vec<Planned>,
    /// What an operator should know although it stops nothing.
    pub warnings: Vec<String>,
    /// The rules that were set aside for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Rule>,
}

impl Plan {
    /// A plan without steps yet.
    pub fn to(goal: impl Into<String>) -> Self {
        Self {
            goal: goal.into(),
            ..Self::default()
        }
    }

    /// Adds a step at the end.
    pub fn then(&mut self, step: Step, why: impl Into<String>) -> &mut Self {
        self.steps.push(Planned {
            step,
            why: why.into(),
        });
        self
    }

    /// The names of the steps, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.steps
            .iter()
            .map(|planned| planned.step.name())
            .collect()
    }
}
