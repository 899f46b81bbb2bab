//! The database server dies, ends, hangs or restarts under load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::matrix::Case;
use lab::{End, LabOptions, NodeId, PATIENCE, Positioning, Scenario, Server};

fn killed(options: LabOptions) -> Result<()> {
    Case::Failover.play(options).map(drop)
}

#[test]
fn killed_server() -> Result<()> {
    killed(LabOptions::default())
}

#[test]
fn killed_server_with_file_and_position() -> Result<()> {
    killed(LabOptions {
        positioning: Positioning::Position,
        ..LabOptions::default()
    })
}

#[test]
fn server_that_is_stopped() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().stop_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    // A server that ends does not wait until its replicas have everything.
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn frozen_server_that_thaws_after_the_take_over() -> Result<()> {
    Case::Hang.play(LabOptions::default()).map(drop)
}

/// Nothing moves: the node closes nobody and opens again under the epoch that it had.
#[test]
fn server_that_restarts_before_anything_moves() -> Result<()> {
    let options = LabOptions {
        track_process: false,
        ..LabOptions::default()
    };
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    let before = scenario.epochs()?;
    scenario.a().kill_server()?;
    scenario.a().start_server()?;
    scenario
        .a()
        .wait_until("open again", PATIENCE, |a| Ok(a.is_open()))?;
    scenario.serves(NodeId::A)?;
    let after: BTreeSet<_> = scenario.epochs()?;
    ensure!(before == after, "epochs {before:?} became {after:?}");
    scenario.finish(End::Follows).map(drop)
}

/// Nobody moves; the replica's threads are started again although the server leaves them stopped.
#[test]
fn standby_server_that_is_killed_follows_again() -> Result<()> {
    let options = LabOptions {
        skip_slave_start: true,
        ..LabOptions::default()
    };
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.b().kill_server()?;
    scenario.acks(100)?;
    scenario.b().start_server()?;
    scenario.b().wait_following(NodeId::A, PATIENCE)?;
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}

#[test]
fn both_servers_are_killed_and_return() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.b().kill_server()?;
    scenario.a().kill_server()?;
    scenario.a().start_server()?;
    scenario.b().start_server()?;
    let serving = scenario.one_serves()?;
    scenario.serves(serving)?;
    scenario.finish(End::Follows).map(drop)
}

/// MariaDB throws the relay log away when a replica with GTID starts: what it had received and not applied is gone,
/// although the node was seen in sync a moment before. Only its source has those rows now.
#[test]
fn standby_that_lost_its_relay_log_waits_for_its_source() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let mut backup = scenario.b().connect(PATIENCE)?;
    lab::sql::rows(&mut backup, "LOCK TABLES lab.ledger READ")?;
    scenario.acks(50)?;
    scenario.b().kill_server()?;
    scenario.a().kill_server()?;
    scenario.b().start_server()?;
    scenario.remains("node-b waits", Duration::from_secs(3), || {
        Ok(scenario.lab.open_nodes().is_empty())
    })?;
    scenario.a().start_server()?;
    let serving = scenario.one_serves()?;
    scenario.serves(serving)?;
    scenario.finish(End::Follows).map(drop)
}

/// An operator keeps applications out of a MySQL. Replicas are kept out as well: nobody could take over with
/// everything that the server has, so the VIP stays.
#[test]
fn servers_in_offline_mode_are_reported() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions {
        server: Server::MySql97,
        ..LabOptions::default()
    })?
    else {
        return Ok(());
    };
    for node in scenario.lab.nodes() {
        node.query_local("SET GLOBAL offline_mode = 1")?;
    }
    for (node, wanted) in [(NodeId::A, 0), (NodeId::B, 1)] {
        let (code, said) = scenario.by_hand(node, "check_mysql", &[])?;
        ensure!(
            code == wanted && said.contains("offline_mode"),
            "{node}: {code}: {said}"
        );
    }
    scenario.remains("node-a keeps the VIP", Duration::from_secs(3), || {
        Ok(scenario.a().has_vip())
    })?;
    for node in scenario.lab.nodes() {
        node.query_local("SET GLOBAL offline_mode = 0")?;
    }
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}
