//! Variables that not every server has: asked for by name, because builds and plugins decide.

use serde::{Deserialize, Serialize};

/// Which of the variables of [`super::Dialect::ASK`] a server has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// `server_uid`: MariaDB since the releases of August 2024.
    pub server_uid: bool,
    /// `super_read_only`: MySQL 5.7.8, Percona Server 5.6.21; no MariaDB.
    pub super_read_only: bool,
    /// `log_replica_updates` instead of `log_slave_updates`: MySQL 8.0.26.
    pub log_replica_updates: bool,
    /// `replica_net_timeout` instead of `slave_net_timeout`: MySQL 8.0.26.
    pub replica_net_timeout: bool,
    /// `offline_mode`: MySQL 5.7.5; no MariaDB.
    pub offline_mode: bool,
    /// `rpl_semi_sync_master_enabled`: MariaDB; MySQL with the plugin of the old name.
    pub semi_sync_master: bool,
    /// `rpl_semi_sync_source_enabled`: MySQL 8.0.26 with the plugin of the new name.
    pub semi_sync_source: bool,
}

impl Known {
    /// Current releases of MariaDB.
    pub const MARIADB: Self = Self {
        server_uid: true,
        super_read_only: false,
        log_replica_updates: false,
        replica_net_timeout: false,
        offline_mode: false,
        semi_sync_master: true,
        semi_sync_source: false,
    };

    /// Takes down the variables that a server has listed.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for name in names {
            match name {
                "server_uid" => known.server_uid = true,
                "super_read_only" => known.super_read_only = true,
                "log_replica_updates" => known.log_replica_updates = true,
                "replica_net_timeout" => known.replica_net_timeout = true,
                "offline_mode" => known.offline_mode = true,
                "rpl_semi_sync_master_enabled" => known.semi_sync_master = true,
                "rpl_semi_sync_source_enabled" => known.semi_sync_source = true,
                _ => {}
            }
        }
        known
    }
}
