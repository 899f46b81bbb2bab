//! The table: what is said for a purpose, by product and version.
//!
//! The first line that includes a server is the one for it. Versions are those in which the server
//! learnt the words (reference manuals: "SQL Statements for Controlling Replication", and the release
//! notes of MySQL 5.7.6, 8.0.4, 8.0.22, 8.0.23, 8.0.26 and 8.2.0 and of MariaDB 10.10.1).
//! `{channel}` is where the channel is named, `{options}` where options go.

use super::{Dialect, Product};

/// Which servers a line is for: those of one product, from a version on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Servers(Product, (u16, u16, u16));

impl Servers {
    pub(super) fn include(&self, dialect: &Dialect) -> bool {
        self.0 == dialect.product && dialect.version >= self.1
    }
}

const MARIADB: Servers = Servers(Product::MariaDb, (0, 0, 0));
const MYSQL: Servers = Servers(Product::MySql, (0, 0, 0));

const fn mysql(major: u16, minor: u16, patch: u16) -> Servers {
    Servers(Product::MySql, (major, minor, patch))
}

const fn mariadb(major: u16, minor: u16, patch: u16) -> Servers {
    Servers(Product::MariaDb, (major, minor, patch))
}

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Every replication channel, a row each.
    ReplicaStatus,
    /// A column more for the question that goes before the replica status in one round trip: an
    /// error where the status would wait behind a STOP that itself waits for somebody's lock. Empty
    /// where it does not (tests/real_servers, `a_status_that_would_wait_is_not_asked_for`).
    StatusGuard,
    /// The end of the own binary log.
    BinlogEnd,
    /// Stop the receiver.
    StopReceiver,
    /// Start the receiver.
    StartReceiver,
    /// Stop the applier.
    StopApplier,
    /// Start the applier.
    StartApplier,
    /// Stop both threads.
    StopReplication,
    /// Start both threads.
    StartReplication,
    /// Forget a channel and its relay logs.
    ResetReplication,
    /// Point a channel at a source.
    ChangeSource,
    /// The word in the options of [`Purpose::ChangeSource`] for the source.
    SourceWord,
    /// The option that fetches the source's key for the password exchange; empty: there is none.
    PublicKey,
    /// The option for how often the receiver tries to connect; empty: a server option only.
    RetryCount,
    /// The option for going on by transaction identifiers.
    ByGtid,
    /// The option for going on by file and offset.
    ByPosition,
    /// What goes before a change by transaction identifiers; empty: nothing.
    BeforeGtid,
    /// The option by which the source refuses a replica that has transactions of its own; empty:
    /// none, or [`Purpose::BeforeGtid`] does it.
    Demote,
    /// Not empty where there can be several channels.
    Channels,
    /// What applied transaction identifiers there are beside those in the status.
    AppliedPosition,
    /// Accounts and tables, a file of `examples/grants`.
    GrantsFile,
}

/// The lines of a purpose, the first match first.
type Lines = &'static [(Servers, &'static str)];

pub(super) const TABLE: [(Purpose, Lines); 21] = [
    (
        Purpose::ReplicaStatus,
        &[
            (MARIADB, "SHOW ALL SLAVES STATUS"),
            (mysql(8, 0, 22), "SHOW REPLICA STATUS"),
            (MYSQL, "SHOW SLAVE STATUS"),
        ],
    ),
    (
        Purpose::StatusGuard,
        &[
            (MARIADB, ""),
            (mysql(5, 7, 0), ""),
            (
                MYSQL,
                ", IF(EXISTS (SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'STOP SLAVE%' \
                 AND TIME > 0 AND ID <> CONNECTION_ID()), (SELECT 1 UNION SELECT 2), 0) AS status_guard",
            ),
        ],
    ),
    (
        Purpose::BinlogEnd,
        &[
            (mysql(8, 2, 0), "SHOW BINARY LOG STATUS"),
            (MYSQL, "SHOW MASTER STATUS"),
            (MARIADB, "SHOW MASTER STATUS"),
        ],
    ),
    (
        Purpose::StopReceiver,
        &[
            (MARIADB, "STOP SLAVE{channel} IO_THREAD"),
            (mysql(8, 0, 22), "STOP REPLICA IO_THREAD{channel}"),
            (MYSQL, "STOP SLAVE IO_THREAD{channel}"),
        ],
    ),
    (
        Purpose::StartReceiver,
        &[
            (MARIADB, "START SLAVE{channel} IO_THREAD"),
            (mysql(8, 0, 22), "START REPLICA IO_THREAD{channel}"),
            (MYSQL, "START SLAVE IO_THREAD{channel}"),
        ],
    ),
    (
        Purpose::StopApplier,
        &[
            (MARIADB, "STOP SLAVE{channel} SQL_THREAD"),
            (mysql(8, 0, 22), "STOP REPLICA SQL_THREAD{channel}"),
            (MYSQL, "STOP SLAVE SQL_THREAD{channel}"),
        ],
    ),
    (
        Purpose::StartApplier,
        &[
            (MARIADB, "START SLAVE{channel} SQL_THREAD"),
            (mysql(8, 0, 22), "START REPLICA SQL_THREAD{channel}"),
            (MYSQL, "START SLAVE SQL_THREAD{channel}"),
        ],
    ),
    (
        Purpose::StopReplication,
        &[
            (MARIADB, "STOP SLAVE{channel}"),
            (mysql(8, 0, 22), "STOP REPLICA{channel}"),
            (MYSQL, "STOP SLAVE{channel}"),
        ],
    ),
    (
        Purpose::StartReplication,
        &[
            (MARIADB, "START SLAVE{channel}"),
            (mysql(8, 0, 22), "START REPLICA{channel}"),
            (MYSQL, "START SLAVE{channel}"),
        ],
    ),
    (
        Purpose::ResetReplication,
        &[
            (MARIADB, "RESET SLAVE{channel} ALL"),
            (mysql(8, 0, 22), "RESET REPLICA ALL{channel}"),
            (MYSQL, "RESET SLAVE ALL{channel}"),
        ],
    ),
    (
        Purpose::ChangeSource,
        &[
            (MARIADB, "CHANGE MASTER{channel} TO {options}"),
            (
                mysql(8, 0, 23),
                "CHANGE REPLICATION SOURCE TO {options}{channel}",
            ),
            (MYSQL, "CHANGE MASTER TO {options}{channel}"),
        ],
    ),
    (
        Purpose::SourceWord,
        &[
            (MARIADB, "MASTER"),
            (mysql(8, 0, 23), "SOURCE"),
            (MYSQL, "MASTER"),
        ],
    ),
    (
        Purpose::PublicKey,
        &[
            (mysql(8, 0, 23), "GET_SOURCE_PUBLIC_KEY = 1"),
            (mysql(8, 0, 4), "GET_MASTER_PUBLIC_KEY = 1"),
        ],
    ),
    (
        Purpose::RetryCount,
        &[
            (mysql(8, 0, 23), "SOURCE_RETRY_COUNT"),
            (MYSQL, "MASTER_RETRY_COUNT"),
        ],
    ),
    (
        Purpose::ByGtid,
        &[
            (MARIADB, "MASTER_USE_GTID = slave_pos"),
            (mysql(8, 0, 23), "SOURCE_AUTO_POSITION = 1"),
            (MYSQL, "MASTER_AUTO_POSITION = 1"),
        ],
    ),
    (
        Purpose::ByPosition,
        &[
            (MARIADB, "MASTER_USE_GTID = no"),
            (mysql(8, 0, 23), "SOURCE_AUTO_POSITION = 0"),
            (MYSQL, "MASTER_AUTO_POSITION = 0"),
        ],
    ),
    (
        Purpose::BeforeGtid,
        &[
            (mariadb(10, 10, 0), ""),
            (
                MARIADB,
                "SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos",
            ),
        ],
    ),
    (
        Purpose::Demote,
        &[(mariadb(10, 10, 0), "MASTER_DEMOTE_TO_SLAVE = 1")],
    ),
    (
        Purpose::Channels,
        &[(MARIADB, "named"), (mysql(5, 7, 6), "named")],
    ),
    (
        Purpose::AppliedPosition,
        &[
            (MARIADB, "SELECT @@global.gtid_slave_pos"),
            (MYSQL, "SELECT NULL"),
        ],
    ),
    (
        Purpose::GrantsFile,
        &[
            (MARIADB, "examples/grants/mariadb.sql"),
            (mysql(8, 0, 0), "examples/grants/mysql-8.sql"),
            (mysql(5, 7, 0), "examples/grants/mysql-5.7.sql"),
            (MYSQL, "examples/grants/mysql-5.6.sql"),
        ],
    ),
];
