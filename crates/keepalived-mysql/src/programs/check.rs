//! `check_mysql`: the verdict first, then, beside it, a repair.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::act::calm::why_repair;
use crate::act::check::{Checked, Depth, ReaderWish, check};
use crate::act::close::close_local;
use crate::act::here::Here;
use crate::act::repair::{look, repair};
use crate::cli::{CommonArgs, Exit, report_failure};
use crate::config::OnFailure;
use crate::keepalived;
use crate::lock::{Waited, open_lock, wait_for};
use crate::programs::{
    Started, Unusable, helper_args, parse, print, print_json, spawn_helper, start,
};
use crate::sys::{self, Birth, forked_by};
use crate::view::NodeView;

/// Say whether this MySQL or MariaDB server can serve; keepalived runs it through vrrp_script.
///
/// Exit code 0: healthy. 1: unhealthy, with evidence that clients cannot or must not be served here.
/// 78: the configuration is wrong and no earlier one is known.
#[derive(Debug, Parser)]
#[command(name = "check_mysql", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// What the node must be besides healthy, for a VIP of readers
    #[arg(long, value_enum)]
    expect: Option<Expect>,
    /// With --expect replica: the most it may be behind its source, such as 5s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "expect")]
    max_lag: Option<Duration>,
    /// Only repair what has drifted, in the foreground; for a timer beside keepalived
    #[arg(long)]
    repair: bool,
    /// With --repair: say what has drifted, change nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// Only close the server, because a check failed
    #[arg(long, hide = true)]
    close: bool,
    /// The check that started this repair
    #[arg(long, hide = true, value_name = "BIRTH")]
    beside: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expect {
    /// A running replica
    Replica,
}

pub(super) fn main() -> Exit {
    let args = match parse::<Args>() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    if args.beside.is_some() || args.close {
        sys::become_detached();
    }
    let started = match start("check_mysql", &args.common, Unusable::LastGood) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    if args.close {
        return close_only(&started);
    }
    if args.dry_run {
        return dry_run(&started.here, args.common.json);
    }
    if args.repair || args.beside.is_some() {
        return repair_only(started, &args);
    }
    judge(&started, &args)
}

fn judge(started: &Started, args: &Args) -> Exit {
    arm(started);
    let reader = args.expect.map(|Expect::Replica| ReaderWish {
        max_lag: args.max_lag.or(started.here.config.check.max_lag),
    });
    let depth = if args.common.json {
        Depth::Everything
    } else {
        Depth::Verdict
    };
    let checked = check(&started.here, reader, depth);
    let verdict = &checked.verdict;
    if args.common.json {
        print_json(&serde_json::json!({
            "node": started.here.node.name,
            "healthy": verdict.healthy,
            "why": verdict.why,
            "state": checked.me.state,
            "semi_sync": semi_sync(&checked.me),
        }));
    } else {
        let word = if verdict.healthy {
            "healthy"
        } else {
            "unhealthy"
        };
        print(&format!(
            "{}: {word}: {}\n",
            started.here.node.name, verdict.why
        ));
    }
    if !verdict.healthy {
        on_failure(started);
    }
    start_repair(started, &checked);
    if verdict.healthy {
        Exit::Done
    } else {
        Exit::Refused
    }
}

/// What the server says of semi-sync, and what that means for a commit of now.
fn semi_sync(view: &NodeView) -> serde_json::Value {
    let Some(facts) = &view.facts else {
        return serde_json::Value::Null;
    };
    let source = facts.semi_sync.source.as_ref();
    serde_json::json!({
        "told": facts.semi_sync.told(),
        "acknowledged": source.is_some_and(|side| side.acknowledged()),
        "degraded": source.is_some_and(|side| side.degraded()),
        "source": source,
        "replica": facts.semi_sync.replica,
    })
}

/// Whatever hangs, keepalived gets its answer in time.
fn arm(started: &Started) {
    let deadline = started.here.config.check.deadline;
    let args = helper_args(started);
    let repairs = started.here.config.check.repair;
    let armed = sys::arm_deadline(deadline, move || {
        print(&format!("unhealthy: no verdict within {deadline:?}\n"));
        log::warn!("unhealthy: no verdict within {deadline:?}");
        if repairs {
            launch(&args);
        }
        i32::from(Exit::Refused.code())
    });
    if let Err(error) = armed {
        log::error!("no thread for the deadline: {error}");
    }
}

fn on_failure(started: &Started) {
    match started.here.config.check.on_failure {
        OnFailure::None => {}
        OnFailure::Close => spawn_helper(started, &["--close"]),
        OnFailure::StopKeepalived => {
            log::warn!("stopping keepalived, as [check] on_failure says");
            if let Err(error) = keepalived::stop(&started.here.config.keepalived.pid_file) {
                log::error!("keepalived cannot be stopped: {error}");
            }
        }
    }
}

/// Beside the verdict, so that keepalived does not wait for it.
fn start_repair(started: &Started, checked: &Checked) {
    if !started.here.config.check.repair {
        return;
    }
    if let Some(why) = why_repair(&started.here, checked) {
        log::debug!("starting the repair: {why}");
        launch(&helper_args(started));
    }
}

fn launch(args: &[String]) {
    let mut args = args.to_vec();
    args.extend(["--beside".to_owned(), birth_word()]);
    let spawned =
        std::env::current_exe().and_then(|program| sys::spawn_detached(&program, &args, None));
    if let Err(error) = spawned {
        log::error!("cannot start the repair: {error}");
    }
}

/// The birth of the process that keepalived forked for this check, if it did.
fn birth_word() -> String {
    forked_by("keepalived")
        .map(|birth| format!("{}:{}:{}", birth.boot_id, birth.start_ticks, birth.pid))
        .unwrap_or_else(|| "-".into())
}

fn parse_birth(word: &str) -> Option<Birth> {
    let mut parts = word.rsplitn(3, ':');
    let pid = parts.next()?.parse().ok()?;
    let start_ticks = parts.next()?.parse().ok()?;
    Some(Birth {
        boot_id: parts.next()?.to_owned(),
        start_ticks,
        pid,
    })
}

fn close_only(started: &Started) -> Exit {
    let here = &started.here;
    match close_local(
        here,
        "a check failed, as [check] on_failure says",
        here.config.close.timeout,
    ) {
        Ok(_) => Exit::Done,
        Err(failure) => report_failure(&failure),
    }
}

fn dry_run(here: &Here, json: bool) -> Exit {
    let found = look(here);
    if json {
        print_json(&found);
    } else {
        print(&format!(
            "{}: {found}\nNothing was changed.\n",
            here.node.name
        ));
    }
    Exit::Done
}

fn repair_only(mut started: Started, args: &Args) -> Exit {
    let birth = args.beside.as_deref().and_then(parse_birth);
    let Some(_alone) = alone(&started) else {
        log::debug!("another repair is under way");
        return Exit::Done;
    };
    if let Err(error) = sys::hold_signals() {
        log::warn!("signals cannot be held back: {error}");
    }
    match repair(&mut started.here, birth.as_ref()) {
        Ok(drift) => {
            if args.common.json {
                print_json(&drift);
            }
            standing(&started.here)
        }
        Err(failure) => report_failure(&failure),
    }
}

/// A node that is marked as diverged stays so, whatever was repaired.
fn standing(here: &Here) -> Exit {
    let memory = here.memory();
    let Some(why) = memory.diverged else {
        return Exit::Done;
    };
    print(&format!("{}: diverged: {why}\n", here.node.name));
    match memory.salvage {
        Some(_) => Exit::Diverged,
        None => Exit::Incomplete,
    }
}

/// One repair at a time; the next check starts another.
fn alone(started: &Started) -> Option<std::fs::File> {
    let run = started.here.run.as_ref()?;
    let file = open_lock(&run.path().join("repair.lock")).ok()?;
    let now = std::time::Instant::now();
    matches!(wait_for(&file, now, &|| true), Ok(Waited::Locked)).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn births_round_trip() {
        let birth = parse_birth("0f-1a:4242:77").expect("a birth");
        assert_eq!(
            (birth.boot_id.as_str(), birth.start_ticks, birth.pid),
            ("0f-1a", 4242, 77)
        );
        assert!(parse_birth("-").is_none());
    }
}
