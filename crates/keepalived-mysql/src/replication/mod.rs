//! Replication as pure data: positions, GTIDs, what a replica says of itself, and what follows from it.
//!
//! Nothing in this module talks to a server, reads a clock or touches a file.

pub mod events;
pub mod evidence;
pub mod gtid;
pub mod position;
pub mod replica;
pub mod semi_sync;

pub use evidence::{Drain, Relation};
pub use gtid::{MariadbBinlogState, MariadbGtid, MariadbPosition, MysqlGtidSet};
pub use position::BinlogPosition;
pub use replica::ReplicaStatus;
