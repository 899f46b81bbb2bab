//! What the suite writes down about a promotion: pure data, no I/O.

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::replication::gtid::{MariadbBinlogState, MariadbPosition, MysqlGtidSet};
use crate::replication::position::BinlogPosition;

/// How far a promotion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    /// Wished for and written down; nothing was opened under it.
    Claim,
    /// The opening was about to be sent, or was sent; the server may be open.
    Opening,
    /// The server was read back open.
    Opened,
    /// Given up before anything was opened.
    Withdrawn,
}

impl RecordState {
    /// The word in the table's `state` column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Opening => "opening",
            Self::Opened => "opened",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state that a word in the table stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Claim, Self::Opening, Self::Opened, Self::Withdrawn]
            .into_iter()
            .find(|state| state.word() == word)
    }

    /// Whether application writes may exist under it (a claim alone is a used number).
    pub fn counts(self) -> bool {
        matches!(self, Self::Opening | Self::Opened)
    }
}

/// How the replicas of a group find their place in the source's binary log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By global transaction identifiers.
    Gtid,
    /// By file and offset.
    Position,
}

/// Places in binary logs, in every form that the server could tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// File and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<BinlogPosition>,
    /// MariaDB: the newest transaction of each domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mariadb: Option<MariadbPosition>,
    /// MariaDB: the newest transaction of each domain and server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mariadb_state: Option<MariadbBinlogState>,
    /// MySQL: the set of executed transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<MysqlGtidSet>,
}

/// What was applied of the source that this node followed before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppliedOf {
    /// The node that was followed, where it is one of the group.
    pub node: Option<String>,
    /// Its address as the channel had it.
    pub host: String,
    /// In the source's coordinates, how far its history went into ours.
    pub applied: Coordinates,
}

/// The free part of a promotion record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordDetails {
    /// How replicas of this node should follow it.
    pub method: Method,
    /// What was followed before; none for a node that followed nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<AppliedOf>,
    /// Where this node's own history begins in its own binary log.
    #[serde(default)]
    pub begins: Coordinates,
    /// Rules that an operator or the policy overrode for this promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// Whether every commit was flushed before it was acknowledged while this record was written.
    #[serde(default)]
    pub durable: bool,
    /// The boot in which it was written; after another boot relaxed durability proves nothing.
    #[serde(default)]
    pub boot_id: String,
    /// The program that promoted.
    pub by: String,
    /// When, in UTC on the node's clock (RFC 3339).
    pub at: String,
}

/// One row of `keepalived_mysql.promotion`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotionRecord {
    /// The claimed epoch.
    pub epoch: Epoch,
    /// Which server wrote it; a row that came with a cloned data folder names another server.
    pub server_identity: String,
    /// How far it came.
    pub state: RecordState,
    /// The rest; none if the text in the table could not be read.
    pub details: Option<RecordDetails>,
}

/// The one row of `keepalived_mysql.fence`: the highest epoch that a server has been told of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceRow {
    /// The epoch.
    pub epoch: Epoch,
    /// The node that wrote the row.
    pub told_by: String,
    /// Why, in a few words.
    pub reason: String,
    /// When, on the server's clock.
    pub told_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for state in [
            RecordState::Claim,
            RecordState::Opening,
            RecordState::Opened,
            RecordState::Withdrawn,
        ] {
            assert_eq!(RecordState::from_word(state.word()), Some(state));
        }
        assert_eq!(RecordState::from_word("open"), None);
    }
}
