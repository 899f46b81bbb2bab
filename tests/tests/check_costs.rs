//! What a check costs, counted and not timed: connections, round trips, processes, syncs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Lab, LabOptions, Node, NodeId, wait_until};

const STRACE: &str = "/usr/bin/strace";
const PATIENCE: Duration = Duration::from_secs(20);

/// The calls of one check, its helpers included.
#[derive(Debug, Default, PartialEq, Eq)]
struct Costs {
    /// Connections to the server's socket.
    local: usize,
    /// Connections to anything else.
    elsewhere: usize,
    /// Packets sent to the server: the account, the question, the good-bye.
    sent: usize,
    /// Threads beside the first.
    threads: usize,
    /// Processes started.
    processes: usize,
    /// Files replaced.
    renamed: usize,
    /// fsync and its like.
    synced: usize,
}

/// A calm check: one connection, one question, and the thread that keeps the deadline.
const CALM: Costs = Costs {
    local: 1,
    elsewhere: 0,
    sent: 3,
    threads: 1,
    processes: 0,
    renamed: 0,
    synced: 0,
};

fn possible() -> bool {
    let missing = (!Path::new(STRACE).exists()).then(|| format!("{STRACE} is missing"));
    let why = Lab::unavailable(lab::Server::chosen()).or(missing);
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

/// Both nodes as they are most of the time; `interval` between two looks at the peers.
fn healthy(interval: &str) -> Result<Lab> {
    let lab = Lab::start(LabOptions::default().toml("check.peer_interval", interval))?;
    lab.start_keepalived()?;
    lab.b().wait_following(NodeId::A, PATIENCE)?;
    for node in lab.nodes() {
        let verdict = node.paths().run().join("suite/VI_1/looked.json");
        node.wait_until("its first repair has looked", PATIENCE, |_| {
            Ok(verdict.exists())
        })?;
    }
    Ok(lab)
}

/// Runs a check under strace and gives its calls, one a line. strace's own file tells which process.
fn traced(node: &Node, number: usize) -> Result<Vec<String>> {
    let out: PathBuf = node.paths().log().join(format!("strace-{number}"));
    let (out_text, config) = (
        out.display().to_string(),
        node.paths().config().display().to_string(),
    );
    let check = node.paths().bin().join("check_mysql").display().to_string();
    let calls = "connect,sendto,sendmsg,clone,clone3,fork,vfork,rename,renameat,renameat2,fsync,fdatasync,sync_file_range";
    let args = [
        "-f",
        "-y",
        "-qq",
        "-e",
        &format!("trace={calls}"),
        "-o",
        &out_text,
        &check,
        "--config",
        &config,
    ];
    let ended = node.run_program(STRACE, &args, &[])?;
    ensure!(ended.status.success(), "{ended:?}");
    let text = fs::read_to_string(&out).context(out_text)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn costs(node: &Node, number: usize) -> Result<Costs> {
    let socket = node.paths().socket().display().to_string();
    let mut costs = Costs::default();
    let lines = traced(node, number)?;
    // A call that another thread interrupts takes two lines; its beginning says everything.
    let begun = lines.iter().filter(|line| !line.contains(" resumed>"));
    let mut talks = BTreeSet::new();
    for line in begun {
        let (_, call) = line.split_once(' ').context("a pid")?;
        let call = call.trim_start();
        let name = call.split('(').next().unwrap_or(call);
        match name {
            "connect" if call.contains(&socket) => {
                costs.local += 1;
                talks.insert(descriptor(call));
            }
            "connect" => costs.elsewhere += 1,
            "sendto" | "sendmsg" if talks.contains(&descriptor(call)) => costs.sent += 1,
            "clone" | "clone3" if call.contains("CLONE_THREAD") => costs.threads += 1,
            "clone" | "clone3" | "fork" | "vfork" => costs.processes += 1,
            "rename" | "renameat" | "renameat2" => costs.renamed += 1,
            "fsync" | "fdatasync" | "sync_file_range" => costs.synced += 1,
            _ => {}
        }
    }
    Ok(costs)
}

/// A call's first argument: the descriptor and, by strace's -y, which socket it is.
fn descriptor(call: &str) -> String {
    let arguments = call.split_once('(').map_or("", |(_, rest)| rest);
    arguments.split(',').next().unwrap_or_default().to_owned()
}

#[test]
fn a_calm_check_is_one_connection_and_one_question() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = healthy("\"1h\"")?;
    for node in lab.nodes() {
        // Until the first repairs have ended a check has more to do.
        wait_until(&format!("{}: a calm check", node.id()), PATIENCE, || {
            Ok(costs(node, 0)? == CALM)
        })?;
        for number in 1..=8 {
            let costs = costs(node, number)?;
            // Now and then a sight of "in sync" is written again.
            let noting = Costs { renamed: 1, ..CALM };
            ensure!(costs == CALM || costs == noting, "{}: {costs:?}", node.id());
        }
    }
    Ok(())
}

#[test]
fn a_check_whose_look_at_the_peers_is_due_starts_the_repair() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = healthy("\"1ms\"")?;
    for node in lab.nodes() {
        let costs = costs(node, 0)?;
        ensure!(costs.processes == 1, "{}: {costs:?}", node.id());
    }
    Ok(())
}

#[test]
fn a_check_starts_the_repair_at_once_where_something_has_drifted() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    // Were the peers' interval what starts it, it would come in an hour.
    let lab = healthy("\"1h\"")?;
    lab.b().query_local("STOP SLAVE")?;
    lab.b().wait_following(NodeId::A, PATIENCE)?;
    lab.a().query_local("SET GLOBAL read_only = 1")?;
    lab.a().wait_serving(PATIENCE)?;
    lab.b().query_local("SET GLOBAL read_only = 0")?;
    lab.b()
        .wait_until("closed again", PATIENCE, Node::read_only)
        .map(drop)
}
