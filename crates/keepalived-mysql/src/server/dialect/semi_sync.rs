//! The statements of semi-synchronous replication.
//!
//! Each tried on MariaDB 10.5, 10.11 and 11.8 and on MySQL 9.7 with both of its plugins.

use std::time::Duration;

use crate::replication::semi_sync::Words;
use crate::server::dialect::Dialect;

impl Dialect {
    /// Lets commits wait for a replica, before they are visible to anybody (`AFTER_SYNC`), and also while
    /// no replica is attached: a source that is cut off must not acknowledge alone.
    ///
    /// MySQL 5.6 knows no wait point.
    pub fn semi_sync_source_on(&self, words: Words, timeout: Duration) -> Vec<String> {
        let begin = words.source();
        let mut statements = vec![
            format!("SET GLOBAL {begin}_timeout = {}", timeout.as_millis()),
            format!("SET GLOBAL {} = 1", words.wait_alone()),
        ];
        if self.knows_wait_point() {
            statements.push(format!("SET GLOBAL {begin}_wait_point = 'AFTER_SYNC'"));
        }
        statements.push(format!("SET GLOBAL {begin}_enabled = 1"));
        statements
    }

    /// Lets commits go on alone. Those that wait are acknowledged at once.
    pub fn semi_sync_source_off(&self, words: Words) -> String {
        format!("SET GLOBAL {}_enabled = 0", words.source())
    }

    /// The next start of the receiver acknowledges what it receives.
    pub fn semi_sync_replica_on(&self, words: Words) -> String {
        format!("SET GLOBAL {}_enabled = 1", words.replica())
    }

    /// The next start of the receiver does not.
    pub fn semi_sync_replica_off(&self, words: Words) -> String {
        format!("SET GLOBAL {}_enabled = 0", words.replica())
    }

    /// MariaDB, and MySQL 5.7.2 and newer.
    fn knows_wait_point(&self) -> bool {
        self.product == crate::server::dialect::Product::MariaDb || self.version >= (5, 7, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::dialect::{Known, Product};

    fn dialect(product: Product, version: (u16, u16, u16)) -> Dialect {
        Dialect {
            product,
            version,
            known: Known::default(),
        }
    }

    #[test]
    fn the_source_side_is_set_before_it_is_switched_on() {
        let mariadb = dialect(Product::MariaDb, (10, 11, 19));
        let timeout = Duration::from_secs(16);
        assert_eq!(
            mariadb.semi_sync_source_on(Words::MasterSlave, timeout),
            [
                "SET GLOBAL rpl_semi_sync_master_timeout = 16000",
                "SET GLOBAL rpl_semi_sync_master_wait_no_slave = 1",
                "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
                "SET GLOBAL rpl_semi_sync_master_enabled = 1",
            ]
        );
        let mysql = dialect(Product::MySql, (9, 7, 4));
        let all = mysql.semi_sync_source_on(Words::SourceReplica, timeout);
        assert!(all.iter().all(|sql| sql.contains("rpl_semi_sync_source_")));
        assert_eq!(
            all[1],
            "SET GLOBAL rpl_semi_sync_source_wait_no_replica = 1"
        );
    }

    #[test]
    fn mysql_5_6_has_no_wait_point() {
        let old = dialect(Product::MySql, (5, 6, 24));
        let all = old.semi_sync_source_on(Words::MasterSlave, Duration::from_secs(1));
        assert!(!all.iter().any(|sql| sql.contains("wait_point")), "{all:?}");
    }

    #[test]
    fn each_side_is_switched_by_its_own_variable() {
        let dialect = dialect(Product::MySql, (8, 0, 36));
        assert_eq!(
            dialect.semi_sync_source_off(Words::SourceReplica),
            "SET GLOBAL rpl_semi_sync_source_enabled = 0"
        );
        assert_eq!(
            dialect.semi_sync_replica_on(Words::MasterSlave),
            "SET GLOBAL rpl_semi_sync_slave_enabled = 1"
        );
        assert_eq!(
            dialect.semi_sync_replica_off(Words::SourceReplica),
            "SET GLOBAL rpl_semi_sync_replica_enabled = 0"
        );
    }
}
