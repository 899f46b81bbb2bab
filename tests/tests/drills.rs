//! What people do: drills by hand, and planned moves.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, NodeId, PATIENCE, Scenario};

/// How long an old master may take to follow the new one after a planned move.
const REJOIN: Duration = Duration::from_secs(8);

/// There and back again; nothing is lost either way.
#[test]
fn drained_there_and_back() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    for from in [NodeId::A, NodeId::B] {
        let (old, new) = (scenario.lab.node(from), scenario.lab.node(from.other()));
        old.drain(true)?;
        scenario.serves(new.id())?;
        let took = old.wait_following(new.id(), REJOIN)?;
        scenario
            .lab
            .note(&format!("{from} follows {took:.1?} after the move"));
        old.drain(false)?;
        old.wait_until("healthy again", PATIENCE, |old| {
            Ok(old.run_suite("check_mysql", &[])?.status.success())
        })?;
    }
    let verdict = scenario.finish(End::Follows)?;
    ensure!(
        verdict.open == [NodeId::A] && verdict.not_received.is_empty(),
        "{verdict}"
    );
    Ok(())
}

#[test]
fn promotion_by_hand_without_the_vip_is_refused_and_changes_nothing() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let before = scenario.epochs()?;
    let ways: [(&str, &[&str]); 2] = [
        ("notify_master", &[]),
        (
            "keepalived-mysql",
            &["notify", "INSTANCE", "VI_1", "MASTER", "100"],
        ),
    ];
    for (program, args) in ways {
        let (code, said) = scenario.by_hand(NodeId::B, program, args)?;
        ensure!(
            code == 1 && said.contains("switchover"),
            "{program}: {code}: {said}"
        );
    }
    let (_, check) = scenario.by_hand(NodeId::B, "check_mysql", &[])?;
    ensure!(check.contains(" healthy"), "{check}");
    ensure!(scenario.lab.open_nodes() == [NodeId::A] && scenario.epochs()? == before);
    ensure!(scenario.b().follows(NodeId::A)?, "node-b follows as before");
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}

/// The standby is told what it is anyway; then the master is told that it is none, and keepalived's word
/// (the VIP is here) brings it back.
#[test]
fn drill_with_recorded_roles() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let record = "--record-intent";
    let word = ["notify", "INSTANCE", "VI_1", "BACKUP", "100", record];
    for (program, args) in [
        ("notify_backup", &[record][..]),
        ("keepalived-mysql", &word[..]),
    ] {
        let (code, said) = scenario.by_hand(NodeId::B, program, args)?;
        ensure!(code == 0, "{program}: {code}: {said}");
        ensure!(scenario.b().follows(NodeId::A)?, "node-b follows as before");
    }
    for hook in ["notify_fault", "notify_stop"] {
        let (code, said) = scenario.by_hand(NodeId::A, hook, &[record])?;
        ensure!(
            code == 0 && !scenario.a().is_open(),
            "{hook} closes: {code}: {said}"
        );
        scenario.serves(NodeId::A)?;
    }
    let (code, said) = scenario.by_hand(NodeId::B, "notify_master", &[record])?;
    ensure!(code == 1 && said.contains("switchover"), "{code}: {said}");
    let verdict = scenario.finish(End::Follows)?;
    ensure!(verdict.open == [NodeId::A], "{verdict}");
    Ok(())
}
