//! Cables, partitions, and VRRP that is lost while SQL works.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Direction, End, Host, LabOptions, NodeId, PATIENCE, Scenario, TwoOpen};

#[test]
fn cable_that_is_pulled_and_put_back() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().carrier_down()?;
    scenario.serves(NodeId::B)?;
    scenario.a().carrier_up()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// Nothing of node-a reaches node-b, perhaps nor the other way, and `lost` lists what the client does not see either.
/// Afterwards both have acknowledged rows of their own.
fn partitioned(direction: Direction, lost: &[Host]) -> Result<Option<Scenario>> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(None);
    };
    let scenario = scenario.two_open(TwoOpen::Unavoidable);
    scenario.lab.cut(Host::A, Host::B, direction)?;
    for &host in lost {
        scenario.lab.cut(host, Host::Client, Direction::Both)?;
    }
    scenario.b().wait_serving(PATIENCE)?;
    scenario.b().wait_until("rows of its own", PATIENCE, |b| {
        let ask = "SELECT COUNT(*) FROM lab.ledger WHERE server_id = @@server_id";
        Ok(b.query_local(ask)?
            .first()
            .is_some_and(|row| row.at(0).len() > 1))
    })?;
    Ok(Some(scenario))
}

fn partition(direction: Direction, lost: &[Host]) -> Result<()> {
    let Some(scenario) = partitioned(direction, lost)? else {
        return Ok(());
    };
    scenario.lab.heal()?;
    // Whatever VRRP thinks of the priorities: the highest epoch wins, and node-a has the lower one.
    let verdict = scenario.finish(End::FollowsOrHeld)?;
    ensure!(verdict.open == [NodeId::B], "{verdict}");
    Ok(())
}

#[test]
fn partition_with_clients_on_both_sides() -> Result<()> {
    partition(Direction::Both, &[])
}

#[test]
fn partition_with_clients_at_the_new_master() -> Result<()> {
    partition(Direction::Both, &[Host::A])
}

#[test]
fn partition_with_clients_at_the_old_master() -> Result<()> {
    partition(Direction::Both, &[Host::B])
}

#[test]
fn partition_in_one_direction() -> Result<()> {
    partition(Direction::OneWay, &[])
}

/// The node that holds lost transactions stays closed, even if nobody else is left.
#[test]
fn diverged_node_is_never_promoted() -> Result<()> {
    let Some(scenario) = partitioned(Direction::Both, &[])? else {
        return Ok(());
    };
    scenario.lab.heal()?;
    let held = scenario.settled()?;
    ensure!(held.is_some(), "node-a has rows that node-b never received");
    scenario.b().kill_server()?;
    scenario.remains("nobody is open", Duration::from_secs(4), || {
        Ok(scenario.lab.open_nodes().is_empty())
    })?;
    scenario.b().start_server()?;
    scenario.serves(NodeId::B)?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// Both keepaliveds are MASTER for as long as the cut lasts.
#[test]
fn lost_vrrp_opens_one_node_once() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.lab.cut_vrrp(Host::A, Host::B, Direction::Both)?;
    scenario.serves(NodeId::B)?;
    scenario.remains("node-b alone is open", Duration::from_secs(10), || {
        Ok(scenario.lab.open_nodes() == [NodeId::B])
    })?;
    let epochs = scenario.epochs()?;
    ensure!(epochs.len() == 2, "two epochs and no ping-pong: {epochs:?}");
    scenario.lab.heal()?;
    let says_fenced = || {
        let (_, said) = scenario.by_hand(NodeId::A, "check_mysql", &[])?;
        Ok::<_, anyhow::Error>(said.contains("fenced"))
    };
    ensure!(says_fenced()?, "healing VRRP alone does not end the mark");
    scenario.a().term_keepalived()?;
    scenario.a().start_keepalived()?;
    scenario
        .a()
        .wait_until("its keepalived runs", PATIENCE, |a| {
            Ok(a.paths().run().join("keepalived.pid").exists())
        })?;
    // Healthy or still catching up: in any case no longer fenced.
    ensure!(
        !says_fenced()?,
        "a keepalived that starts anew ends the mark"
    );
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::B], "node-b still serves");
    Ok(())
}
