//! `lab`: a pair of database servers with keepalived in network namespaces, to look at and to break.

use std::io::Read;

use anyhow::Result;
use clap::{Parser, Subcommand};
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
        Command::Up {
            with,
            no_keepalived,
        } => up(&with, !no_keepalived),
        Command::Supervisor => lab::supervisor::main(),
    }
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
