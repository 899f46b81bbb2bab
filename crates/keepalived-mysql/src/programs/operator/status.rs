//! `status`: all nodes of the group, once or again and again.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::look::{Looking, paint, say, say_json};
use crate::act::overview::overview;
use crate::cli::{CommonArgs, Exit};
use crate::report::status::Status;

/// Show all nodes of the group and how this one is; changes nothing
///
/// Each server is asked now, this node's (*) over its socket and the others over TCP, as the hooks do
/// it. A node that cannot be asked is a row with the reason. "Opened under" is the highest epoch (the
/// number of a promotion) under which that server was ever opened. Only this node's role and VIP are
/// known here. Two nodes are not seen at the same instant: under load a healthy replica lacks what was
/// committed between the two looks.
///
/// Exit code 0: this node's server was looked at. 75: it could not be; the table says why. 78: the
/// configuration is wrong and no earlier one is known.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Look again every SECONDS (2 if none are given), until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

pub(super) fn run(common: &CommonArgs, args: &Args) -> Exit {
    let looking = match Looking::start(common) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    loop {
        let status = Status::of(&overview(&looking.here()));
        let shown = show(&status, common, args);
        let exit = match status.local_was_seen() {
            true => Exit::Done,
            false => Exit::TryAgain,
        };
        match (shown, args.watch) {
            (Ok(()), Some(seconds)) => std::thread::sleep(Duration::from_secs(seconds)),
            _ => return exit,
        }
    }
}

fn show(status: &Status, common: &CommonArgs, args: &Args) -> io::Result<()> {
    if common.json {
        return match args.watch {
            // One document per line: a reader can tell where each ends.
            Some(_) => say(&format!("{}\n", serde_json::to_string(status)?)),
            None => say_json(status),
        };
    }
    let again = args.watch.is_some() && io::stdout().is_terminal();
    let clear = if again { "\u{1b}[H\u{1b}[2J" } else { "" };
    say(&format!("{clear}{}", status.text(paint())))
}
