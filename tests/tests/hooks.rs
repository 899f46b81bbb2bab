//! Hooks that are lost, and hooks that come all at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Scenario};

const HOOKS: [&str; 4] = [
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
];

/// keepalived's configuration without a single hook of ours.
fn without_hooks(node: &Node) -> Result<()> {
    let path = node.paths().etc().join("keepalived.conf");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().map(|line| match line.trim().split_once(' ') {
        Some((key, _)) if key.starts_with("notify_") => format!("    {key} /bin/true"),
        _ => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    ensure!(text.contains("notify_master /bin/true"), "{text}");
    Ok(fs::write(&path, text)?)
}

#[test]
fn checks_alone_converge_when_no_hook_is_ever_run() -> Result<()> {
    let Some(scenario) = Scenario::quiet(LabOptions::default())? else {
        return Ok(());
    };
    scenario
        .lab
        .nodes()
        .into_iter()
        .try_for_each(without_hooks)?;
    scenario.lab.note("no hook is ever run");
    scenario.lab.start_keepalived()?;
    let scenario = scenario.with_writers()?;
    scenario.acks(100)?;
    scenario.a().kill_server()?;
    scenario.serves(NodeId::B)?;
    scenario.a().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn hooks_that_lose_their_executable_bit_are_made_up_for() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.lab.note("the hooks are no longer executable");
    for hook in HOOKS {
        let path = scenario.a().paths().bin().join(hook);
        fs::set_permissions(path, Permissions::from_mode(0o644))?;
    }
    scenario.a().drain(true)?;
    scenario.serves(NodeId::B)?;
    scenario.a().drain(false)?;
    scenario.a().wait_following(NodeId::B, PATIENCE)?;
    scenario.finish(End::Follows).map(drop)
}

/// keepalived's own state decides in the end: node-a is MASTER all the time.
#[test]
fn storm_of_hooks_ends_with_one_open_node() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    scenario.lab.note("60 hooks at once");
    let program = |n: usize| {
        if n.is_multiple_of(2) {
            "notify_master"
        } else {
            "notify_backup"
        }
    };
    let outcomes = thread::scope(|scope| {
        let storm: Vec<_> = (0..60)
            .map(|n| {
                let node = scenario.a();
                scope.spawn(move || node.run_suite(program(n), &["--record-intent"]))
            })
            .collect();
        let joined = storm.into_iter().map(|hook| hook.join().ok()?.ok());
        joined
            .map(|output| output.and_then(|o| o.status.code()))
            .collect::<Vec<_>>()
    });
    scenario
        .lab
        .note(&format!("the hooks ended with {outcomes:?}"));
    // 0 done, 1 refused, 3 rolled back, 75 no lock in time.
    let known = |code: &Option<i32>| matches!(code, Some(0 | 1 | 3 | 75));
    ensure!(outcomes.iter().all(known), "{outcomes:?}");
    let serving = scenario.one_serves()?;
    scenario.serves(serving)?;
    scenario.finish(End::Follows).map(drop)
}
