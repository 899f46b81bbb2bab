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
                ("RESET MASTER", "RESET BINARY LOGS AND GTIDS"),
                ("rpl_semi_sync_master_", "rpl_semi_sync_source_"),
                ("rpl_semi_sync_slave_", "rpl_semi_sync_replica_"),
                ("Rpl_semi_sync_master_", "Rpl_semi_sync_source_"),
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
