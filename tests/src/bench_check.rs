//! What a health check costs, ours and its rivals', each in turn on both nodes of a healthy pair.
//!
//! Everything runs the same number of times, alternating, on the same machine in the same minute:
//! numbers from different runs are not to be compared.

mod numbers;
mod rivals;

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::lab::Lab;
use crate::node::Node;
use crate::options::{LabOptions, NodeId};
use numbers::{Figures, Sample};
use rivals::{Rival, Skipped};

const PATIENCE: Duration = Duration::from_secs(30);
const WARM_UP: usize = 10;

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    rounds: usize,
    nodes: Vec<Measured>,
    skipped: Vec<Skipped>,
}

/// One node's figures, a line for each program.
#[derive(Debug, Serialize)]
struct Measured {
    node: String,
    state: &'static str,
    programs: Vec<Figures>,
}

/// Measures `rounds` times and prints a table, or JSON.
pub fn run(rounds: usize, json: bool) -> Result<()> {
    let lab = Lab::start(LabOptions::default())?;
    lab.start_keepalived()?;
    lab.b().wait_following(NodeId::A, PATIENCE)?;
    let tools = rivals::build(lab.folder())?;
    let mut report = Report {
        rounds,
        nodes: Vec::new(),
        skipped: tools.skipped.clone(),
    };
    for (node, state) in [(lab.a(), "open master"), (lab.b(), "closed standby")] {
        rivals::make_account(node)?;
        let rivals = tools.all(node);
        let programs = node.netns().within(|| measure(node, &rivals, rounds))?;
        let programs = rivals::with_memory(&tools, node, &rivals, programs)?;
        let node = node.id().to_string();
        report.nodes.push(Measured {
            node,
            state,
            programs,
        });
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print_report(&report);
    }
    Ok(())
}

/// Each in turn, beginning with another one each time: who comes after whom must not matter.
fn measure(node: &Node, rivals: &[Rival], rounds: usize) -> Result<Vec<Figures>> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); rivals.len()];
    for round in 0..WARM_UP + rounds {
        for turn in 0..rivals.len() {
            let at = (round + turn) % rivals.len();
            let sample = once(&rivals[at]).with_context(|| node.id().to_string())?;
            if round >= WARM_UP {
                samples[at].push(sample);
            }
        }
    }
    Ok(rivals
        .iter()
        .zip(&samples)
        .map(|(rival, samples)| Figures::of(rival.name, samples))
        .collect())
}

fn once(rival: &Rival) -> Result<Sample> {
    let null = || File::options().read(true).write(true).open("/dev/null");
    let mut command = Command::new(&rival.command[0]);
    command.args(&rival.command[1..]);
    command
        .stdin(Stdio::from(null()?))
        .stdout(null()?)
        .stderr(null()?);
    let before = cpu_of_children()?;
    let begun = Instant::now();
    let status = command.status().with_context(|| rival.name.to_owned())?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{}: {status}", rival.name);
    Ok(Sample {
        wall,
        cpu: cpu_of_children()?.saturating_sub(before),
    })
}

fn cpu_of_children() -> Result<Duration> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [used.user_time(), used.system_time()]
        .iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum::<i64>();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn print_report(report: &Report) {
    for measured in &report.nodes {
        println!(
            "\n{}, {}; {} rounds; milliseconds, KiB",
            measured.node, measured.state, report.rounds
        );
        println!("{}", Figures::HEAD);
        for figures in &measured.programs {
            println!("{figures}");
        }
        for line in numbers::bars(&measured.programs) {
            println!("{line}");
        }
    }
    for skipped in &report.skipped {
        println!("skipped: {}: {}", skipped.name, skipped.why);
    }
}
