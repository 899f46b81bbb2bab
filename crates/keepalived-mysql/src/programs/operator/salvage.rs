//! `salvage`: what was copied out of this node's binary log because nobody else had received it.

use std::io;

use clap::Subcommand;

use super::look::{Looking, paint, say, say_json};
use crate::act::here::Here;
use crate::act::salvage::{Kept, kept, kept_text};
use crate::cli::{CommonArgs, Exit, report_failure_as};
use crate::message::Message;
use crate::report::salvages::{SalvageLine, text};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the salvages of this node: when, how many transactions and rows, complete or not
    ///
    /// Exit code 0: listed, also where there is none. 3: the folder cannot be read. 78: the
    /// configuration is wrong and no earlier one is known.
    List,
    /// Print what is in one: tables, rows, times, and how to read and repeat the transactions
    ///
    /// Exit code 0: printed. 2: there is no such salvage. 3: it cannot be read. 78: the configuration is
    /// wrong and no earlier one is known.
    Show {
        /// Its name, as `salvage list` shows it
        name: String,
    },
}

pub(super) fn run(common: &CommonArgs, command: &Command) -> Exit {
    let looking = match Looking::start(common) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let here = looking.here();
    let all = match here.state.as_ref().map(kept).transpose() {
        Ok(all) => all.unwrap_or_default(),
        Err(why) => return unreadable("the salvages of this node cannot be read", &why),
    };
    match command {
        Command::List => list(common, &here, &all),
        Command::Show { name } => show(common, &here, &all, name),
    }
}

fn list(common: &CommonArgs, here: &Here, all: &[Kept]) -> Exit {
    let lines: Vec<SalvageLine> = all.iter().map(SalvageLine::of).collect();
    // A reader that has gone is no failure of ours.
    let _ = if common.json {
        say_json(&serde_json::json!({
            "format": 1,
            "group": here.config.group,
            "node": here.node.name,
            "salvages": lines,
        }))
    } else {
        say(&text(&here.node.name, &lines, paint()))
    };
    Exit::Done
}

/// Only a name from the list leads to a file: none is made of what was typed.
fn show(common: &CommonArgs, here: &Here, all: &[Kept], name: &str) -> Exit {
    let Some(found) = all.iter().find(|kept| kept.name == name) else {
        let message = Message::new(format!("there is no salvage named '{name}' on this node"))
            .hint("keepalived-mysql salvage list shows their names");
        return report_failure_as(&message, Exit::Usage);
    };
    if common.json {
        return match &found.summary {
            Ok(summary) => {
                let _ = say_json(summary);
                Exit::Done
            }
            Err(why) => unreadable(
                &format!("the salvage {name} cannot be read"),
                &io::Error::other(why.clone()),
            ),
        };
    }
    let read = here.state.as_ref().map(|state| kept_text(state, name));
    match read.transpose() {
        Ok(text) => {
            let _ = say(&harmless(&text.unwrap_or_default()));
            Exit::Done
        }
        Err(why) => unreadable(&format!("the salvage {name} cannot be read"), &why),
    }
}

/// Statements in it are customers': nothing in them may steer the terminal.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

fn unreadable(what: &str, why: &io::Error) -> Exit {
    let message = Message::new(what)
        .detail(why.to_string())
        .hint("run this as the user that runs keepalived's hooks, or as root");
    report_failure_as(&message, Exit::RolledBack)
}
