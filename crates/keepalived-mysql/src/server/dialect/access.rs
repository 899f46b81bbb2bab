//! Statements that close and open a server, and let the suite write into a closed one.

use super::{Dialect, quoted};

impl Dialect {
    /// Whether the server knows `super_read_only`.
    pub fn has_super_read_only(&self) -> bool {
        self.known.super_read_only
    }

    /// Refuses writes. Blocks behind table locks and commits; bound it with `lock_wait_timeout`.
    pub fn close(&self) -> &'static str {
        if self.has_super_read_only() {
            "SET GLOBAL super_read_only = 1"
        } else {
            "SET GLOBAL read_only = 1"
        }
    }

    /// Whether the server refuses application writes as far as its version can, one cell: 1 or 0.
    pub fn is_closed(&self) -> &'static str {
        if self.has_super_read_only() {
            "SELECT @@global.read_only AND @@global.super_read_only"
        } else {
            "SELECT @@global.read_only"
        }
    }

    /// Whether the server refuses ordinary accounts' writes, one cell: 1 or 0. The same everywhere.
    pub fn refuses_writes(&self) -> &'static str {
        "SELECT @@global.read_only"
    }

    /// Accepts writes if, at the moment when the server runs it, no fence row is above `epoch` of
    /// `node` and the server's clock is before `expiry`; refuses them otherwise, and where there is no
    /// fence row at all. The second statement gives back which: 0 for open, 1 for closed. `read_only`
    /// itself would not tell, because somebody else may have closed the server again by then.
    ///
    /// The server itself checks, because a statement sent to a frozen server takes effect when it
    /// thaws, long after the sender has gone and another node has opened. `NOW()` would be the time
    /// at which the statement began, before it waited for a lock on the table; `SYSDATE()` is the
    /// time at which the row is read. Without a row the subquery is NULL, and every server takes that
    /// for 0: open. On MySQL it also clears `super_read_only`.
    pub fn open(&self, epoch: u64, node: &str, expiry: &str) -> String {
        format!(
            "SET GLOBAL read_only = (SELECT @keepalived_mysql_closed := COALESCE((SELECT \
             IF((epoch < {epoch} OR (epoch = {epoch} AND node = {node})) \
             AND SYSDATE(6) < {expiry}, 0, 1) FROM keepalived_mysql.fence WHERE id = 1), 1)); \
             SELECT @keepalived_mysql_closed",
            node = quoted(node),
            expiry = quoted(expiry),
        )
    }

    /// Lets an account with the right privilege write into the suite's tables on a closed server.
    /// None where that privilege alone is enough.
    pub fn lift_for_records(&self) -> Option<&'static str> {
        self.has_super_read_only()
            .then_some("SET GLOBAL super_read_only = 0")
    }

    /// Whether [`Dialect::lift_for_records`] is needed now, one cell: 1 or 0.
    pub fn is_lift_needed(&self) -> &'static str {
        if self.has_super_read_only() {
            "SELECT @@global.super_read_only"
        } else {
            "SELECT 0"
        }
    }

    /// The switches of semi-sync's source side, under whichever name the server has them.
    pub fn semi_sync_source_switches(&self) -> Vec<&'static str> {
        let names = [
            (self.known.semi_sync_master, "rpl_semi_sync_master_enabled"),
            (self.known.semi_sync_source, "rpl_semi_sync_source_enabled"),
        ];
        names
            .into_iter()
            .filter_map(|(there, name)| there.then_some(name))
            .collect()
    }
}
