//! Every SQL statement that differs by server and version, in one place.
//!
//! Nothing outside this file spells a statement that one of the supported servers does not know.
//! MySQL dropped the words MASTER and SLAVE in 8.4 and learnt the new ones in 8.0.22 and 8.0.23;
//! MariaDB keeps `CHANGE MASTER` and knows `super_read_only` in no version.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::replication::position::BinlogPosition;
use crate::server::source_tls::SourceTls;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// MariaDB Server.
    MariaDb,
    /// Oracle's or Percona's MySQL.
    MySql,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// The words that one server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Whose server it is.
    pub product: Product,
    /// Major, minor and patch number.
    pub version: (u16, u16, u16),
    /// Whether it knows `server_uid`: MariaDB since the releases of August 2024.
    pub server_uid: bool,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        write!(f, "{} {major}.{minor}.{patch}", self.product)
    }
}

/// Where a replica shall read from, and how it finds its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// By global transaction identifiers, in the form that notices transactions of one's own.
    Gtid,
    /// By file and offset in the source's binary log.
    Position(BinlogPosition),
}

/// The settings of a replication channel. No Debug: it holds a password.
#[derive(Clone, PartialEq)]
pub struct Source<'a> {
    /// The source's address.
    pub host: &'a str,
    /// Its TCP port.
    pub port: u16,
    /// The replication account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Seconds between two attempts to connect.
    pub connect_retry: u64,
    /// How many attempts the receiver makes before it ends (MySQL only; MariaDB has a server option).
    pub retry_count: u64,
    /// Seconds between heartbeats of an idle source.
    pub heartbeat: f64,
    /// How the channel is encrypted.
    pub tls: SourceTls<'a>,
    /// Where to begin.
    pub start: Start,
}

impl Dialect {
    /// What is assumed in a printed plan for a server that cannot be asked.
    pub const UNKNOWN: Self = Self {
        product: Product::MariaDb,
        version: (10, 11, 0),
        server_uid: true,
    };

    /// What a session of ours begins with: settings that a server may have otherwise, then what
    /// [`Dialect::parse`] reads. With `autocommit = 0` every look would stay in one old snapshot, and
    /// `NO_BACKSLASH_ESCAPES` would change what our literals mean.
    pub const ASK: &'static str = "SET SESSION autocommit = 1, SESSION sql_mode = 'STRICT_ALL_TABLES'; \
         SELECT VERSION(), @@version_comment; SHOW GLOBAL VARIABLES LIKE 'server_uid'";

    /// Reads `VERSION()` and `@@version_comment`. None for a version that is not three numbers.
    ///
    /// The handshake is no use here: MariaDB before 11 says `5.5.5-` in it.
    pub fn parse(version: &str, comment: &str, server_uid: bool) -> Option<Self> {
        let mut numbers = version
            .split(['.', '-'])
            .map(|part| part.parse::<u16>().ok());
        let version_numbers = (numbers.next()??, numbers.next()??, numbers.next()??);
        let text = format!("{version} {comment}").to_ascii_lowercase();
        let product = if text.contains("mariadb") {
            Product::MariaDb
        } else {
            Product::MySql
        };
        Some(Self {
            product,
            version: version_numbers,
            server_uid,
        })
    }

    fn mariadb(&self) -> bool {
        self.product == Product::MariaDb
    }

    /// `REPLICA` and `SOURCE` instead of `SLAVE` and `MASTER`: MySQL 8.0.23 and newer.
    fn new_words(&self) -> bool {
        !self.mariadb() && self.version >= (8, 0, 23)
    }

    fn replica(&self) -> &'static str {
        if self.new_words() { "REPLICA" } else { "SLAVE" }
    }

    /// Whether the server knows `super_read_only`: MySQL 5.7.8 and newer.
    pub fn has_super_read_only(&self) -> bool {
        !self.mariadb() && self.version >= (5, 7, 8)
    }

    /// `channel` after the keyword, in the server's way of naming one; nothing for the default.
    fn channel(&self, channel: &str) -> String {
        match (channel.is_empty(), self.mariadb()) {
            (true, _) => String::new(),
            (false, true) => format!(" {}", quoted(channel)),
            (false, false) => String::new(),
        }
    }

    /// MySQL names the channel at the end of the statement.
    fn for_channel(&self, channel: &str) -> String {
        if channel.is_empty() || self.mariadb() || self.version < (5, 7, 6) {
            return String::new();
        }
        format!(" FOR CHANNEL {}", quoted(channel))
    }

    /// One row of what a server says of itself. NULL where it does not know the thing.
    pub fn facts(&self) -> String {
        let own = if self.mariadb() {
            let host = if self.server_uid {
                "@@server_uid"
            } else {
                "@@hostname"
            };
            format!(
                "CONCAT({host}, ':', @@datadir) AS identity, @@log_slave_updates AS log_updates, \
             @@global.gtid_binlog_pos AS gtid_binlog_pos, @@global.gtid_binlog_state AS gtid_binlog_state, \
             @@global.gtid_slave_pos AS gtid_slave_pos, NULL AS gtid_executed, NULL AS gtid_purged, \
             NULL AS gtid_mode, NULL AS super_read_only"
            )
        } else {
            format!(
                "@@server_uuid AS identity, {} AS log_updates, NULL AS gtid_binlog_pos, \
                 NULL AS gtid_binlog_state, NULL AS gtid_slave_pos, @@global.gtid_executed AS gtid_executed, \
                 @@global.gtid_purged AS gtid_purged, @@global.gtid_mode AS gtid_mode, {} AS super_read_only",
                if self.version >= (8, 0, 26) {
                    "@@log_replica_updates"
                } else {
                    "@@log_slave_updates"
                },
                if self.has_super_read_only() {
                    "@@global.super_read_only"
                } else {
                    "NULL"
                },
            )
        };
        format!(
            "SELECT @@global.server_id AS server_id, @@global.read_only AS read_only, @@log_bin AS log_bin, \
             @@log_bin_basename AS binlog_base, @@pid_file AS pid_file, NOW(6) AS now, @@global.sync_binlog AS sync_binlog, \
             @@global.innodb_flush_log_at_trx_commit AS flush_log, {own}"
        )
    }

    /// Every replication channel of the server, a row each.
    pub fn replica_status(&self) -> &'static str {
        if self.mariadb() {
            "SHOW ALL SLAVES STATUS"
        } else if self.version >= (8, 0, 22) {
            "SHOW REPLICA STATUS"
        } else {
            "SHOW SLAVE STATUS"
        }
    }

    /// The end of the server's own binary log. Hangs while the disk of the binary log is full.
    pub fn binlog_end(&self) -> &'static str {
        if !self.mariadb() && self.version >= (8, 2, 0) {
            "SHOW BINARY LOG STATUS"
        } else {
            "SHOW MASTER STATUS"
        }
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

    /// Stops the receiver, so that no more can arrive.
    pub fn stop_receiver(&self, channel: &str) -> String {
        format!(
            "STOP {}{} IO_THREAD{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// Starts the receiver alone.
    pub fn start_receiver(&self, channel: &str) -> String {
        format!(
            "START {}{} IO_THREAD{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// Starts the applier alone. Unlike a start of both it keeps MariaDB's relay logs.
    pub fn start_applier(&self, channel: &str) -> String {
        format!(
            "START {}{} SQL_THREAD{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// Stops both threads.
    pub fn stop_replication(&self, channel: &str) -> String {
        format!(
            "STOP {}{}{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// Starts both threads. On MariaDB with GTID this throws undrained relay logs away.
    pub fn start_replication(&self, channel: &str) -> String {
        format!(
            "START {}{}{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// Forgets the channel and its relay logs, applied or not.
    pub fn reset_replication(&self, channel: &str) -> String {
        format!(
            "RESET {}{} ALL{}",
            self.replica(),
            self.channel(channel),
            self.for_channel(channel)
        )
    }

    /// How long a replica waits for a silent source before it connects again.
    pub fn set_net_timeout(&self, seconds: u64) -> String {
        if !self.mariadb() && self.version >= (8, 0, 26) {
            format!("SET GLOBAL replica_net_timeout = {seconds}")
        } else {
            format!("SET GLOBAL slave_net_timeout = {seconds}")
        }
    }

    /// Points a stopped channel at a source.
    ///
    /// With GTID this is the form under which a server that holds transactions of its own is
    /// refused by the source (error 1236) instead of diverging in silence.
    pub fn change_source(&self, channel: &str, source: &Source<'_>) -> Vec<String> {
        let word = if self.new_words() { "SOURCE" } else { "MASTER" };
        let mut parts = vec![
            format!("{word}_HOST = {}", quoted(source.host)),
            format!("{word}_PORT = {}", source.port),
            format!("{word}_USER = {}", quoted(source.user)),
            format!("{word}_PASSWORD = {}", quoted(source.password)),
            format!("{word}_CONNECT_RETRY = {}", source.connect_retry),
            format!("{word}_HEARTBEAT_PERIOD = {}", source.heartbeat),
        ];
        if !self.mariadb() {
            parts.push(format!("{word}_RETRY_COUNT = {}", source.retry_count));
            if self.version >= (8, 0, 4) {
                parts.push(format!("GET_{word}_PUBLIC_KEY = 1"));
            }
        }
        parts.extend(source.tls.options(word, self.product));
        let mut before = Vec::new();
        match &source.start {
            Start::Position(position) => {
                parts.push(format!("{word}_LOG_FILE = {}", quoted(&position.file)));
                parts.push(format!("{word}_LOG_POS = {}", position.offset));
                parts.push(match (self.mariadb(), self.version >= (5, 6, 5)) {
                    (true, _) => "MASTER_USE_GTID = no".to_owned(),
                    (false, true) => format!("{word}_AUTO_POSITION = 0"),
                    (false, false) => String::new(),
                });
            }
            Start::Gtid if self.mariadb() => {
                parts.push("MASTER_USE_GTID = slave_pos".to_owned());
                if self.version >= (10, 10, 0) {
                    parts.push("MASTER_DEMOTE_TO_SLAVE = 1".to_owned());
                } else {
                    before.push("SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos".to_owned());
                }
            }
            Start::Gtid => parts.push(format!("{word}_AUTO_POSITION = 1")),
        }
        parts.retain(|part| !part.is_empty());
        let verb = if self.new_words() {
            "CHANGE REPLICATION SOURCE TO".to_owned()
        } else {
            format!("CHANGE MASTER{} TO", self.channel(channel))
        };
        before.push(format!(
            "{verb} {}{}",
            parts.join(", "),
            self.for_channel(channel)
        ));
        before
    }

    /// Refuses writes. Blocks behind table locks and commits; bound it with `lock_wait_timeout`.
    pub fn close(&self) -> &'static str {
        if self.has_super_read_only() {
            "SET GLOBAL super_read_only = 1"
        } else {
            "SET GLOBAL read_only = 1"
        }
    }

    /// Accepts writes if, at the moment when the server runs it, no fence row is above `epoch` of
    /// `node` and the server's clock is before `expiry`; refuses them otherwise. The second statement
    /// gives back which: 0 for open, 1 for closed. `read_only` itself would not tell, because somebody
    /// else may have closed the server again by then.
    ///
    /// The server itself checks, because a statement sent to a frozen server takes effect when it
    /// thaws, long after the sender has gone and another node has opened. `NOW()` would be the time
    /// at which the statement began, before it waited for a lock on the table; `SYSDATE()` is the
    /// time at which the row is read.
    pub fn open(&self, epoch: u64, node: &str, expiry: &str) -> String {
        format!(
            "SET GLOBAL read_only = (SELECT @keepalived_mysql_closed := \
             IF((epoch < {epoch} OR (epoch = {epoch} AND node = {node})) \
             AND SYSDATE(6) < {expiry}, 0, 1) FROM keepalived_mysql.fence WHERE id = 1); \
             SELECT @keepalived_mysql_closed",
            node = quoted(node),
            expiry = quoted(expiry),
        )
    }

    /// Lets an account with the right privilege write into the suite's tables on a closed server.
    pub fn lift_for_records(&self) -> Option<&'static str> {
        self.has_super_read_only()
            .then_some("SET GLOBAL super_read_only = 0")
    }

    /// The sessions of a server, with what is needed to tell applications from replication.
    pub fn processes(&self) -> &'static str {
        "SELECT ID AS id, USER AS user, HOST AS host, COMMAND AS command, TIME AS time, STATE AS state, \
         LEFT(INFO, 200) AS info FROM information_schema.PROCESSLIST"
    }
}

/// A text as an SQL string literal.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests;
