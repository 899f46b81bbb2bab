//! An open node whose keepalived is dead: nobody on it notices that the VIP is wanted elsewhere.

use anyhow::Result;
use lab::{LabOptions, NodeId, Via};

use super::{PATIENCE, judge, never_two_open, serving_pair, wait_for_rows_of};

/// keepalived of the open node is killed and leaves the VIP behind: the node that takes over closes it first.
pub fn keepalived_dies_and_leaves_an_open_node(options: LabOptions) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.a().kill_keepalived()?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    never_two_open(&writers.ledger())?;
    lab.a().start_keepalived()?;
    judge(&lab, writers)
}
