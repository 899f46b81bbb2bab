//! Both nodes are told MASTER at the same moment.

use anyhow::Result;
use lab::{Direction, Host, Lab, LabOptions, Node, NodeId, Via, process};

use super::{PATIENCE, Told, judge, never_two_open, start, wait_for_rows_of};

const LOOKED: &str = "promote.observed";
const ABOUT_TO_OPEN: &str = "record-opening.before";

/// Both have looked at each other, closed, before either claimed; then both go on at once.
pub fn two_masters_at_once(options: LabOptions) -> Result<()> {
    let (lab, pids) = two_masters_that_have_looked(options)?;
    for node in lab.nodes() {
        node.pause_at(ABOUT_TO_OPEN)?;
    }
    let writers = lab.write(&direct())?;
    for node in lab.nodes() {
        node.release(LOOKED)?;
    }
    for (node, pid) in lab.nodes().into_iter().zip(pids) {
        let reached = node
            .paths()
            .pause()
            .join(format!("{ABOUT_TO_OPEN}.reached"));
        node.wait_until("is about to open, or yields", PATIENCE, |_| {
            Ok(reached.exists() || !process::is_alive(pid))
        })?;
    }
    for node in lab.nodes() {
        node.release(ABOUT_TO_OPEN)?;
    }
    one_serves(&lab, writers)
}

/// Both have looked; `first` opens before the other goes on with what it saw.
pub fn one_opens_after_the_other_looked(options: LabOptions, first: NodeId) -> Result<()> {
    let (lab, _) = two_masters_that_have_looked(options)?;
    let writers = lab.write(&direct())?;
    lab.node(first).release(LOOKED)?;
    wait_for_rows_of(&writers, first, 10)?;
    lab.node(first.other()).release(LOOKED)?;
    one_serves(&lab, writers)
}

fn direct() -> [Via; 4] {
    [
        Via::Address(NodeId::A, 100),
        Via::Address(NodeId::B, 100),
        Via::Socket(NodeId::A, 100),
        Via::Socket(NodeId::B, 100),
    ]
}

fn two_masters_that_have_looked(options: LabOptions) -> Result<(Told, [i32; 2])> {
    let lab = start(options)?;
    lab.cut_vrrp(Host::A, Host::B, Direction::Both)?;
    for node in lab.nodes() {
        node.pause_at(LOOKED)?;
        node.start_keepalived()?;
    }
    let waits = |node: &Node| node.wait_reached(LOOKED, PATIENCE);
    let pids = [waits(lab.a())?, waits(lab.b())?];
    Ok((lab, pids))
}

fn one_serves(lab: &Lab, writers: lab::Writers) -> Result<()> {
    let both = || writers.ledger().acked();
    lab::wait_until("the winner serves", PATIENCE, || Ok(both() > 100))?;
    never_two_open(&writers.ledger())?;
    lab.heal()?;
    super::settle(lab);
    never_two_open(&writers.ledger())?;
    judge(lab, writers)
}
