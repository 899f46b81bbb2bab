//! The judge tested by itself: take-overs by hand and by scripts whose outcome is known.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{
    Direction, HookCommands, Hooks, Host, Lab, LabOptions, Node, NodeId, NodePaths, Positioning,
    Verdict, Via,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// False where no lab can be had.
fn possible() -> bool {
    let why = Lab::unavailable(lab::Server::chosen());
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

/// The standby has received rows that it has not applied, and is opened without them: the judge must see it.
fn opened_without_the_received_rows(positioning: Positioning) -> Result<Verdict> {
    let lab = Lab::start(LabOptions {
        positioning,
        ..LabOptions::floor()
    })?;
    let writers = lab.write(&[Via::Address(NodeId::A, 200)])?;
    writers.wait_for_acks(20, PATIENCE)?;
    lab.b().query_local("STOP SLAVE SQL_THREAD")?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.a().kill_server()?;
    let ledger = writers.stop();
    lab.b().query_local("STOP SLAVE; RESET SLAVE ALL")?;
    lab.a().start_server()?;
    Verdict::judge(&lab, &ledger, |_: &Node| Some("by hand".to_owned()))
}

#[test]
fn received_rows_that_are_left_behind_are_seen() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    for positioning in [Positioning::Gtid, Positioning::Position] {
        let verdict = opened_without_the_received_rows(positioning)?;
        ensure!(!verdict.passed(), "{verdict}");
        ensure!(
            verdict.received_but_lost.len() >= 30,
            "{positioning:?}: {verdict}"
        );
        ensure!(
            verdict.nowhere.is_empty() && verdict.unjudged.is_empty(),
            "{verdict}"
        );
    }
    Ok(())
}

#[test]
fn rows_that_were_never_received_are_told_apart() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor())?;
    let writers = lab.write(&[Via::Socket(NodeId::A, 200)])?;
    writers.wait_for_acks(20, PATIENCE)?;
    lab.cut(Host::A, Host::B, Direction::Both)?;
    writers.wait_for_acks(50, PATIENCE)?;
    lab.a().kill_server()?;
    let ledger = writers.stop();
    lab.b().query_local("STOP SLAVE; RESET SLAVE ALL")?;
    lab.a().start_server()?;
    let verdict = Verdict::judge(&lab, &ledger, |_| Some("by hand".to_owned()))?;
    ensure!(
        verdict.passed() && verdict.not_received.len() >= 40,
        "{verdict}"
    );
    Ok(())
}

#[test]
fn two_open_nodes_are_seen() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions {
        gtid_strict_mode: false,
        ..LabOptions::floor()
    })?;
    let writers = lab.write(&[Via::Address(NodeId::A, 50), Via::Socket(NodeId::B, 50)])?;
    writers.wait_for_acks(40, PATIENCE)?;
    let ledger = writers.stop();
    let verdict = Verdict::judge(&lab, &ledger, |_| None)?;
    let seen = |text: &str| {
        verdict
            .failures
            .iter()
            .any(|failure| failure.contains(text))
    };
    ensure!(
        seen("two open nodes in epoch 0") && seen("2 nodes are open"),
        "{verdict}"
    );
    Ok(())
}

/// Hooks of one shell script each: right for this one fault, wrong for many others.
fn scripts(paths: &NodePaths) -> HookCommands {
    let script = |name: &str, statements: &str| {
        let path = paths.etc().join(name);
        let text = format!(
            "#!/bin/sh\nexec mariadb -uroot -S {} -e \"{statements}\"\n",
            paths.socket().display()
        );
        fs::write(&path, text).expect("the folder was just made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        path.display().to_string()
    };
    let open = "SET sql_log_bin=0; \
        INSERT INTO keepalived_mysql.promotion SELECT COALESCE(MAX(epoch),0)+@@server_id, @@hostname, '', 'opened', '', NOW(6) \
        FROM keepalived_mysql.promotion; STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=0";
    let close = script("close", "SET GLOBAL read_only=1");
    HookCommands {
        check: script("check", "SELECT 1"),
        master: script("open", open),
        backup: close.clone(),
        fault: close.clone(),
        stop: close.clone(),
        master_rx_lower_pri: "/bin/true".to_owned(),
    }
}

fn rejoin(lab: &Lab) -> Result<()> {
    lab.a().start_server()?;
    lab.a().query_local(&format!(
        "CHANGE MASTER TO MASTER_HOST='{}', MASTER_USER='repl', MASTER_PASSWORD='lab-repl', \
         MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos, MASTER_DEMOTE_TO_SLAVE=1; START SLAVE",
        NodeId::B.address()
    ))?;
    lab.settle(PATIENCE).map(drop)
}

#[test]
fn a_good_take_over_passes_and_a_silent_difference_does_not() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let hooks = Hooks::Custom(Arc::new(scripts));
    let lab = Lab::start(LabOptions {
        // The scripts speak MariaDB's words.
        server: lab::Server::MariaDb1011,
        hooks,
        ..LabOptions::default()
    })?;
    lab.start_keepalived()?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    // Nothing is in flight when the server ends: no row can be lost by the scripts.
    lab.a().query_local("SET GLOBAL read_only=1")?;
    lab.b().wait_until("level", PATIENCE, |b| {
        let position = "SELECT @@gtid_binlog_pos";
        Ok(b.query_local(position)? == lab.a().query_local(position)?)
    })?;
    lab.a().kill_server()?;
    lab.b().wait_serving(PATIENCE)?;
    writers.wait_for_acks(50, PATIENCE)?;
    rejoin(&lab)?;
    let ledger = writers.stop();
    let verdict = Verdict::judge(&lab, &ledger, |_| None)?;
    println!("{verdict}");
    ensure!(
        verdict.passed() && verdict.acked == verdict.on_serving,
        "{verdict}"
    );
    ensure!(
        verdict.openers.len() == 2 && verdict.fresh_gap.is_some(),
        "{verdict}"
    );
    lab.a()
        .query_local("SET sql_log_bin=0; INSERT INTO lab.ledger VALUES (1, 0, 11, 0, NOW(6))")?;
    let verdict = Verdict::judge(&lab, &ledger, |_| None)?;
    ensure!(
        verdict.failures.len() == 1 && verdict.failures[0].contains("1 rows of its own"),
        "{verdict}"
    );
    Ok(())
}
