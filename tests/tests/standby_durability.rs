//! A standby that flushes its commits once a second only, and what a power loss means for it.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Scenario};

fn options() -> LabOptions {
    LabOptions {
        sync_binlog: 1,
        flush_log_at_trx_commit: 1,
        ..LabOptions::default()
    }
    .toml("demote.relaxed_durability", "true")
}

fn is(node: &Node, sync_binlog: &str, flush_log: &str) -> Result<bool> {
    let ask = "SELECT @@global.sync_binlog, @@global.innodb_flush_log_at_trx_commit";
    let rows = node.query_local(ask)?;
    Ok(rows[0].at(0) == sync_binlog && rows[0].at(1) == flush_log)
}

fn wait_relaxed(node: &Node) -> Result<()> {
    node.wait_until("is relaxed", PATIENCE, |node| is(node, "0", "2"))
        .map(drop)
}

fn marked(node: &Node) -> bool {
    node.paths().state().join("VI_1/relaxed.json").exists()
}

#[test]
fn only_the_standby_is_relaxed() -> Result<()> {
    let Some(scenario) = Scenario::start(options())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_relaxed(b)?;
    ensure!(marked(b) && !marked(a));
    ensure!(is(a, "1", "1")?, "the node that serves is relaxed");
    a.drain(true)?;
    scenario.serves(NodeId::B)?;
    b.wait_until("is durable", PATIENCE, |b| is(b, "1", "1"))?;
    wait_relaxed(a)?;
    b.wait_until("has no mark", PATIENCE, |b| Ok(!marked(b)))?;
    let durable = "SELECT COUNT(*) FROM keepalived_mysql.promotion \
                   WHERE state = 'opened' AND record LIKE '%\"durable\":true%'";
    ensure!(
        b.query_local(durable)?[0].at(0) == "1",
        "the record says that it is not durable"
    );
    a.drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

/// Its tables may lack what its own log says they hold, and nothing that it says of itself proves otherwise.
#[test]
fn a_relaxed_standby_that_lost_its_power_is_not_promoted() -> Result<()> {
    let Some(scenario) = Scenario::start(options())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_relaxed(b)?;
    b.power_off()?;
    b.power_on()?;
    b.start_server()?;
    b.start_keepalived()?;
    b.wait_until("says why it is out of election", PATIENCE, |b| {
        let output = b.run_suite("check_mysql", &[])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(output.status.code() == Some(1) && said.contains("relaxed durability"))
    })?;
    // While the other one serves it follows, by itself, and stays out of election all the same.
    scenario.remains("says so for good", Duration::from_secs(4), || {
        Ok(b.run_suite("check_mysql", &[])?.status.code() == Some(1))
    })?;
    a.kill_server()?;
    let nobody = || Ok(scenario.lab.open_nodes().is_empty());
    scenario.remains("nobody opens", Duration::from_secs(5), nobody)?;
    a.start_server()?;
    scenario.serves(NodeId::A)?;
    scenario.finish(End::Follows).map(drop)
}

/// A planned reboot stops keepalived first.
#[test]
fn a_standby_is_durable_again_when_keepalived_stops() -> Result<()> {
    let Some(scenario) = Scenario::start(options())? else {
        return Ok(());
    };
    let b = scenario.b();
    wait_relaxed(b)?;
    b.term_keepalived()?;
    b.wait_until("is durable", PATIENCE, |b| {
        Ok(is(b, "1", "1")? && !marked(b))
    })?;
    b.start_keepalived()?;
    wait_relaxed(b)?;
    scenario.finish(End::Follows).map(drop)
}
