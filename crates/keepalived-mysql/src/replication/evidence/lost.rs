//! Lost transactions: what an old master committed and the new one never received.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::replication::gtid::{
    MariadbBinlogState, MariadbGtidRange, MariadbPosition, MysqlGtidSet,
};
use crate::replication::position::BinlogPosition;

/// Which transactions of a server's own binary log are lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Lost {
    /// Those that it wrote itself from here to the end.
    Position {
        /// What the new source had applied of it.
        from: BinlogPosition,
        /// Its own `server_id`.
        server_id: u32,
    },
    /// These, by MySQL's numbers.
    MySql {
        /// The numbers.
        gtids: MysqlGtidSet,
    },
    /// These, by MariaDB's numbers.
    MariaDb {
        /// By domain and server.
        ranges: Vec<MariadbGtidRange>,
    },
}

impl Lost {
    /// What `old` has executed and `new` has not; none if there is nothing.
    pub fn by_mysql(old: &MysqlGtidSet, new: &MysqlGtidSet) -> Option<Self> {
        let gtids = old.subtract(new);
        (!gtids.is_empty()).then_some(Self::MySql { gtids })
    }

    /// What `old` has logged and the new source has neither logged nor applied; none if there is nothing.
    pub fn by_mariadb(
        old: &MariadbBinlogState,
        new: &MariadbBinlogState,
        new_slave_pos: &MariadbPosition,
    ) -> Option<Self> {
        let mut known = new.clone();
        known.extend_with_position(new_slave_pos);
        let ranges = old.missing_in(&known);
        (!ranges.is_empty()).then_some(Self::MariaDb { ranges })
    }

    /// Whether a file of the binary log begins before all of them, by what its head says of the files
    /// before it (`Info` of `Previous_gtids` or `Gtid_list` in SHOW BINLOG EVENTS).
    pub fn all_after(&self, head: &str) -> bool {
        match self {
            Self::Position { .. } => false,
            Self::MySql { gtids } => head
                .parse::<MysqlGtidSet>()
                .is_ok_and(|before| gtids.subtract(&before) == *gtids),
            Self::MariaDb { ranges } => gtid_list(head).is_some_and(|before| {
                ranges.iter().all(|range| {
                    before.get(range.domain, range.server_id).unwrap_or(0) < range.from
                })
            }),
        }
    }
}

/// MariaDB shows `[0-11-5,\n0-12-6]`.
fn gtid_list(text: &str) -> Option<MariadbBinlogState> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok()
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position { from, server_id } => {
                write!(f, "what server {server_id} wrote itself from {from} on")
            }
            Self::MySql { gtids } => write!(f, "{gtids}"),
            Self::MariaDb { ranges } => {
                let all: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_new_source_applied_is_not_lost() {
        let old = "0-11-9,0-12-4".parse().expect("a state");
        let new = "0-12-7".parse().expect("a state");
        let applied = "0-11-6".parse().expect("a position");
        let lost = Lost::by_mariadb(&old, &new, &applied).expect("lost");
        assert_eq!(lost.to_string(), "0-11-7..9");
        assert_eq!(Lost::by_mariadb(&old, &old, &applied), None);
    }

    #[test]
    fn a_file_that_begins_with_a_lost_one_behind_it_is_too_late() {
        let old = "0-11-9".parse().expect("a state");
        let new = "0-11-6".parse().expect("a state");
        let lost = Lost::by_mariadb(&old, &new, &MariadbPosition::default()).expect("lost");
        assert!(lost.all_after("[]"));
        assert!(lost.all_after("[0-12-8,\n0-11-6]"));
        assert!(!lost.all_after("[0-11-7]"));
        assert!(!lost.all_after("unreadable"));
    }

    #[test]
    fn the_same_by_mysqls_numbers() {
        let uuid = "8cd92904-e4d0-11f1-ab4d-02fc00000001";
        let old = format!("{uuid}:1-9").parse().expect("a set");
        let new = format!("{uuid}:1-6").parse().expect("a set");
        let lost = Lost::by_mysql(&old, &new).expect("lost");
        assert_eq!(lost.to_string(), format!("{uuid}:7-9"));
        assert!(lost.all_after("") && lost.all_after(&format!("{uuid}:1-6")));
        assert!(!lost.all_after(&format!("{uuid}:1-7")));
        assert_eq!(Lost::by_mysql(&new, &old), None);
    }
}
