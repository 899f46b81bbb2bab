//! The first replication of a fresh pair: node-b follows node-a.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::config::password;
use crate::node::Node;
use crate::options::Positioning;

/// Makes `replica` follow `source`, and waits until both threads run.
pub(crate) fn follow(replica: &Node, source: &Node, positioning: Positioning) -> Result<()> {
    let start = match positioning {
        Positioning::Gtid => "MASTER_USE_GTID=slave_pos".to_owned(),
        Positioning::Position => {
            let rows = source.query_local("SHOW MASTER STATUS")?;
            let row = rows.first().context("the source has no binary log")?;
            let (file, position) = (row.get("File"), row.get("Position"));
            format!("MASTER_USE_GTID=no, MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}")
        }
    };
    let (host, password) = (source.id().address(), password::REPL);
    replica.query_local(&format!(
        "CHANGE MASTER TO MASTER_HOST='{host}', MASTER_PORT=3306, MASTER_USER='repl', \
         MASTER_PASSWORD='{password}', MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=2, {start}; START SLAVE"
    ))?;
    replica
        .wait_following(source.id(), Duration::from_secs(10))
        .map(drop)
}
