//! A standby that has received more than it has applied when it is promoted.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use lab::{LabOptions, Node, NodeId, Via, sql};

use super::{PATIENCE, judge, serving_pair, wait_for_rows_of};

/// How long the session keeps its lock after the standby was told MASTER.
const HOLD: Duration = Duration::from_secs(1);

/// What keeps the standby from applying.
#[derive(Debug, Clone, Copy)]
pub enum Obstacle {
    /// A session holds `FLUSH TABLES WITH READ LOCK`, as a backup does.
    ReadLock,
    /// A session holds a table.
    TableLock,
    /// Somebody stopped the applier; the receiver runs on.
    StoppedApplier,
}

/// The open server dies while the standby is behind with what it has received: nothing of it may be lost.
pub fn the_standby_is_behind(options: LabOptions, obstacle: Obstacle) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    let session = put_in_the_way(lab.b(), obstacle)?;
    writers.wait_for_acks(100, PATIENCE)?;
    lab.a().kill_server()?;
    lab.b()
        .wait_until("has the VIP", PATIENCE, |b| Ok(b.has_vip()))?;
    if !matches!(obstacle, Obstacle::StoppedApplier) {
        thread::sleep(HOLD);
    }
    drop(session);
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    lab.a().start_server()?;
    judge(&lab, writers)
}

fn put_in_the_way(node: &Node, obstacle: Obstacle) -> Result<mysql::Conn> {
    let mut session = node.connect(PATIENCE)?;
    let statement = match obstacle {
        Obstacle::ReadLock => "FLUSH TABLES WITH READ LOCK",
        Obstacle::TableLock => "LOCK TABLES lab.ledger READ",
        Obstacle::StoppedApplier => "STOP SLAVE SQL_THREAD",
    };
    sql::rows(&mut session, &node.server().words(statement))?;
    Ok(session)
}
