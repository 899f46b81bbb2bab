//! Folders of the suite that are full: closing works, opening refuses and says so.

use std::process::Output;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, NodeId, PATIENCE, Scenario};

fn small_folders() -> LabOptions {
    LabOptions {
        suite_folder_size: Some("256k".to_owned()),
        ..LabOptions::default()
    }
}

/// What a program printed.
fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// The standby cannot write its role and its claim down: it must not open, and it must say why.
/// Once there is room it takes over by itself.
#[test]
fn full_folders_refuse_to_open_until_there_is_room() -> Result<()> {
    let Some(scenario) = Scenario::start(small_folders())? else {
        return Ok(());
    };
    scenario.b().fill_suite_folders()?;
    scenario.a().kill_server()?;
    scenario
        .b()
        .wait_until("has the VIP", PATIENCE, |b| Ok(b.has_vip()))?;
    let refused = scenario
        .b()
        .run_suite("notify_master", &["--record-intent"])?;
    let said = text(&refused);
    ensure!(said.contains("refused by rule state"), "it said: {said}");
    ensure!(refused.status.code() == Some(1), "{:?}", refused.status);
    ensure!(scenario.b().read_only()?, "node-b opened without a record");
    scenario.b().free_suite_folders()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// The serving node can write neither its role nor its position: it is closed all the same.
#[test]
fn full_folders_do_not_keep_a_node_open() -> Result<()> {
    let Some(scenario) = Scenario::start(small_folders())? else {
        return Ok(());
    };
    scenario.a().fill_suite_folders()?;
    scenario.a().term_keepalived()?;
    scenario
        .a()
        .wait_until("closed", PATIENCE, |a| a.read_only())?;
    scenario.serves(NodeId::B)?;
    scenario.a().free_suite_folders()?;
    scenario.a().start_keepalived()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}
