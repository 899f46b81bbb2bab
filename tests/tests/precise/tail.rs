//! A source that dies in the middle of sending a transaction: what the standby received can never be complete.

use anyhow::{Context, Result};
use lab::{LabOptions, Node, NodeId, Via, process};
use nix::sys::signal::Signal;

use super::{PATIENCE, judge, nft, serving_pair, wait_for_rows_of};

/// One transaction of 60,000 rows, about two megabytes, in words of every server.
fn big() -> String {
    let below = |n: u32| {
        let all: Vec<String> = (0..n).map(|i| format!("SELECT {i} AS n")).collect();
        format!("({})", all.join(" UNION ALL "))
    };
    let (ten, six) = (below(10), below(6));
    format!(
        "INSERT INTO lab.ledger (id, writer, server_id, epoch, at) \
         SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, 0, 11, 0, NOW(6) \
         FROM {ten} a, {ten} b, {ten} c, {ten} d, {six} e"
    )
}

/// node-b hears no more than the beginning of a big transaction when node-a's server dies. With `killed_at`
/// the promotion is killed at that step as well.
pub fn the_source_dies_while_it_sends(options: LabOptions, killed_at: Option<&str>) -> Result<()> {
    let lab = serving_pair(options)?;
    let writers = lab.write(&Via::everywhere())?;
    writers.wait_for_acks(50, PATIENCE)?;
    let from = NodeId::A.address();
    nft(
        lab.b(),
        &format!(
            "table ip lab_cut {{ chain in {{ type filter hook input priority 0; \
             ip saddr {from} tcp sport 3306 quota over 600 kbytes drop; }}; }}"
        ),
    )?;
    lab.a().query_local(&big())?;
    lab.b()
        .wait_until("has received a part", PATIENCE, has_a_part)?;
    if let Some(step) = killed_at {
        lab.b().pause_at(step)?;
    }
    lab.a().kill_server()?;
    nft(lab.b(), "delete table ip lab_cut")?;
    if let Some(step) = killed_at {
        let pid = lab.b().wait_reached(step, PATIENCE)?;
        process::signal(pid, Signal::SIGKILL)?;
        lab.note(&format!("node-b: the promotion is killed at {step}"));
        lab.b().release(step)?;
    }
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    lab.a().start_server()?;
    judge(&lab, writers)
}

/// All complete transactions are applied, and there is more.
fn has_a_part(node: &Node) -> Result<bool> {
    let rows = node.replica_status()?;
    let row = rows.first().context("no replica")?;
    let number = |column: &str| row.get(column).parse::<u64>().unwrap_or(0);
    Ok(number("Read_Master_Log_Pos") > number("Exec_Master_Log_Pos") + 300_000)
}
