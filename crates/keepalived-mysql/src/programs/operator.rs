//! `keepalived-mysql`: what people type, and keepalived's single `notify` hook.

mod history;
mod look;
mod salvage;
mod status;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::cli::{ActionArgs, CommonArgs, Exit, report_failure_as};
use crate::message::Message;
use crate::programs::hook::{self, Wish};
use crate::programs::parse;
use crate::role::Role;

/// Fail a pair of MySQL or MariaDB servers over, behind keepalived, without losing or forking data.
#[derive(Debug, Parser)]
#[command(name = "keepalived-mysql", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    History(history::Args),
    /// Show what was salvaged: transactions that this node alone had committed; changes nothing
    #[command(subcommand)]
    Salvage(salvage::Command),
    /// Converge to the role that keepalived's single `notify` hook names
    Notify(Notify),
}

#[derive(Debug, ClapArgs)]
struct Notify {
    #[command(flatten)]
    action: ActionArgs,
    /// Record the role as if keepalived had started this program; for drills
    #[arg(long)]
    record_intent: bool,
    /// Go on closing, detached from whoever started this
    #[arg(long, hide = true)]
    keep_closing: bool,
    /// INSTANCE or GROUP
    #[arg(value_parser = ["INSTANCE", "GROUP"])]
    kind: String,
    /// The instance's or group's name
    name: String,
    /// MASTER, BACKUP, FAULT, STOP or DELETED
    state: String,
    /// The effective priority; ignored
    priority: Option<String>,
}

pub(super) fn main() -> Exit {
    let args = match parse::<Args>() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    match args.command {
        Command::Status(wanted) => status::run(&args.common, &wanted),
        Command::History(wanted) => history::run(&args.common, &wanted),
        Command::Salvage(wanted) => salvage::run(&args.common, &wanted),
        Command::Notify(notify) => run_notify(&args.common, notify),
    }
}

fn run_notify(common: &CommonArgs, notify: Notify) -> Exit {
    let role = match role_of(&notify.state) {
        Ok(role) => role,
        Err(message) => return report_failure_as(&message, Exit::Usage),
    };
    let wish = Wish {
        dry_run: notify.action.dry_run,
        overrides: notify.action.overrides,
        record_intent: notify.record_intent,
        keep_closing: notify.keep_closing,
        instance: Some(notify.name),
    };
    hook::run("keepalived-mysql", role, common, &wish)
}

/// An instance that a reload removed is one that keepalived no longer looks after.
fn role_of(word: &str) -> Result<Role, Message> {
    if word == "DELETED" {
        return Ok(Role::Stop);
    }
    word.parse().map_err(|error: crate::role::RoleError| {
        Message::new(error.to_string())
            .hint("the words are those of keepalived's notify hook, in capitals")
    })
}
