//! What a replica says of itself, in one form for all servers and versions.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::gtid::{MariadbPosition, MysqlGtidSet};
use super::position::BinlogPosition;

/// State of the receiver, the thread that reads from the source (`Replica_IO_Running`, `Slave_IO_Running`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// Connected. A source that is frozen looks like this too, until the network timeout.
    Running,
    /// Started, but without a connection: it may receive more at any moment.
    Connecting,
    /// Not started, stopped, or ended by an error that it does not retry.
    Stopped,
}

/// How the replica tells the source where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positioning {
    /// By file and offset in the source's binary log.
    FileAndOffset,
    /// By MySQL GTIDs (`SOURCE_AUTO_POSITION=1`).
    MysqlAutoPosition,
    /// By `@@gtid_slave_pos` (`MASTER_USE_GTID=slave_pos`).
    MariadbSlavePos,
    /// By `@@gtid_current_pos` (`MASTER_USE_GTID=current_pos`).
    MariadbCurrentPos,
}

/// The last error of the receiver or the applier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationError {
    /// The server's error number; never 0. A fatal read error is 1236 on MariaDB and MySQL 5.6, 13114 on 9.7.
    pub code: u32,
    /// The server's text. MySQL keeps details of a worker's error elsewhere (`performance_schema`).
    pub message: String,
}

impl fmt::Display for ReplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}: {}", self.code, self.message)
    }
}

/// One replication channel as the replica reports it (`SHOW REPLICA STATUS` and its older names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Name of the channel or connection; empty for the default one, and wherever the statement does not name it.
    pub channel: String,
    /// Address of the source; empty if none is configured.
    pub source_host: String,
    /// TCP port of the source.
    pub source_port: u16,
    /// Account that the receiver uses.
    pub source_user: String,
    /// State of the receiver.
    pub receiver: Receiver,
    /// Whether the applier (`Replica_SQL_Running`) runs.
    pub applier_running: bool,
    /// Up to where the source's binary log was received. `None` before the first file is known.
    pub received: Option<BinlogPosition>,
    /// Up to where the source's binary log was applied, in the source's coordinates
    /// (`Relay_Source_Log_File` and `Exec_Source_Log_Pos`). With MySQL's workers it lags behind the truth
    /// until their next checkpoint.
    pub applied: Option<BinlogPosition>,
    /// How the replica tells the source where to go on.
    pub positioning: Positioning,
    /// MariaDB with GTID: the newest completely received transactions (`Gtid_IO_Pos`), maybe empty. Else `None`.
    pub received_mariadb: Option<MariadbPosition>,
    /// MySQL: `Retrieved_Gtid_Set`, maybe empty. On 5.6 it counts a last transaction that arrived only in part.
    pub retrieved_mysql: Option<MysqlGtidSet>,
    /// MySQL: `Executed_Gtid_Set`, maybe empty: everything this server ever committed, from wherever it came.
    pub executed_mysql: Option<MysqlGtidSet>,
    /// Last error of the receiver. A receiver that is connecting again keeps it.
    pub receiver_error: Option<ReplicationError>,
    /// Last error of the applier.
    pub applier_error: Option<ReplicationError>,
    /// What the receiver says it does.
    pub receiver_state: String,
    /// What the applier says it does. MySQL 9.7 says that it has read all even while a worker is blocked.
    pub applier_state: String,
    /// Seconds behind the source by the server's own reckoning; `None` where it gives none. Never a proof.
    pub seconds_behind: Option<u64>,
    /// Configured delay of the applier in seconds; 0 for none.
    pub delay_seconds: u64,
    /// Server id of the source, once it is known.
    pub source_server_id: Option<u32>,
    /// MySQL: UUID of the source, once it is known.
    pub source_uuid: Option<String>,
    /// Seconds between attempts to connect.
    pub connect_retry_seconds: Option<u64>,
    /// Replication filters in force: the non-empty `Replicate_*` columns with their values.
    pub filters: Vec<(String, String)>,
    /// Whether the receiver may use TLS (`Source_SSL_Allowed`).
    pub uses_tls: bool,
}

impl ReplicaStatus {
    /// Whether both threads run and the receiver is connected.
    pub fn is_running(&self) -> bool {
        self.receiver == Receiver::Running && self.applier_running
    }

    /// Whether the channel reads from the server at `address` and `port`. It may have been set up by
    /// the address, in whichever spelling, or by the node's name.
    pub fn reads_from(&self, name: &str, address: IpAddr, port: u16) -> bool {
        let host = self.source_host.parse::<IpAddr>();
        (host == Ok(address) || self.source_host == name) && self.source_port == port
    }

    /// Whether the channel has a source.
    pub fn configured(&self) -> bool {
        !self.source_host.is_empty()
    }
}
