//! What a server is asked about itself.

use super::words::Purpose;
use super::{Dialect, quoted};
use crate::replication::position::BinlogPosition;

impl Dialect {
    /// One row of what a server says of itself. NULL where it does not know the thing.
    pub fn facts(&self) -> String {
        let own = if self.mariadb() {
            let host = if self.known.server_uid {
                "@@server_uid"
            } else {
                "@@hostname"
            };
            format!(
                "CONCAT({host}, ':', @@datadir) AS identity, @@log_slave_updates AS log_updates, \
                 @@global.gtid_binlog_pos AS gtid_binlog_pos, @@global.gtid_binlog_state AS gtid_binlog_state, \
                 @@global.gtid_slave_pos AS gtid_slave_pos, NULL AS gtid_executed, NULL AS gtid_purged, \
                 NULL AS gtid_mode"
            )
        } else {
            let log_updates = if self.known.log_replica_updates {
                "@@log_replica_updates"
            } else {
                "@@log_slave_updates"
            };
            format!(
                "@@server_uuid AS identity, {log_updates} AS log_updates, NULL AS gtid_binlog_pos, \
                 NULL AS gtid_binlog_state, NULL AS gtid_slave_pos, @@global.gtid_executed AS gtid_executed, \
                 @@global.gtid_purged AS gtid_purged, @@global.gtid_mode AS gtid_mode"
            )
        };
        let super_read_only = if self.known.super_read_only {
            "@@global.super_read_only"
        } else {
            "NULL"
        };
        let offline_mode = if self.known.offline_mode {
            "@@global.offline_mode"
        } else {
            "0"
        };
        format!(
            "SELECT @@global.server_id AS server_id, @@global.read_only AS read_only, @@log_bin AS log_bin, \
             @@log_bin_basename AS binlog_base, @@pid_file AS pid_file, NOW(6) AS now, @@global.sync_binlog AS sync_binlog, \
             @@global.innodb_flush_log_at_trx_commit AS flush_log, {own}, {super_read_only} AS super_read_only, {offline_mode} AS offline_mode{}",
            self.words(Purpose::StatusGuard)
        )
    }

    /// Every replication channel of the server, a row each.
    pub fn replica_status(&self) -> &'static str {
        self.words(Purpose::ReplicaStatus)
    }

    /// The transaction identifiers that MariaDB has applied, one cell; NULL on MySQL, which tells them
    /// in the status.
    pub fn applied_position(&self) -> &'static str {
        self.words(Purpose::AppliedPosition)
    }

    /// The end of the server's own binary log. Hangs while the disk of the binary log is full.
    pub fn binlog_end(&self) -> &'static str {
        self.words(Purpose::BinlogEnd)
    }

    /// The binary log files that the server still has.
    pub fn binlog_files(&self) -> &'static str {
        "SHOW BINARY LOGS"
    }

    /// The events of one binary log file from an offset on.
    pub fn binlog_events(&self, from: &BinlogPosition, limit: u32) -> String {
        format!(
            "SHOW BINLOG EVENTS IN {} FROM {} LIMIT {limit}",
            quoted(&from.file),
            from.offset
        )
    }

    /// Path and first part of the name of the relay logs, one cell.
    pub fn relay_logs(&self) -> &'static str {
        "SELECT @@relay_log_basename"
    }

    /// The sessions of a server, with what is needed to tell applications from replication.
    pub fn processes(&self) -> &'static str {
        "SELECT ID AS id, USER AS user, HOST AS host, COMMAND AS command, TIME AS time, STATE AS state, \
         LEFT(INFO, 200) AS info FROM information_schema.PROCESSLIST"
    }

    /// How many threads of an applier have work, one cell.
    ///
    /// Every replication thread that does not say that it idles counts: a worker that waits for a
    /// lock says which lock, and nothing in its row tells it from a coordinator (tests/real_servers.rs,
    /// `a_blocked_worker_is_never_idle`). MySQL's coordinator says that it has read everything
    /// even while its workers work, so it idles here.
    pub fn busy_appliers(&self) -> String {
        const IDLE: [&str; 3] = [
            "Waiting for an event from Coordinator%",
            "Waiting for work%",
            "%has read all relay log%",
        ];
        format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE {APPLIERS}{}",
            unlike("STATE", &IDLE)
        )
    }

    /// How many threads of an applier wait for somebody's lock, one cell. A thread that waits for a
    /// row has a state like a working one; InnoDB knows.
    pub fn appliers_waiting_for_locks(&self) -> String {
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'system user' \
             AND (STATE LIKE '%lock%' OR ID IN (SELECT trx_mysql_thread_id \
             FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'))"
            .to_owned()
    }

    /// The numbers of the threads that apply, for KILL.
    pub fn applier_threads(&self) -> String {
        format!("SELECT ID FROM information_schema.PROCESSLIST WHERE {APPLIERS}")
    }
}

/// Replication threads that are no receivers. MariaDB names receivers in the Command column; on MySQL
/// their states tell (each was seen on 5.6 and 9.7; the manual lists them under "Replication I/O
/// (Receiver) Thread States", the old words up to 8.0.25).
const APPLIERS: &str = "USER = 'system user' AND COMMAND NOT IN ('Daemon', 'Slave_IO') \
     AND COALESCE(STATE, '') NOT LIKE 'Waiting for source%' \
     AND COALESCE(STATE, '') NOT LIKE 'Waiting for master%' \
     AND COALESCE(STATE, '') NOT LIKE 'Waiting to reconnect%' \
     AND COALESCE(STATE, '') NOT LIKE 'Reconnecting after%' \
     AND COALESCE(STATE, '') NOT LIKE 'Connecting to%' \
     AND COALESCE(STATE, '') NOT LIKE 'Registering %' \
     AND COALESCE(STATE, '') NOT LIKE 'Requesting binlog dump%' \
     AND COALESCE(STATE, '') NOT LIKE 'Queueing %'";

fn unlike(column: &str, patterns: &[&str]) -> String {
    patterns
        .iter()
        .map(|pattern| format!(" AND COALESCE({column}, '') NOT LIKE {}", quoted(pattern)))
        .collect()
}
