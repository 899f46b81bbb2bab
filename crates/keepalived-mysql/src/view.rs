//! What is known of one node at one moment: pure data for `decide`.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::epoch::Epoch;
use crate::ledger::record::{Coordinates, FenceRow, Method, PromotionRecord};
use crate::replication::gtid::{MariadbBinlogState, MariadbPosition, MysqlGtidSet};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::{Positioning, ReplicaStatus};
use crate::replication::semi_sync::SemiSync;
use crate::server::dialect::Dialect;

/// What a node's server does for applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepts application writes.
    Open,
    /// Refuses them, by its own word.
    Closed,
    /// Its host answers that nobody listens. Counts as closed; servers have to boot closed.
    Down,
    /// Answers, but will not let us look. Counts as open.
    Alive,
    /// Does not answer in time.
    Silent,
}

/// Transaction identifiers, by product.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gtids {
    /// MariaDB's three views.
    MariaDb {
        /// `@@gtid_binlog_pos`.
        binlog: MariadbPosition,
        /// `@@gtid_binlog_state`.
        state: MariadbBinlogState,
        /// `@@gtid_slave_pos`.
        slave: MariadbPosition,
    },
    /// MySQL's sets.
    MySql {
        /// `@@gtid_executed`.
        executed: MysqlGtidSet,
        /// `@@gtid_purged`.
        purged: MysqlGtidSet,
        /// Whether `gtid_mode` is ON.
        on: bool,
    },
}

/// Whether the suite's own tables are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tables {
    /// Readable.
    Ready,
    /// Not there or not readable, with the server's words.
    Missing(String),
}

/// When a server started, on the clock that counts since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Started {
    /// The time.
    pub at: Duration,
    /// Two looks at the same start differ by no more than this: its process tells it to a clock tick,
    /// its uptime to a second.
    pub within: Duration,
}

/// What an answering server said of itself.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// Product and version.
    pub dialect: Dialect,
    /// `server_uuid`, or MariaDB's `server_uid` with the data folder.
    pub identity: String,
    /// `server_id`.
    pub server_id: u32,
    /// `read_only`.
    pub read_only: bool,
    /// `super_read_only`, where the server knows it.
    pub super_read_only: Option<bool>,
    /// An operator set `offline_mode`: only accounts with `CONNECTION_ADMIN` are let in.
    pub offline: bool,
    /// `log_bin`.
    pub log_bin: bool,
    /// Path and first part of the name of the binary log's files, where it is on.
    pub binlog_base: Option<String>,
    /// Whether what is applied also goes into the own binary log.
    pub log_updates: bool,
    /// When the server started.
    pub started: Started,
    /// The server's clock.
    pub now: String,
    /// `sync_binlog`.
    pub sync_binlog: u64,
    /// `innodb_flush_log_at_trx_commit`.
    pub flush_log: u64,
    /// Semi-synchronous replication.
    pub semi_sync: SemiSync,
    /// Transaction identifiers.
    pub gtids: Gtids,
    /// Every replication channel.
    pub channels: Vec<ReplicaStatus>,
    /// The end of the own binary log, if it was asked for and answered.
    pub binlog_end: Option<BinlogPosition>,
    /// The suite's tables.
    pub tables: Tables,
    /// The fence row.
    pub fence: FenceRow,
    /// Promotion records of this very server, newest epoch first.
    pub promotions: Vec<PromotionRecord>,
    /// Promotion records that another server wrote into this data folder (it was cloned).
    pub foreign_promotions: usize,
}

impl Facts {
    /// Whether an acknowledged commit survives a power loss.
    pub fn is_durable(&self) -> bool {
        self.sync_binlog == 1 && self.flush_log == 1
    }

    /// The record with the highest epoch under which this server was or may have been open.
    pub fn last_opening(&self) -> Option<&PromotionRecord> {
        self.promotions
            .iter()
            .filter(|record| record.state.counts())
            .max_by(|a, b| a.epoch.cmp(&b.epoch))
    }

    /// The epoch of [`Facts::last_opening`]; epoch 0 if there is none.
    pub fn own_epoch(&self) -> Epoch {
        self.last_opening()
            .map(|record| record.epoch.clone())
            .unwrap_or_default()
    }

    /// The highest epoch that is written anywhere in this server.
    pub fn highest_epoch(&self) -> Epoch {
        self.promotions
            .iter()
            .map(|record| &record.epoch)
            .chain([&self.fence.epoch])
            .max()
            .cloned()
            .unwrap_or_default()
    }

    /// Where this server's history ends now, in every form it knows.
    pub fn coordinates(&self) -> Coordinates {
        let mut here = Coordinates {
            position: self.binlog_end.clone(),
            ..Coordinates::default()
        };
        match &self.gtids {
            Gtids::MariaDb { binlog, state, .. } => {
                here.mariadb = Some(binlog.clone());
                here.mariadb_state = Some(state.clone());
            }
            Gtids::MySql { executed, .. } => here.mysql = Some(executed.clone()),
        }
        here
    }

    /// Whether the server can be followed by transaction identifiers.
    pub fn gtid_possible(&self) -> bool {
        match &self.gtids {
            Gtids::MariaDb { .. } => true,
            Gtids::MySql { on, .. } => *on,
        }
    }
}

/// One node as it was seen.
#[derive(Debug, Clone, Serialize)]
pub struct NodeView {
    /// Its name in the configuration.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
    /// Its server's port.
    pub port: u16,
    /// What its server does for applications.
    pub state: State,
    /// Why it is Down, Alive or Silent, in the words of whoever said so.
    pub why: String,
    /// What the server said; none unless Open or Closed.
    pub facts: Option<Facts>,
}

impl NodeView {
    /// The channel that reads from one of `nodes`.
    pub fn channel_from<'a>(&'a self, nodes: &[NodeView]) -> Option<&'a ReplicaStatus> {
        let channels = &self.facts.as_ref()?.channels;
        channels
            .iter()
            .find(|c| nodes.iter().any(|node| node.is_source_of(c)))
    }

    /// Whether `channel` reads from this node.
    pub fn is_source_of(&self, channel: &ReplicaStatus) -> bool {
        channel.reads_from(&self.name, self.address, self.port)
    }

    /// The highest epoch under which its server was or may have been open; epoch 0 if it does not answer.
    pub fn own_epoch(&self) -> Epoch {
        self.facts
            .as_ref()
            .map(Facts::own_epoch)
            .unwrap_or_default()
    }

    /// Whether its server lets us look into it.
    pub fn answers(&self) -> bool {
        matches!(self.state, State::Open | State::Closed)
    }
}

/// The method that a channel uses.
pub fn method_of(channel: &ReplicaStatus) -> Method {
    match channel.positioning {
        Positioning::FileAndOffset => Method::Position,
        Positioning::MysqlAutoPosition
        | Positioning::MariadbSlavePos
        | Positioning::MariadbCurrentPos => Method::Gtid,
    }
}
