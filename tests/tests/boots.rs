//! Nodes that boot: old data do not win by being first.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Scenario};

fn boot(node: &Node) -> Result<()> {
    node.power_on()?;
    node.start_server()?;
    node.start_keepalived()
}

/// node-b loses its power first, so that it lacks rows that node-a acknowledged.
fn all_off(options: LabOptions) -> Result<Option<Scenario>> {
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(None);
    };
    scenario.b().power_off()?;
    scenario.acks(50)?;
    scenario.a().power_off()?;
    Ok(Some(scenario))
}

#[test]
fn both_nodes_boot_together() -> Result<()> {
    let Some(scenario) = all_off(LabOptions::default())? else {
        return Ok(());
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| boot(scenario.b()));
        boot(scenario.a())?;
        other
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))
    })?;
    let serving = scenario.one_serves()?;
    scenario.serves(serving)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn old_standby_boots_first_and_waits() -> Result<()> {
    let options = LabOptions::default().toml("promote.boot_wait", "\"20s\"");
    let Some(scenario) = all_off(options)? else {
        return Ok(());
    };
    boot(scenario.b())?;
    scenario.remains("node-b waits for its peer", Duration::from_secs(3), || {
        Ok(scenario.lab.open_nodes().is_empty())
    })?;
    boot(scenario.a())?;
    let serving = scenario.one_serves()?;
    scenario.serves(serving)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn former_master_boots_first_and_opens_after_the_wait() -> Result<()> {
    let options = LabOptions::default().toml("promote.boot_wait", "\"5s\"");
    let Some(scenario) = all_off(options)? else {
        return Ok(());
    };
    boot(scenario.a())?;
    let booted = Instant::now();
    scenario.remains("node-a waits for its peer", Duration::from_secs(4), || {
        Ok(scenario.lab.open_nodes().is_empty())
    })?;
    scenario.serves(NodeId::A)?;
    let took = booted.elapsed();
    ensure!(
        took < Duration::from_secs(8),
        "boot_wait is 5 s, and it took {took:.1?}"
    );
    boot(scenario.b())?;
    scenario.b().wait_following(NodeId::A, PATIENCE)?;
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}
