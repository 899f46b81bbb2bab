//! Global transaction ids of both families, and the algebra that compares two histories.
//!
//! MariaDB names a transaction `domain-server-sequence` and knows three kinds of sets of them, of which a
//! position (the newest of each domain) and a binlog state (the newest of each domain and server) are
//! modelled here. MySQL names it `uuid:number` or `uuid:tag:number` and has one kind of set.

mod mariadb;
mod mysql;

pub use mariadb::{MariadbBinlogState, MariadbGtid, MariadbGtidRange, MariadbPosition};
pub use mysql::MysqlGtidSet;

/// A text that is not what the server writes for its GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GtidError {
    /// Not `domain-server-sequence`, or one of the numbers is out of range.
    #[error("{0:?} is not a MariaDB GTID: expected DOMAIN-SERVER-SEQUENCE")]
    Mariadb(String),
    /// A position names a domain, or a state a domain and server, twice.
    #[error("{0:?} names the same stream twice")]
    Duplicate(String),
    /// What stands before the first colon is not a UUID.
    #[error("{0:?} does not start with a UUID")]
    Uuid(String),
    /// Not a number from 1 to 2^63 - 1, nor two rising ones with a hyphen.
    #[error("{0:?} is not an interval of transaction numbers")]
    Interval(String),
    /// A UUID or tag without any interval, or a tag with wrong letters or more than 32 of them.
    #[error("{0:?} is not UUID[:TAG]:INTERVAL...")]
    Shape(String),
}
