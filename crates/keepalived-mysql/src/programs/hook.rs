//! The notify programs: record what keepalived wants, then converge to it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::act::close;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::promote::{self, Promoted};
use crate::act::rejoin::{self, Rejoined};
use crate::act::render;
use crate::act::settings;
use crate::cli::{CommonArgs, Exit, HookArgs, report_failure, report_failure_as};
use crate::config::Rejoin;
use crate::deadline::{Deadline, Pauses};
use crate::decide::plan::{Plan, Step};
use crate::decide::promote::Decision;
use crate::decide::rejoin::Decision as RejoinDecision;
use crate::decide::rule::{Refusal, Rule};
use crate::lock::{LockGuard, TransitionLock};
use crate::message::Message;
use crate::programs::{
    Started, Unusable, parse, print, print_json, spawn_helper, spawn_self, start, words_for_helper,
};
use crate::role::{Intent, Recorded, Role};
use crate::server::dialect::Dialect;
use crate::switches::{Safety, off};
use crate::sys::{self, forked_by, utc_now};
use crate::view::NodeView;

/// A detached closer gives up after this long; the repairs of `check_mysql` go on.
const KEEP_CLOSING: Duration = Duration::from_secs(600);

/// Converge this node to the role that keepalived has just given it.
///
/// keepalived runs this through its notify hooks; its trailing words INSTANCE|GROUP NAME STATE
/// PRIORITY are accepted and ignored. Run by hand it records no role unless told to.
#[derive(Debug, Parser)]
#[command(version)]
pub(super) struct Args {
    #[command(flatten)]
    hook: HookArgs,
    /// Record the role as if keepalived had started this program; for drills
    #[arg(long)]
    record_intent: bool,
    /// Go on closing, detached from whoever started this
    #[arg(long, hide = true)]
    keep_closing: bool,
}

pub(super) fn main(program: &'static str, role: Role) -> Exit {
    let args = match parse::<Args>() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    if let Err(error) = args.hook.validate() {
        let _ = error.print();
        return Exit::Usage;
    }
    run(program, role, &args.hook.common.clone(), &Wish::of(&args))
}

/// What the caller wants of a hook beside its role.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    pub(super) dry_run: bool,
    pub(super) overrides: Vec<String>,
    pub(super) record_intent: bool,
    pub(super) keep_closing: bool,
    pub(super) instance: Option<String>,
}

impl Wish {
    fn of(args: &Args) -> Self {
        Self {
            dry_run: args.hook.action.dry_run,
            overrides: args.hook.action.overrides.clone(),
            record_intent: args.record_intent,
            keep_closing: args.keep_closing,
            instance: args.hook.instance().map(str::to_owned),
        }
    }
}

pub(super) fn run(program: &'static str, role: Role, common: &CommonArgs, wish: &Wish) -> Exit {
    let overrides: Result<BTreeSet<Rule>, String> =
        wish.overrides.iter().map(|word| word.parse()).collect();
    let overrides = match overrides {
        Ok(overrides) => overrides,
        Err(why) => return report_failure_as(&Message::new(why), Exit::Usage),
    };
    if wish.keep_closing {
        sys::become_detached();
    }
    let unusable = if role.closes() {
        Unusable::LastGood
    } else {
        Unusable::Refuse
    };
    let mut started = match start(program, common, unusable) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    if let Err(error) = sys::hold_signals() {
        log::warn!("signals cannot be held back: {error}");
    }
    let result = if wish.dry_run {
        dry_run(&started.here, role, &overrides, common.json)
    } else if wish.keep_closing {
        keep_closing(&started.here)
    } else {
        match role {
            Role::Master => master(&mut started, wish, &overrides),
            _ => closing(&mut started, role, wish, &overrides),
        }
    };
    result.unwrap_or_else(|failure| report_failure(&failure))
}

/// Records the role with the birth of the process that keepalived forked.
///
/// Returns whether this program is to act: not if a newer Master stands against a closing one, or
/// anything newer against a Master.
fn take_up(
    here: &mut Here,
    role: Role,
    wish: &Wish,
    overrides: &BTreeSet<Rule>,
) -> Result<bool, Failure> {
    let birth = match (forked_by("keepalived"), wish.record_intent) {
        (Some(birth), _) => birth,
        (None, true) => sys::Birth::of_self()
            .map_err(|error| Failure::Failed(format!("reading /proc: {error}")))?,
        (None, false) => return by_hand(here, role, overrides),
    };
    let intent = Intent {
        role,
        birth,
        by: here.program.to_owned(),
        at: utc_now(),
        instance: wish.instance.clone(),
    };
    match here.take_up(intent.clone()) {
        Ok(Recorded::Newest) => Ok(true),
        Ok(Recorded::Superseded(newer)) => {
            log::info!("superseded by {} of {}", newer.role, newer.by);
            Ok(role.closes() && newer.role.closes())
        }
        Err(why) if role.closes() => {
            log::error!("the role cannot be recorded, closing all the same: {why}");
            Ok(true)
        }
        Err(why) => Err(Failure::Refused(Refusal::new(
            Rule::State,
            format!("the role cannot be recorded: {why}"),
            "make room in the run folder or make it writable; nothing is opened without a record",
        ))),
    }
}

/// A person's run acts under the recorded role. Closing a node that keepalived holds MASTER would be
/// undone by the next check, so it is refused.
fn by_hand(here: &Here, role: Role, overrides: &BTreeSet<Rule>) -> Result<bool, Failure> {
    let site = here.site();
    let held = site.vip_here && site.keepalived_live;
    let undone = role.closes() && site.role == Some(Role::Master) && held;
    if undone && !overrides.contains(&Rule::Intent) {
        return Err(Failure::Refused(Refusal::new(
            Rule::Intent,
            "keepalived says MASTER and the VIP is here: the next check would open the server again",
            "drain the node first (echo 1 into its drain file), or use --record-intent in a drill",
        )));
    }
    Ok(true)
}

fn lock(here: &Here) -> Result<LockGuard, Exit> {
    let Some(run) = &here.run else {
        return Err(Exit::TryAgain);
    };
    let deadline = Instant::now() + here.config.promote.lock_timeout;
    TransitionLock::new(run, here.program)
        .acquire(deadline, &|| here.still_wanted() && !sys::terminated())
        .map_err(|error| match error {
            crate::lock::LockError::Superseded => Exit::Done,
            other => report_failure(&other),
        })
}

fn master(started: &mut Started, wish: &Wish, overrides: &BTreeSet<Rule>) -> Result<Exit, Failure> {
    if !take_up(&mut started.here, Role::Master, wish, overrides)? {
        return Ok(Exit::Done);
    }
    let here = &started.here;
    here.require_folders().map_err(Failure::Refused)?;
    let _guard = match lock(here) {
        Ok(guard) => guard,
        Err(exit) => return Ok(exit),
    };
    if !here.still_wanted() {
        return Ok(Exit::Done);
    }
    let promoted = promote::promote(here, overrides)?;
    print(match promoted {
        Promoted::Already => "open already\n",
        Promoted::Opened => "open\n",
        Promoted::Yielded => "closed: a higher epoch serves elsewhere\n",
    });
    Ok(if promoted == Promoted::Yielded {
        Exit::Refused
    } else {
        Exit::Done
    })
}

fn closing(
    started: &mut Started,
    role: Role,
    wish: &Wish,
    overrides: &BTreeSet<Rule>,
) -> Result<Exit, Failure> {
    let timeout = match role {
        Role::Stop => {
            arm_stop(started);
            started.here.config.close.stop_budget
        }
        _ => started.here.config.close.timeout,
    };
    let deadline = Deadline::after(timeout);
    if !take_up(&mut started.here, role, wish, overrides)? {
        return Ok(Exit::Done);
    }
    let guard = if off(Safety::CloseBeforeLock) {
        lock(&started.here).ok()
    } else {
        None
    };
    let closed = close::close_local(&started.here, &format!("keepalived says {role}"), timeout);
    drop(guard);
    if closed == Err(Failure::Superseded) {
        return Ok(Exit::Done);
    }
    if let Err(failure) = closed {
        log::error!("closing goes on in the background");
        spawn_helper(started, keep_closing_words(started.here.program));
        return Err(failure);
    }
    print("closed\n");
    if role == Role::Stop {
        settings::durable_before_stop(&started.here, deadline);
    }
    if role != Role::Backup || started.here.config.demote.rejoin == Rejoin::Manual {
        return Ok(Exit::Done);
    }
    follow(&started.here)
}

/// The words that make a program of ours go on closing.
fn keep_closing_words(program: &str) -> &'static [&'static str] {
    match program {
        "keepalived-mysql" => &["notify", "--keep-closing", "INSTANCE", "-", "FAULT"],
        _ => &["--keep-closing"],
    }
}

/// keepalived ends its hooks one second after it began to stop, and no check comes after it: whatever
/// takes too long, a closer stays behind.
fn arm_stop(started: &Started) {
    let budget = started.here.config.close.stop_budget + Duration::from_millis(100);
    let closer = words_for_helper(started, keep_closing_words(started.here.program));
    let armed = sys::arm_deadline(budget, move || {
        log::error!("not closed within {budget:?}; closing goes on in the background");
        spawn_self(&closer);
        i32::from(Exit::Incomplete.code())
    });
    if let Err(error) = armed {
        log::error!("no thread for the deadline: {error}");
    }
}

/// Waits for a node that serves, and follows it. What is missed here the checks repair.
fn follow(here: &Here) -> Result<Exit, Failure> {
    let deadline = Deadline::after(here.config.demote.source_timeout);
    let mut pauses = Pauses::up_to(Duration::from_millis(500));
    loop {
        let guard = match lock(here) {
            Ok(guard) => guard,
            Err(exit) => return Ok(exit),
        };
        let rejoined = rejoin::rejoin(here)?;
        drop(guard);
        if rejoined != Rejoined::NoSource {
            return Ok(said(&rejoined));
        }
        if !pauses.wait(deadline) {
            log::info!("nobody serves yet; check_mysql goes on looking");
            return Ok(Exit::Done);
        }
        if !here.still_wanted() || sys::terminated() {
            return Ok(Exit::Done);
        }
    }
}

fn said(rejoined: &Rejoined) -> Exit {
    print(&match rejoined {
        Rejoined::NoSource => "nobody serves\n".to_owned(),
        Rejoined::Following => "follows the serving node already\n".to_owned(),
        Rejoined::Repointed => "follows the serving node\n".to_owned(),
        Rejoined::Held(held) => format!("stays closed and follows nobody: {}\n", held.words()),
    });
    rejoined.exit()
}

/// The rollback of a big transaction is unbounded, and a frozen server thaws when it likes.
fn keep_closing(here: &Here) -> Result<Exit, Failure> {
    let deadline = Deadline::after(KEEP_CLOSING);
    let mut pauses = Pauses::up_to(Duration::from_secs(5));
    loop {
        if here.role() == Some(Role::Master) || (here.role().is_some() && !here.still_wanted()) {
            // Another word of keepalived came; its own program, or the check, does what is right.
            return Ok(Exit::Done);
        }
        match close::close_local(here, "closing goes on", here.config.close.timeout) {
            Ok(_) => return Ok(Exit::Done),
            Err(failure) if !pauses.wait(deadline) => return Err(failure),
            Err(_) => {}
        }
    }
}

fn dry_run(
    here: &Here,
    role: Role,
    overrides: &BTreeSet<Rule>,
    json: bool,
) -> Result<Exit, Failure> {
    if role == Role::Master {
        let (decision, me, _) = promote::decide_only(here, overrides);
        return match decision {
            Decision::Done => {
                print("Open already; nothing to do.\n");
                Ok(Exit::Done)
            }
            Decision::Yield { to } => {
                let mut plan = Plan::to(format!(
                    "close {}: epoch {to} was opened above ours",
                    here.node.name
                ));
                plan.then(Step::Close, "the highest opened epoch wins");
                Ok(show(here, &plan, Some(&me), json))
            }
            Decision::Refuse(refusal) => Err(Failure::Refused(refusal)),
            Decision::Go(plan) => Ok(show(here, &plan, Some(&me), json)),
        };
    }
    let mut plan = Plan::to(format!("close {}", here.node.name));
    plan.then(Step::Close, format!("keepalived says {role}"));
    plan.then(
        Step::RecordPosition,
        "whoever compares the nodes later wants to know where this one stood",
    );
    let me = match rejoin::decide_only(here) {
        Ok((decision, me, _)) => {
            if role == Role::Backup {
                plan_rejoin(&mut plan, decision);
            }
            Some(me)
        }
        Err(failure) => {
            plan.warnings.push(failure.message().error);
            None
        }
    };
    Ok(show(here, &plan, me.as_ref(), json))
}

fn plan_rejoin(plan: &mut Plan, decision: RejoinDecision) {
    match decision {
        RejoinDecision::NoSource => plan
            .warnings
            .push("nobody serves now: nothing would be repointed".into()),
        RejoinDecision::Following { epoch } => plan.warnings.push(format!(
            "follows the node that serves under epoch {epoch} already"
        )),
        RejoinDecision::Hold {
            relation,
            source,
            plan: more,
        } => {
            plan.warnings
                .push(format!("would not follow {source}: {relation}"));
            plan.steps
                .extend(more.into_iter().flat_map(|more| more.steps));
        }
        RejoinDecision::Go { plan: more, .. } => plan.steps.extend(more.steps),
    }
}

fn show(here: &Here, plan: &Plan, me: Option<&NodeView>, json: bool) -> Exit {
    let facts = me.and_then(|me| me.facts.as_ref());
    // Without the server nobody knows its words; those of the newest MariaDB stand for them.
    let dialect = facts.map_or(Dialect::UNKNOWN, |facts| facts.dialect);
    let identity = facts.map_or("", |facts| facts.identity.as_str());
    let shown = render::shown(here, plan, dialect, identity);
    if json {
        print_json(&shown);
    } else {
        print(&render::text(&shown));
    }
    Exit::Done
}
