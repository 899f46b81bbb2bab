//! Semi-synchronous replication: on as soon as somebody can acknowledge, never before, and back whenever
//! somebody switched it off.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::matrix::Mode;
use lab::{End, Host, LabOptions, Node, NodeId, PATIENCE, Scenario, Server, Session, process};
use nix::sys::signal::Signal;

/// A write that waits for nobody, and the repairs that may be under way beside it.
const AT_ONCE: Duration = Duration::from_secs(1);

fn semi_sync() -> LabOptions {
    LabOptions::default().with_semi_sync()
}

fn start(options: LabOptions) -> Result<Option<Scenario>> {
    if let Some(why) = Mode::SemiSync.missing(Server::chosen()) {
        eprintln!("skipped: {why}");
        return Ok(None);
    }
    Scenario::start(options)
}

/// The value of a status or a global variable of semi-sync.
fn value(node: &Node, name: &str) -> Result<String> {
    let ask = if name.starts_with('R') {
        format!("SHOW GLOBAL STATUS LIKE '{name}'")
    } else {
        format!("SHOW GLOBAL VARIABLES LIKE '{name}'")
    };
    let rows = node.query_local(&ask)?;
    Ok(rows.first().context(ask)?.at(1).to_owned())
}

fn source_is_on(node: &Node) -> Result<bool> {
    Ok(value(node, "rpl_semi_sync_master_enabled")? == "ON")
}

/// Whether the node's commits are acknowledged by the other one.
fn acknowledged(node: &Node) -> Result<bool> {
    Ok(source_is_on(node)?
        && value(node, "Rpl_semi_sync_master_status")? == "ON"
        && value(node, "Rpl_semi_sync_master_clients")? == "1")
}

fn wait_acknowledged(node: &Node) -> Result<()> {
    let took = node.wait_until("commits wait for a replica", PATIENCE, acknowledged)?;
    println!("{} is semi-synchronous after {took:.1?}", node.id());
    Ok(())
}

/// What `check_mysql --json` says of semi-sync.
fn told(node: &Node) -> Result<serde_json::Value> {
    let output = node.run_suite("check_mysql", &["--json"])?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(said["semi_sync"].clone())
}

/// How long one write of an application takes.
fn write(node: &Node, id: u32) -> Result<Duration> {
    let mut session = Session::of_app(node)?;
    let begun = Instant::now();
    session.run(&format!(
        "INSERT INTO lab.ledger VALUES ({id}, 0, @@server_id, 0, NOW(6))"
    ))?;
    Ok(begun.elapsed())
}

#[test]
fn a_pair_becomes_semi_synchronous_and_stays_so_after_a_switchover() -> Result<()> {
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    // The lab started node-b's receiver without it.
    wait_acknowledged(scenario.a())?;
    let said = told(scenario.a())?;
    ensure!(
        said["acknowledged"] == true && said["degraded"] == false,
        "{said}"
    );
    ensure!(said["source"]["wait_point"] == "AFTER_SYNC", "{said}");
    ensure!(said["source"]["timeout"] == "16s", "{said}");
    scenario.a().drain(true)?;
    scenario.serves(NodeId::B)?;
    scenario
        .b()
        .wait_until("has its replica side off", PATIENCE, |b| {
            Ok(value(b, "rpl_semi_sync_slave_enabled")? == "OFF")
        })?;
    wait_acknowledged(scenario.b())?;
    ensure!(
        !source_is_on(scenario.a())?,
        "node-a's source side stays on"
    );
    ensure!(value(scenario.a(), "Rpl_semi_sync_slave_status")? == "ON");
    scenario.a().drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() -> Result<()> {
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    wait_acknowledged(scenario.a())?;
    scenario.acks(100)?;
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    ensure!(!source_is_on(scenario.b())?, "nobody is attached to node-b");
    scenario.a().start_server()?;
    // A commit that nobody acknowledged may still roll forward on node-a.
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// The option file may switch it on, and so may a script: alone, the first write would wait for 16 s.
#[test]
fn a_failover_with_no_replica_left_does_not_stall_the_first_write() -> Result<()> {
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    wait_acknowledged(scenario.a())?;
    scenario.b().pause_at("semi-sync-source-off.before")?;
    scenario.b().query_local(
        "SET GLOBAL rpl_semi_sync_master_timeout=16000, GLOBAL rpl_semi_sync_master_enabled=1",
    )?;
    scenario.a().kill_server()?;
    scenario
        .b()
        .wait_reached("semi-sync-source-off.before", PATIENCE)?;
    scenario.b().release("semi-sync-source-off.before")?;
    scenario.b().wait_serving(PATIENCE)?;
    let took = write(scenario.b(), 1)?;
    ensure!(took < AT_ONCE, "the first write took {took:?}");
    ensure!(!source_is_on(scenario.b())?, "nobody is attached to node-b");
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn a_standby_that_is_gone_stalls_one_write_for_the_timeout() -> Result<()> {
    let Some(scenario) = start(semi_sync().toml("semi_sync.timeout", "\"2s\""))? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_acknowledged(a)?;
    ensure!(value(a, "rpl_semi_sync_master_timeout")? == "2000");
    b.kill_server()?;
    a.wait_until("no longer waits", PATIENCE, |a| {
        Ok(value(a, "Rpl_semi_sync_master_status")? == "OFF")
    })?;
    let took = write(a, 2)?;
    ensure!(took < AT_ONCE, "once degraded, a write took {took:?}");
    let said = told(a)?;
    ensure!(
        said["acknowledged"] == false && said["degraded"] == true,
        "{said}"
    );
    // Switched off now, a source that is merely cut off would acknowledge what nobody else has.
    ensure!(source_is_on(a)?, "the source side was switched off");
    b.start_server()?;
    wait_acknowledged(a)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn somebody_switches_both_sides_off_and_repair_switches_them_on() -> Result<()> {
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_acknowledged(a)?;
    a.query_local("SET GLOBAL rpl_semi_sync_master_enabled=0")?;
    wait_acknowledged(a)?;
    b.query_local(
        "SET GLOBAL rpl_semi_sync_slave_enabled=0; STOP SLAVE IO_THREAD; START SLAVE IO_THREAD",
    )?;
    b.wait_until("acknowledges again", PATIENCE, |b| {
        Ok(value(b, "Rpl_semi_sync_slave_status")? == "ON")
    })?;
    wait_acknowledged(a)?;
    scenario.finish(End::Follows).map(drop)
}

/// A closer lets go the commits that wait for a replica, and is killed before it switches semi-sync on again.
/// MariaDB lets a commit go when its session is killed, so that nothing need be switched off there.
#[test]
fn a_closer_is_killed_between_off_and_on() -> Result<()> {
    if Server::chosen() != Server::MySql97 {
        eprintln!("skipped: only MySQL holds the commit of a killed session");
        return Ok(());
    }
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_acknowledged(a)?;
    let step = "close.semi-sync-released";
    a.pause_at(step)?;
    // node-b hears nothing any more, though its connections stand.
    let cut = format!(
        "table ip lab_cut {{ chain in {{ type filter hook input priority 0; \
         ip saddr {} tcp sport 3306 drop; }}; }}",
        NodeId::A.address()
    );
    b.run_program("/usr/sbin/nft", &[&cut], &[])?;
    a.wait_until("a commit waits for node-b", PATIENCE, |a| {
        let ask = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                   WHERE STATE LIKE 'Waiting for semi-sync ACK%'";
        Ok(a.query_local(ask)?[0].at(0) != "0")
    })?;
    thread::scope(|scope| -> Result<()> {
        let closer =
            scope.spawn(|| scenario.by_hand(NodeId::A, "notify_fault", &["--record-intent"]));
        let pid = a.wait_reached(step, PATIENCE)?;
        process::signal(pid, Signal::SIGKILL)?;
        a.release(step)?;
        let _ = closer.join();
        Ok(())
    })?;
    ensure!(!source_is_on(a)?, "the closer was not killed in time");
    b.run_program("/usr/sbin/nft", &["delete table ip lab_cut"], &[])?;
    let serving = scenario.one_serves()?;
    wait_acknowledged(scenario.lab.node(serving))?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn nothing_is_touched_where_it_is_not_managed() -> Result<()> {
    let options = semi_sync().toml("semi_sync.manage", "\"off\"");
    let Some(scenario) = start(options)? else {
        return Ok(());
    };
    scenario.b().query_local(
        "SET GLOBAL rpl_semi_sync_slave_enabled=1; STOP SLAVE IO_THREAD; START SLAVE IO_THREAD",
    )?;
    let clients = |a: &Node| Ok(value(a, "Rpl_semi_sync_master_clients")? == "1");
    scenario
        .a()
        .wait_until("has a capable replica", PATIENCE, clients)?;
    let off = || Ok(!source_is_on(scenario.a())?);
    scenario.remains("the source side is off", Duration::from_secs(4), off)?;
    scenario.a().drain(true)?;
    scenario.serves(NodeId::B)?;
    ensure!(value(scenario.b(), "rpl_semi_sync_slave_enabled")? == "ON");
    scenario.a().drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

/// The master is cut off under load: what it acknowledged is on the other side, because it waits.
#[test]
fn a_master_that_is_cut_off_acknowledges_nothing_alone() -> Result<()> {
    let Some(scenario) = start(semi_sync())? else {
        return Ok(());
    };
    let a = scenario.a();
    wait_acknowledged(a)?;
    let before = value(a, "Rpl_semi_sync_master_no_tx")?;
    for host in [Host::B, Host::Client] {
        scenario.lab.cut(Host::A, host, lab::Direction::Both)?;
    }
    scenario.serves(NodeId::B)?;
    let alone = value(a, "Rpl_semi_sync_master_no_tx")?;
    ensure!(
        alone == before,
        "{before} became {alone} while it was cut off"
    );
    scenario.lab.heal()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}
