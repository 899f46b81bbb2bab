//! The first replication of a fresh pair: node-b follows node-a.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::config::password;
use crate::node::Node;
use crate::options::Positioning;
use crate::server::Server;

/// Makes `replica` follow `source`, and waits until both threads run.
pub(crate) fn follow(replica: &Node, source: &Node, positioning: Positioning) -> Result<()> {
    let server = replica.server();
    let start = match positioning {
        Positioning::Gtid if server.is_mariadb() => "MASTER_USE_GTID=slave_pos".to_owned(),
        Positioning::GtidCurrent => "MASTER_USE_GTID=current_pos".to_owned(),
        Positioning::Gtid => "MASTER_AUTO_POSITION=1".to_owned(),
        Positioning::Position => {
            let rows = source.query_local("SHOW MASTER STATUS")?;
            let row = rows.first().context("the source has no binary log")?;
            let (file, position) = (row.get("File"), row.get("Position"));
            format!("MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}")
        }
    };
    let (host, password) = (source.id().address(), password::REPL);
    let key = match server {
        Server::MySql97 => ", GET_SOURCE_PUBLIC_KEY=1",
        _ => "",
    };
    let settings = format!(
        "MASTER_HOST='{host}', MASTER_PORT=3306, MASTER_USER='repl', MASTER_PASSWORD='{password}', \
         MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=2, {start}{key}"
    );
    let change = match server {
        Server::MySql97 => format!(
            "CHANGE REPLICATION SOURCE TO {}",
            settings.replace("MASTER_", "SOURCE_")
        ),
        _ => format!("CHANGE MASTER TO {settings}"),
    };
    replica.query_local(&format!("{change}; START SLAVE"))?;
    replica
        .wait_following(source.id(), Duration::from_secs(10))
        .map(drop)
}
