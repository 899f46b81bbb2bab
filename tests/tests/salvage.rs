//! An old master that committed what nobody received: row by row, what is not on the serving node is in its salvage,
//! which the server's own tool decodes. `LAB_SERVER` says on which server.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lab::network::{Direction, Host};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Positioning, Scenario, TwoOpen, wait_until};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// node-a is cut off, goes on committing, is killed and comes back beside node-b, which serves.
fn diverge(options: LabOptions) -> Result<Option<Scenario>> {
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(None);
    };
    let scenario = scenario.two_open(TwoOpen::Unavoidable);
    scenario.lab.cut(Host::A, Host::B, Direction::Both)?;
    scenario.b().wait_serving(PATIENCE)?;
    scenario.a().kill_server()?;
    scenario.lab.heal()?;
    Ok(Some(scenario))
}

fn salvages(node: &Node) -> Vec<PathBuf> {
    let folder = node.paths().state().join("VI_1/salvage");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    all.sort();
    all
}

/// The one salvage of a node, once its mark names it.
fn salvaged(node: &Node) -> Result<PathBuf> {
    let claimed = || lab::divergence::claimed(node).unwrap_or_default();
    wait_until("the mark names the salvage", PATIENCE, || {
        Ok(claimed().contains(" salvaged to "))
    })
    .with_context(claimed)?;
    let all = salvages(node);
    let [folder] = &all[..] else {
        bail!("not one salvage: {all:?}");
    };
    let name = folder.display().to_string();
    ensure!(claimed().contains(&name), "{}", claimed());
    Ok(folder.clone())
}

/// The rows of the ledger that a salvage inserts, as the server's own tool shows them.
fn decoded(node: &Node, folder: &Path) -> Result<BTreeSet<u64>> {
    let output = Command::new(node.server().binlog_tool())
        .args(["--no-defaults", "--base64-output=decode-rows", "-vv"])
        .arg(folder.join("binlog.000001"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains("ERROR"), "{said}");
    let (mut rows, mut into_ledger) = (BTreeSet::new(), false);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(table) = line.strip_prefix("### INSERT INTO ") {
            into_ledger = table.trim() == "`lab`.`ledger`";
        }
        if let Some(id) = line.strip_prefix("###   @1=").filter(|_| into_ledger) {
            let id = id.split_whitespace().next().unwrap_or_default();
            rows.insert(id.parse()?);
        }
    }
    Ok(rows)
}

fn ledger(node: &Node) -> Result<BTreeSet<u64>> {
    let rows = node.query_local("SELECT id FROM lab.ledger")?;
    rows.iter().map(|row| Ok(row.at(0).parse()?)).collect()
}

fn summary(folder: &Path) -> Result<serde_json::Value> {
    let text = fs::read_to_string(folder.join("summary.json"))?;
    Ok(serde_json::from_str::<serde_json::Value>(&text)?["data"].take())
}

fn closed_to_others(folder: &Path) -> Result<()> {
    ensure!(fs::metadata(folder)?.mode() & 0o777 == 0o700);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let mode = entry.metadata()?.mode() & 0o777;
        ensure!(mode == 0o600, "{}: {mode:o}", entry.path().display());
    }
    Ok(())
}

/// What the programs say of it, and that none of them takes the same twice.
fn programs_say(scenario: &Scenario, folder: &Path) -> Result<()> {
    let path = folder.display().to_string();
    let before = fs::read(folder.join("summary.json"))?;
    let (code, said) = scenario.by_hand(NodeId::A, "notify_backup", &[])?;
    ensure!(code == 5 && said.contains(&path), "{code}: {said}");
    let (code, said) = scenario.by_hand(NodeId::A, "check_mysql", &[])?;
    ensure!(code == 1 && said.contains(&path), "{code}: {said}");
    let (code, said) = scenario.by_hand(NodeId::A, "notify_backup", &["--dry-run"])?;
    ensure!(code == 0 && said.contains("salvage: "), "{code}: {said}");
    repaired(scenario.a(), 5)?;
    ensure!(salvages(scenario.a()) == [folder], "taken twice");
    ensure!(fs::read(folder.join("summary.json"))? == before);
    let history = fs::read_to_string(scenario.a().paths().history())?;
    let told = history
        .lines()
        .filter(|line| line.contains("\"salvage\":{"));
    ensure!(told.clone().any(|line| line.contains(&path)), "{history}");
    ensure!(told.count() <= 2, "the same is told again and again");
    Ok(())
}

/// A repair by hand, which ends with this code; another one may be at work.
fn repaired(node: &Node, code: i32) -> Result<()> {
    let mut last = String::new();
    wait_until("a repair by hand", PATIENCE, || {
        let output = node.run_suite("check_mysql", &["--repair"])?;
        last = format!("{output:?}");
        Ok(output.status.code() == Some(code))
    })
    .map(drop)
    .with_context(|| last)
}

fn rows_are_on_the_new_master_or_in_the_salvage(positioning: Positioning) -> Result<()> {
    let options = LabOptions {
        positioning,
        ..LabOptions::default()
    };
    let Some(scenario) = diverge(options)? else {
        return Ok(());
    };
    scenario.a().start_server()?;
    ensure!(scenario.settled()?.is_some(), "nothing was lost");
    let folder = salvaged(scenario.a())?;
    closed_to_others(&folder)?;
    let rows = decoded(scenario.a(), &folder)?;
    let (old, new) = (ledger(scenario.a())?, ledger(scenario.b())?);
    let only_old: BTreeSet<u64> = old.difference(&new).copied().collect();
    ensure!(
        rows == only_old,
        "{} rows are salvaged, and node-a alone holds {}",
        rows.len(),
        only_old.len()
    );
    let summary = summary(&folder)?;
    let table = &summary["tables"]["lab.ledger"];
    ensure!(table["inserted"] == rows.len() as u64, "{summary:#}");
    ensure!(
        table["uncounted_events"] == 0
            && summary["not_found"].as_array().is_some_and(Vec::is_empty),
        "{summary:#}"
    );
    println!("{}", fs::read_to_string(folder.join("summary.txt"))?);
    programs_say(&scenario, &folder)?;
    // Its log has grown by a file when it comes back, by nothing that anybody wrote.
    scenario.a().kill_server()?;
    scenario.a().start_server()?;
    repaired(scenario.a(), 5)?;
    ensure!(salvages(scenario.a()) == [folder], "taken twice");
    let verdict = scenario.finish(End::FollowsOrHeld)?;
    let missing: Vec<&u64> = verdict
        .not_received
        .iter()
        .filter(|id| !rows.contains(id))
        .collect();
    ensure!(missing.is_empty(), "acknowledged and nowhere: {missing:?}");
    ensure!(!verdict.not_received.is_empty(), "{verdict}");
    Ok(())
}

#[test]
fn by_gtid_every_acknowledged_row_is_on_the_new_master_or_in_the_salvage() -> Result<()> {
    rows_are_on_the_new_master_or_in_the_salvage(Positioning::Gtid)
}

#[test]
fn by_position_every_acknowledged_row_is_on_the_new_master_or_in_the_salvage() -> Result<()> {
    rows_are_on_the_new_master_or_in_the_salvage(Positioning::Position)
}

#[test]
fn a_salvage_that_is_killed_leaves_nothing_that_looks_whole() -> Result<()> {
    let Some(scenario) = diverge(LabOptions::default())? else {
        return Ok(());
    };
    let pause = scenario.a().paths().pause();
    fs::write(pause.join("salvage.rename.pause"), "")?;
    scenario.a().start_server()?;
    let reached = pause.join("salvage.rename.reached");
    wait_until("a salvage is about to be finished", PATIENCE, || {
        Ok(fs::read_to_string(&reached).is_ok_and(|pid| !pid.is_empty()))
    })?;
    fs::remove_file(pause.join("salvage.rename.pause"))?;
    let pid: i32 = fs::read_to_string(&reached)?.trim().parse()?;
    // One that has just gone on is as good as one that was killed after the renaming.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    let folder = salvaged(scenario.a())?;
    decoded(scenario.a(), &folder)?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn without_room_the_node_stays_marked_and_the_next_repair_tries_again() -> Result<()> {
    let options = LabOptions {
        suite_folder_size: Some("8m".to_owned()),
        ..LabOptions::default()
    };
    let Some(scenario) = diverge(options)? else {
        return Ok(());
    };
    scenario.a().start_server()?;
    let claimed = || lab::divergence::claimed(scenario.a()).unwrap_or_default();
    wait_until("the mark says that there is no room", PATIENCE, || {
        Ok(claimed().contains("not salvaged yet: there is no room"))
    })
    .with_context(claimed)?;
    ensure!(salvages(scenario.a()).is_empty());
    let (code, said) = scenario.by_hand(NodeId::A, "notify_backup", &[])?;
    ensure!(code == 4 && said.contains("no room"), "{code}: {said}");
    for folder in scenario.a().paths().suite_folders() {
        let more = Some("size=64m");
        mount(
            None::<&str>,
            &folder,
            None::<&str>,
            MsFlags::MS_REMOUNT,
            more,
        )?;
    }
    let folder = salvaged(scenario.a())?;
    decoded(scenario.a(), &folder)?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}
