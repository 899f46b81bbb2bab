//! The same scenarios with the safety step left out that each is about: every one must fail, and for its own
//! reason. That is how we know that the scenarios see.

#[allow(dead_code, reason = "not every variant is run without its step")]
mod precise;

use anyhow::{Result, bail, ensure};
use lab::{LabOptions, Positioning};
use precise::drain::Obstacle;
use precise::{Broken, boot, claim, drain, fence, gate, intent, lock, possible, vetting};

/// Runs a scenario without `step`: it must break the promise in these words.
fn goes_red(
    step: &str,
    words: &str,
    scenario: impl FnOnce(LabOptions) -> Result<()>,
) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let Err(error) = scenario(LabOptions::default().without(&[step])) else {
        bail!("without {step} nothing goes wrong: the scenario is blind");
    };
    let Some(Broken(why)) = error.downcast_ref() else {
        bail!("without {step} the scenario itself fails: {error:#}");
    };
    ensure!(
        why.contains(words),
        "without {step}, not {words:?} but: {why}"
    );
    println!("without {step}: {why}");
    Ok(())
}

#[test]
fn without_fence_two_nodes_are_open() -> Result<()> {
    goes_red(
        "fence",
        "two open nodes",
        fence::keepalived_dies_and_leaves_an_open_node,
    )
}

#[test]
fn without_claim_two_masters_both_open() -> Result<()> {
    // A repair could close one of them before anybody wrote to it.
    goes_red("claim", "two open nodes", |options| {
        claim::two_masters_at_once(options.toml("check.repair", "false"))
    })
}

#[test]
fn without_gate_a_thawed_server_opens() -> Result<()> {
    goes_red(
        "gate",
        "the thawed server",
        gate::a_server_freezes_while_it_is_opened,
    )
}

#[test]
fn without_drain_proof_received_rows_are_lost() -> Result<()> {
    goes_red("drain-proof", "rows received but lost", |options| {
        drain::the_standby_is_behind(options, Obstacle::TableLock)
    })
}

#[test]
fn without_intent_recheck_a_node_opens_after_it_lost_its_role() -> Result<()> {
    goes_red(
        "intent-recheck",
        "opened after the VIP had moved back",
        |options| intent::the_vip_moves_back(options, "record-opening.before"),
    )
}

#[test]
fn without_vetting_a_replica_runs_and_differs() -> Result<()> {
    goes_red("vetting", "runs as a replica all the same", |options| {
        vetting::an_old_master_returns_with_rows_of_its_own(LabOptions {
            positioning: Positioning::Position,
            gtid_strict_mode: false,
            ..options
        })
    })
}

#[test]
fn without_close_before_lock_a_fault_leaves_the_server_open() -> Result<()> {
    goes_red(
        "close-before-lock",
        "node-a closes at once",
        lock::the_lock_is_held_when_the_role_goes,
    )
}

#[test]
fn without_boot_rule_old_data_open() -> Result<()> {
    goes_red(
        "boot-rule",
        "opened with old data",
        boot::old_data_boot_first,
    )
}

/// A second line: by GTID the new source itself refuses a node with transactions of its own.
#[test]
fn without_vetting_the_source_still_refuses_by_gtid() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    if !lab::Server::chosen().is_mariadb() {
        eprintln!("skipped: a source that is MySQL feeds a replica with transactions of its own");
        return Ok(());
    }
    vetting::an_old_master_returns_with_rows_of_its_own(LabOptions::default().without(&["vetting"]))
}
