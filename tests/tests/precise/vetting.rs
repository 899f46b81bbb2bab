//! An old master that returns with transactions which nobody received.

use anyhow::Result;
use lab::{Lab, LabOptions, NodeId, Via, Writers, wait_until};

use super::{
    PATIENCE, judge, marked_diverged, nft, promise, serving_pair, settle, wait_for_rows_of,
};

/// node-b loses what node-a's server sends; node-a acknowledges on, dies, and comes back after the take-over.
pub fn an_old_master_returns_with_rows_of_its_own(options: LabOptions) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    cut_replication(&lab)?;
    wait_for_unreceived(&writers)?;
    lab.a().kill_server()?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    nft(lab.b(), "delete table ip lab_cut")?;
    lab.note("node-b hears node-a's server again");
    lab.a().start_server()?;
    settle(&lab);
    never_a_replica_that_differs(&lab)?;
    judge(&lab, writers)
}

/// Frames from node-a's server are dropped when they come to node-b: VRRP and clients go on.
fn cut_replication(lab: &Lab) -> Result<()> {
    let from = NodeId::A.address();
    let rules = format!(
        "table ip lab_cut {{ chain in {{ type filter hook input priority 0; ip saddr {from} tcp sport 3306 drop; }}; }}"
    );
    nft(lab.b(), &rules)?;
    lab.note("node-b no longer hears node-a's server");
    Ok(())
}

fn wait_for_unreceived(writers: &Writers) -> Result<()> {
    writers.wait_for_acks(100, PATIENCE).map(drop)
}

fn never_a_replica_that_differs(lab: &Lab) -> Result<()> {
    promise(!lab.a().follows(NodeId::B)?, || {
        "node-a has rows of its own and runs as a replica all the same".to_owned()
    })?;
    promise(lab.a().read_only()?, || "node-a is open".to_owned())?;
    // Where the source is the one that refuses, its answer comes a moment after the threads started.
    let marked = wait_until("node-a is marked", PATIENCE, || {
        Ok(marked_diverged(lab.a()).is_some())
    });
    promise(marked.is_ok(), || {
        "node-a has rows of its own and is not marked diverged".to_owned()
    })?;
    let check = lab.a().run_suite("check_mysql", &[])?;
    let said = String::from_utf8_lossy(&check.stdout);
    promise(said.contains("diverged"), || {
        format!("node-a does not say that it diverged: {said}")
    })
}
