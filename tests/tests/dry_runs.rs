//! `--dry-run`: the very plan that would run, with its statements and reasons, secrets masked, and
//! nothing changed.

use std::process::Output;

use anyhow::{Result, ensure};
use lab::{LabOptions, Scenario};

const OVER_THE_RULES: [&str; 5] = ["--dry-run", "--override", "intent", "--override", "vip"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn without_secrets(said: &str) -> Result<()> {
    for secret in ["lab-keepalived", "lab-repl"] {
        ensure!(!said.contains(secret), "a password is in: {said}");
    }
    Ok(())
}

#[test]
fn a_standby_shows_the_plan_of_its_promotion() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let before = scenario.epochs()?;
    let said = text(&scenario.b().run_suite("notify_master", &OVER_THE_RULES)?);
    let server = scenario.b().server();
    let closing = server.closing();
    for part in [
        "claim:",
        "UPDATE keepalived_mysql.fence SET epoch = 2",
        &format!("on node-a, if it has not closed within 200ms: {closing}"),
        &server.words("STOP SLAVE IO_THREAD"),
        "SET GLOBAL read_only = (SELECT",
        &server.words("RESET SLAVE ALL"),
        "Nothing was changed.",
    ] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    without_secrets(&said)?;
    let json = [OVER_THE_RULES.as_slice(), &["--json"]].concat();
    let plan: serde_json::Value =
        serde_json::from_slice(&scenario.b().run_suite("notify_master", &json)?.stdout)?;
    let steps = plan["steps"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ensure!(
        steps.iter().any(|step| step["step"] == "fence-peer"),
        "{plan}"
    );
    ensure!(steps.iter().all(|step| step["why"].is_string()), "{plan}");
    ensure!(
        scenario.epochs()? == before && scenario.a().is_open(),
        "something changed"
    );
    Ok(())
}

#[test]
fn an_old_master_shows_how_it_would_follow() -> Result<()> {
    let Some(scenario) =
        Scenario::start(LabOptions::default().toml("demote.rejoin", "\"manual\""))?
    else {
        return Ok(());
    };
    scenario.a().drain(true)?;
    scenario.serves(lab::NodeId::B)?;
    let said = text(&scenario.a().run_suite("notify_backup", &["--dry-run"])?);
    let server = scenario.a().server();
    for part in [
        "repoint:",
        &server.words("MASTER_PASSWORD = '***'"),
        server.self_detecting(),
        &server.words("START SLAVE"),
    ] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    without_secrets(&said)?;
    ensure!(
        scenario.a().replica_status()?.is_empty(),
        "node-a was pointed somewhere"
    );
    for program in ["notify_fault", "notify_stop"] {
        let said = text(&scenario.b().run_suite(program, &["--dry-run"])?);
        ensure!(said.contains(server.closing()), "{said}");
    }
    let said = text(
        &scenario
            .a()
            .run_suite("check_mysql", &["--repair", "--dry-run"])?,
    );
    ensure!(said.contains("Nothing was changed."), "{said}");
    ensure!(scenario.b().is_open(), "node-b was closed");
    Ok(())
}
