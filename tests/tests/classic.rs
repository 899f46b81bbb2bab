//! What people's shell and Python scripts did, and configuration still can: force the change after a
//! timeout, keep the old replica configuration, stop keepalived, close when a check fails.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{End, LabOptions, NodeId, PATIENCE, Scenario, sql, wait_until};

/// `profile = "available"`: after `apply_timeout` the node opens with what it has. What it had received
/// besides is kept aside, not thrown away.
#[test]
fn available_forces_the_change_and_keeps_the_relay_logs() -> Result<()> {
    let options = LabOptions::default()
        .toml("policy.profile", "\"available\"")
        .toml("promote.apply_timeout", "\"1s\"")
        .toml("close.exempt_users", "[\"app\", \"root\"]");
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    let mut backup = scenario.b().connect(PATIENCE)?;
    sql::rows(&mut backup, "LOCK TABLES lab.ledger READ")?;
    scenario.acks(50)?;
    scenario.a().kill_server()?;
    scenario
        .b()
        .wait_until("open", PATIENCE, |b| Ok(b.is_open()))?;
    let state = scenario.b().paths().state().join("VI_1");
    let kept = fs::read_dir(&state)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("relay-logs-"))
        .context("no relay logs were kept")?;
    let logs = fs::read_dir(&kept)?.count();
    ensure!(logs >= 2, "{} holds {logs} files", kept.display());
    let history = scenario.b().paths().history();
    wait_until("the receipt says so", PATIENCE, || {
        Ok(fs::read_to_string(&history).is_ok_and(|text| text.contains("FORCED")))
    })
    .map(drop)
}

/// `reset_replica = false`: the old source stays configured, stopped, and feeds nothing in.
#[test]
fn the_old_replica_configuration_can_be_kept() -> Result<()> {
    let options = LabOptions {
        skip_slave_start: true,
        ..LabOptions::default().toml("promote.reset_replica", "false")
    };
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    let channels = scenario.b().replica_status()?;
    ensure!(channels.len() == 1, "{channels:?}");
    ensure!(
        !scenario.b().follows(NodeId::A)?,
        "node-b still follows node-a"
    );
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// `on_failure = "stop-keepalived"`: a check that fails ends keepalived, as the scripts did.
#[test]
fn a_failing_check_can_stop_keepalived() -> Result<()> {
    let options = LabOptions::default().toml("check.on_failure", "\"stop-keepalived\"");
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(());
    };
    scenario.a().freeze_server()?;
    scenario.serves(NodeId::B)?;
    wait_until("node-a's keepalived has ended", PATIENCE, || {
        Ok(scenario.a().keepalived_pid().is_none())
    })?;
    scenario.a().thaw_server()?;
    scenario
        .a()
        .wait_until("closed", PATIENCE, |a| a.read_only())?;
    Ok(())
}

/// `on_failure = "close"`: the server is closed by the check itself, without keepalived.
#[test]
fn a_failing_check_can_close_the_server() -> Result<()> {
    let options = LabOptions::default()
        .toml("check.on_failure", "\"close\"")
        .toml("check.repair", "false");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(());
    };
    scenario.a().query_local("SET GLOBAL read_only = 0")?;
    scenario.a().drain(true)?;
    let check = scenario.a().run_suite("check_mysql", &[])?;
    ensure!(check.status.code() == Some(1), "{:?}", check.status);
    scenario
        .a()
        .wait_until("closed", PATIENCE, |a| a.read_only())
        .map(drop)
}

/// Retries and their interval: a server that is back within them was never unhealthy.
#[test]
fn a_check_can_try_again_before_it_fails() -> Result<()> {
    let options = LabOptions::default()
        .toml("check.attempts", "8")
        .toml("check.retry_interval", "\"100ms\"");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(());
    };
    scenario.a().freeze_server()?;
    scenario.a().thaw_server()?;
    let once = scenario.a().run_suite("check_mysql", &[])?;
    ensure!(once.status.success(), "{:?}", once.status);
    scenario.a().kill_server()?;
    let begun = std::time::Instant::now();
    let dead = scenario.a().run_suite("check_mysql", &[])?;
    ensure!(dead.status.code() == Some(1), "{:?}", dead.status);
    let took = begun.elapsed();
    ensure!(
        took >= Duration::from_millis(600) && took < Duration::from_secs(2),
        "eight attempts, 100 ms apart, within the deadline took {took:?}"
    );
    Ok(())
}

/// After a promotion every commit is durable, and the position of the new master is on disk.
#[test]
fn a_promotion_makes_commits_durable_and_writes_the_position() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    let settings = scenario
        .b()
        .query_local("SELECT CONCAT(@@sync_binlog, @@innodb_flush_log_at_trx_commit)")?;
    ensure!(
        settings.first().is_some_and(|row| row.at(0) == "11"),
        "{settings:?}"
    );
    let position = scenario
        .b()
        .paths()
        .state()
        .join("VI_1/master-position.json");
    let document: serde_json::Value = serde_json::from_str(&fs::read_to_string(position)?)?;
    let begins = &document["data"]["details"]["begins"]["position"];
    ensure!(
        begins["file"].is_string() && begins["offset"].is_u64(),
        "{document}"
    );
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}
