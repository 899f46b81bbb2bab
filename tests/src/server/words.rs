//! The lab's statements in each server's words. Tests are written in MariaDB's.

use super::Server;

impl Server {
    /// The statements as this server understands them.
    #[must_use]
    pub fn words(self, statements: &str) -> String {
        let pairs: &[(&str, &str)] = match self {
            Self::MySql97 => &[
                ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS"),
                ("SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"),
                ("STOP SLAVE", "STOP REPLICA"),
                ("START SLAVE", "START REPLICA"),
                ("RESET SLAVE", "RESET REPLICA"),
                ("MASTER_PASSWORD", "SOURCE_PASSWORD"),
                ("RESET MASTER", "RESET BINARY LOGS AND GTIDS"),
                ("rpl_semi_sync_master_", "rpl_semi_sync_source_"),
                ("rpl_semi_sync_slave_", "rpl_semi_sync_replica_"),
                ("Rpl_semi_sync_master_", "Rpl_semi_sync_source_"),
                ("Rpl_semi_sync_slave_", "Rpl_semi_sync_replica_"),
            ],
            Self::MySql56 => &[("SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS")],
            _ => &[],
        };
        pairs
            .iter()
            .fold(statements.to_owned(), |text, (from, to)| {
                text.replace(from, to)
            })
    }

    /// The statement that closes it.
    #[must_use]
    pub fn closing(self) -> &'static str {
        match self {
            Self::MySql97 => "SET GLOBAL super_read_only = 1",
            _ => "SET GLOBAL read_only = 1",
        }
    }

    /// What tells a source by GTID that the replica may hold transactions of its own.
    #[must_use]
    pub fn self_detecting(self) -> &'static str {
        match self {
            Self::MySql97 => "SOURCE_AUTO_POSITION = 1",
            Self::MySql56 => "MASTER_AUTO_POSITION = 1",
            Self::MariaDb105 => "SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos",
            _ => "MASTER_DEMOTE_TO_SLAVE = 1",
        }
    }

    /// Takes a table's write lock while the server is closed: root may, but not under `super_read_only`.
    #[must_use]
    pub fn locking_on_a_closed_server(self, table: &str) -> String {
        let lift = match self {
            Self::MySql97 => "SET GLOBAL super_read_only = 0; ",
            _ => "",
        };
        format!("{lift}LOCK TABLES {table} WRITE")
    }

    /// Everything that a server has executed, in its own notation; comparable on two servers. Empty
    /// where it counts nothing.
    #[must_use]
    pub fn executed(self) -> &'static str {
        if self.is_mariadb() {
            "@@global.gtid_binlog_pos"
        } else {
            "@@global.gtid_executed"
        }
    }

    /// The number of the transaction that this session committed last, as far as the server tells.
    pub(crate) fn last_transaction(self) -> &'static str {
        if self.is_mariadb() {
            "@@last_gtid"
        } else {
            "''"
        }
    }
}
