//! What people type to look: `keepalived-mysql status`, `history` and `salvage`. Nothing is changed.

use std::process::Output;

use anyhow::{Result, ensure};
use lab::{LabOptions, Node, Scenario};
use serde_json::Value;

const PROGRAM: &str = "keepalived-mysql";

/// What the program said, without any secret in it.
fn said(output: &Output) -> Result<String> {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    for secret in ["lab-keepalived", "lab-repl"] {
        ensure!(!text.contains(secret), "a password is in: {text}");
    }
    ensure!(!text.contains("panicked"), "{text}");
    Ok(text)
}

fn ask(node: &Node, words: &[&str]) -> Result<String> {
    let output = node.run_suite(PROGRAM, words)?;
    let text = said(&output)?;
    ensure!(output.status.success(), "{words:?}: {text}");
    println!("{}: {PROGRAM} {}\n{text}", node.id(), words.join(" "));
    Ok(text)
}

fn row<'a>(table: &'a str, node: &str) -> &'a str {
    let mut lines = table.lines();
    lines
        .find(|line| line.starts_with(node))
        .unwrap_or_default()
}

fn expect(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in: {text}");
    }
    Ok(())
}

#[test]
fn people_see_both_nodes_and_what_was_done() -> Result<()> {
    let Some(scenario) = Scenario::quiet(LabOptions::default())? else {
        return Ok(());
    };
    scenario.lab.start_keepalived()?;
    let (a, b) = (scenario.a(), scenario.b());
    let table = ask(a, &["status"])?;
    expect(
        &table,
        &["node-a serves, highest epoch 1@node-a", "healthy: open"],
    )?;
    expect(
        row(&table, "node-a *"),
        &["open", "MASTER", "here", "1@node-a"],
    )?;
    expect(
        row(&table, "node-b "),
        &[
            "closed",
            "follows node-a",
            "all received is applied",
            "lacks nothing of node-a",
        ],
    )?;
    let table = ask(b, &["status", "-v"])?;
    expect(row(&table, "node-b *"), &["closed", "BACKUP", "not here"])?;

    b.kill_server()?;
    let table = ask(a, &["status"])?;
    expect(row(&table, "node-a *"), &["open", "1@node-a"])?;
    expect(row(&table, "node-b "), &["down", "refused"])?;
    let output = b.run_suite(PROGRAM, &["status", "--json"])?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.code() == Some(75), "{}", said(&output)?);
    ensure!(document["serving"] == "node-a", "{document}");
    ensure!(document["nodes"][0]["state"] == "down", "{document}");

    expect(
        &ask(a, &["history", "-v"])?,
        &["promote", "open node-a under epoch 1@node-a", "claim"],
    )?;
    let document: Value = serde_json::from_str(&ask(a, &["history", "--last", "1", "--json"])?)?;
    ensure!(
        document["transitions"][0]["transition"] == "promote",
        "{document}"
    );
    expect(
        &ask(a, &["salvage", "list"])?,
        &["nothing was salvaged here"],
    )?;
    ensure!(a.is_open(), "looking closed node-a");
    Ok(())
}
