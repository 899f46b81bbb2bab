//! `history`: the transitions of this node.

use clap::Args as ClapArgs;

use super::look::{Looking, paint, say, say_json};
use crate::cli::{CommonArgs, Exit, report_failure_as};
use crate::ledger::files::{History, StateError};
use crate::message::Message;
use crate::report::history::{Depth, newest, text};

/// Show this node's transitions (promotions, closings, rejoins), newest last; changes nothing
///
/// When, what, how long it took, how it ended and why; with -v also each step with its milliseconds. A
/// line of the history that cannot be read is named and skipped.
///
/// Exit code 0: shown, also where there is none yet. 3: the history cannot be read. 78: the
/// configuration is wrong and no earlier one is known.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Only the newest N
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

pub(super) fn run(common: &CommonArgs, args: &Args) -> Exit {
    let looking = match Looking::start(common) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let here = looking.here();
    let read = here.state.as_ref().map(|state| state.history());
    let history = match read.unwrap_or_else(|| Ok(History::default())) {
        Ok(history) => newest(history, args.last),
        Err(error) => return unreadable(&error),
    };
    let depth = match common.verbose {
        0 => Depth::Lines,
        _ => Depth::Steps,
    };
    // A reader that has gone is no failure of ours.
    let _ = if common.json {
        say_json(&serde_json::json!({
            "format": 1,
            "group": here.config.group,
            "node": here.node.name,
            "transitions": history.events,
            "unreadable": history.unreadable,
        }))
    } else {
        say(&text(&here.node.name, &history, depth, paint()))
    };
    Exit::Done
}

fn unreadable(error: &StateError) -> Exit {
    let message = Message::new("the history of this node cannot be read")
        .detail(error.to_string())
        .hint("run this as the user that runs keepalived's hooks, or as root");
    report_failure_as(&message, Exit::RolledBack)
}
