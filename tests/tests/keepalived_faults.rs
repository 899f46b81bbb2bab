//! keepalived ends or dies; the node loses its power.

use anyhow::{Result, ensure};
use lab::{End, LabOptions, NodeId, Positioning, Scenario};

#[test]
fn keepalived_that_is_stopped() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().term_keepalived()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_keepalived()?;
    // It closed before it let the VIP go, and its server sent the rest.
    scenario.finish(End::Follows).map(drop)
}

/// The higher priority takes the VIP back, but not before its data are level.
#[test]
fn preempting_node_takes_the_vip_back_without_a_loss() -> Result<()> {
    let options = LabOptions {
        preempt: true,
        ..LabOptions::default()
    };
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.a().term_keepalived()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_keepalived()?;
    scenario.serves(NodeId::A)?;
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}

fn killed(options: LabOptions) -> Result<()> {
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.a().kill_keepalived()?;
    scenario.serves(NodeId::B)?;
    ensure!(
        scenario.a().has_vip(),
        "the VIP of a killed keepalived stays behind"
    );
    ensure!(
        !scenario.a().is_open(),
        "node-b must have closed it over SQL"
    );
    scenario.a().start_keepalived()?;
    // The old source was closed, and answered until everything was fetched.
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn killed_keepalived_leaves_the_vip_behind() -> Result<()> {
    killed(LabOptions::default())
}

#[test]
fn killed_keepalived_with_file_and_position() -> Result<()> {
    killed(LabOptions {
        positioning: Positioning::Position,
        ..LabOptions::default()
    })
}

#[test]
fn power_off_and_on() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().power_off()?;
    scenario.serves(NodeId::B)?;
    scenario.a().power_on()?;
    scenario.a().start_server()?;
    scenario.a().start_keepalived()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}
