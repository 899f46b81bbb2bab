//! The database server dies, ends, hangs or restarts under load.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, NodeId, PATIENCE, Positioning, Scenario};

fn killed(options: LabOptions) -> Result<()> {
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
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
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().freeze_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().thaw_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
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
