//! `lab`: a pair of database servers with keepalived in network namespaces, to look at and to break.

use std::io::Read;

use anyhow::Result;
use clap::{Parser, Subcommand};
use lab::matrix::{self, Form, Table};
use lab::{Hooks, Host, Lab, LabOptions, Server};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill the serving database under load, and print what happened when.
    Demo {
        #[command(flatten)]
        with: With,
    },
    /// Start a lab and keep it until the end of stdin or Ctrl-C.
    Up {
        #[command(flatten)]
        with: With,
        /// Do not start keepalived.
        #[arg(long)]
        no_keepalived: bool,
    },
    /// Failover, hang, switch, rejoin and divergence on every server in every way of replicating, as a table.
    Servers {
        /// Only this server; may be given several times
        #[arg(long = "server", value_name = "NAME")]
        only: Vec<Server>,
        /// Fewer cases
        #[arg(long)]
        short: bool,
    },
    /// What a health check costs, beside its rivals; with the programs of LAB_BIN_DIR.
    BenchCheck {
        /// How often each program runs
        #[arg(long, default_value_t = 200)]
        rounds: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a lab when its runner is gone.
    #[command(hide = true)]
    Supervisor,
}

#[derive(Debug, clap::Args)]
struct With {
    /// The database: mariadb-10.11, mysql-9.7, mariadb-11.8, mariadb-10.5 or mysql-5.6
    #[arg(long, value_name = "NAME", default_value_t = Server::chosen())]
    server: Server,
    /// With hooks that do nothing: the bare take-over of keepalived
    #[arg(long)]
    floor: bool,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo { with } => lab::demo::run(with.server, with.hooks()),
        Command::BenchCheck { rounds, json } => lab::bench_check::run(rounds, json),
        Command::Up {
            with,
            no_keepalived,
        } => up(&with, !no_keepalived),
        Command::Servers { only, short } => {
            servers(&only, if short { Form::Short } else { Form::Full })
        }
        Command::Supervisor => lab::supervisor::main(),
    }
}

fn servers(only: &[Server], form: Form) -> Result<()> {
    let mut table = Table::default();
    let mut failed = Vec::new();
    let wanted = |server: &Server| only.is_empty() || only.contains(server);
    for server in Server::ALL.into_iter().filter(wanted) {
        if let Err(error) = matrix::run_server(server, form, &mut table) {
            failed.push(error.to_string());
        }
    }
    println!("\n{table}");
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

impl With {
    fn hooks(&self) -> Hooks {
        if self.floor {
            Hooks::Nothing
        } else {
            Hooks::Suite
        }
    }
}

fn up(with: &With, keepalived: bool) -> Result<()> {
    let lab = Lab::start(LabOptions {
        server: with.server,
        hooks: with.hooks(),
        ..LabOptions::default()
    })?;
    if keepalived {
        lab.start_keepalived()?;
    }
    println!(
        "lab {} is up; everything lies in {}",
        lab.id(),
        lab.folder().display()
    );
    for node in lab.nodes() {
        let (name, socket) = (node.netns().name(), node.paths().socket());
        println!(
            "  {}: ip netns exec {name} bash; mariadb -uroot -S {}",
            node.id(),
            socket.display()
        );
    }
    println!(
        "  client: ip netns exec {} bash; mariadb -uapp -plab-app -h10.77.0.100 lab",
        lab.netns(Host::Client).name()
    );
    println!("It ends with this program: Ctrl-C, or the end of stdin.");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
