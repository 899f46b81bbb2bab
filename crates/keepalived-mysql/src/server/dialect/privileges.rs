//! Which privilege a statement needs, by server; for the message when it is missing.
//!
//! Each was tried with an account that had nothing else, on MySQL 5.6 and 9.7 and MariaDB 10.5,
//! 10.11 and 11.8 (tests/real_servers.rs, `each_privilege_that_is_taken_away_is_named`, tries them again).

use super::{Dialect, Product};

/// What has to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The privilege, in the server's spelling.
    pub privilege: &'static str,
    /// On what: `*.*` or the suite's schema.
    pub on: &'static str,
}

/// One line of the table: how statements begin, and the privilege on MySQL before 8.0, on MySQL from
/// 8.0 on and on MariaDB.
type Line = (&'static [&'static str], [&'static str; 3]);

const SUPER: &str = "SUPER";

/// The first line that matches counts.
const TABLE: [Line; 15] = [
    (
        &["SET GLOBAL READ_ONLY", "SET GLOBAL SUPER_READ_ONLY"],
        [SUPER, "SYSTEM_VARIABLES_ADMIN", "READ_ONLY ADMIN"],
    ),
    (
        &[
            "SHOW REPLICA STATUS",
            "SHOW SLAVE STATUS",
            "SHOW ALL SLAVES STATUS",
        ],
        ["REPLICATION CLIENT", "REPLICATION CLIENT", "SLAVE MONITOR"],
    ),
    (
        &[
            "SHOW MASTER STATUS",
            "SHOW BINARY LOG STATUS",
            "SHOW BINARY LOGS",
        ],
        ["REPLICATION CLIENT", "REPLICATION CLIENT", "BINLOG MONITOR"],
    ),
    (
        &["SHOW BINLOG EVENTS"],
        ["REPLICATION SLAVE", "REPLICATION SLAVE", "BINLOG MONITOR"],
    ),
    (
        &[
            "STOP SLAVE",
            "STOP REPLICA",
            "START SLAVE",
            "START REPLICA",
            "CHANGE MASTER",
            "CHANGE REPLICATION SOURCE",
        ],
        [SUPER, "REPLICATION_SLAVE_ADMIN", "REPLICATION SLAVE ADMIN"],
    ),
    (
        &["RESET SLAVE", "RESET REPLICA", "FLUSH"],
        ["RELOAD", "RELOAD", "RELOAD"],
    ),
    (
        &[
            "SET GLOBAL SLAVE_NET_TIMEOUT",
            "SET GLOBAL REPLICA_NET_TIMEOUT",
            "SET GLOBAL GTID_SLAVE_POS",
            "SET GLOBAL RPL_SEMI_SYNC_SLAVE",
            "SET GLOBAL RPL_SEMI_SYNC_REPLICA",
        ],
        [SUPER, "SYSTEM_VARIABLES_ADMIN", "REPLICATION SLAVE ADMIN"],
    ),
    (
        &[
            "SET GLOBAL RPL_SEMI_SYNC_MASTER",
            "SET GLOBAL RPL_SEMI_SYNC_SOURCE",
        ],
        [SUPER, "SYSTEM_VARIABLES_ADMIN", "REPLICATION MASTER ADMIN"],
    ),
    (
        &["SET GLOBAL SYNC_BINLOG", "SET SESSION SQL_LOG_BIN"],
        [SUPER, "SYSTEM_VARIABLES_ADMIN", "BINLOG ADMIN"],
    ),
    (&["SET GLOBAL"], [SUPER, "SYSTEM_VARIABLES_ADMIN", SUPER]),
    (
        &["KILL"],
        [SUPER, "CONNECTION_ADMIN, SYSTEM_USER", "CONNECTION ADMIN"],
    ),
    (&["SELECT COUNT(*) FROM INFORMATION_SCHEMA"], ["PROCESS"; 3]),
    (
        &["ALTER DEFINER"],
        ["EVENT, SUPER", "EVENT, SET_ANY_DEFINER", "EVENT, SET USER"],
    ),
    (&["SELECT EPOCH"], ["SELECT"; 3]),
    (
        &["UPDATE", "REPLACE", "INSERT"],
        ["SELECT, INSERT, UPDATE, DELETE"; 3],
    ),
];

/// Error 1290: the server is read only, and the account is not one that may write all the same.
const READ_ONLY: u16 = 1290;

impl Dialect {
    /// What an account needs that was refused `statement` with error `code`; None where the table
    /// does not know.
    pub fn needed(&self, statement: &str, code: u16) -> Option<Grant> {
        let begins = statement.trim_start().to_ascii_uppercase();
        if code == READ_ONLY {
            let privilege = self.among([SUPER, "CONNECTION_ADMIN", "READ_ONLY ADMIN"]);
            return Some(Grant {
                privilege,
                on: "*.*",
            });
        }
        let (_, privileges) = TABLE
            .iter()
            .find(|(statements, _)| statements.iter().any(|s| begins.starts_with(s)))?;
        let privilege = match self.among(*privileges) {
            // Its name before MySQL 8.2.
            "EVENT, SET_ANY_DEFINER" if self.version < (8, 2, 0) => "EVENT, SET_USER_ID",
            privilege => privilege,
        };
        let ours = begins.contains("KEEPALIVED_MYSQL.") && !begins.starts_with("SET ");
        Some(Grant {
            privilege,
            on: if ours { "keepalived_mysql.*" } else { "*.*" },
        })
    }

    fn among(&self, [old, mysql, mariadb]: [&'static str; 3]) -> &'static str {
        match self.product {
            Product::MariaDb => mariadb,
            Product::MySql if self.version >= (8, 0, 0) => mysql,
            Product::MySql => old,
        }
    }
}
