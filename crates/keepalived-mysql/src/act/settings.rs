//! The steps that set a server up for its role: semi-synchronous replication, events, a standby's durability.
//!
//! Each has a session of its own, so that none of them can spoil the one that opens or repoints, and what
//! fails is tried again by repair.

mod events;

use std::time::Duration;

use crate::act::drain;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::receipt::Receipt;
use crate::act::rejoin::wanted as wanted_still;
use crate::act::servers::SHORT;
use crate::deadline::{Deadline, Pauses};
use crate::decide::Relaxed;
use crate::decide::plan::{Plan, Planned, Step};
use crate::decide::settings::{Settings, Standby};
use crate::node::Contact;
use crate::server::connection::ServerError;
use crate::server::dialect::Dialect;
use crate::switches::reached;
use crate::view::{NodeView, State};

pub use events::look_at_source;

/// A receiver that was restarted negotiates with its source within a round trip, once it is connected.
const NEGOTIATED: Duration = Duration::from_secs(3);

/// What may fail and be tried again, each with a pause of its own.
const KINDS: [&str; 3] = ["semi-sync", "events", "durability"];

/// What the configuration wants, and what this server's events are.
pub fn wanted(here: &Here, me: &NodeView) -> Settings {
    Settings {
        events: events::of(here, me),
        ..configured(here)
    }
}

/// What the configuration wants, as far as no server has to be asked for it.
fn configured(here: &Here) -> Settings {
    Settings {
        semi_sync: here.config.managed_semi_sync(),
        events: None,
        standby: match here.config.demote.relaxed_durability {
            true => Standby::Relaxed,
            false => Standby::AsItIs,
        },
    }
}

/// As [`wanted`], without what failed a moment ago.
pub fn wanted_by_repair(here: &Here, me: &NodeView) -> Settings {
    let [semi_sync, events, durability] = KINDS.map(|kind| here.due(kind));
    let mut settings = configured(here);
    settings.semi_sync = settings.semi_sync.filter(|_| semi_sync);
    if events {
        settings.events = events::of(here, me);
    }
    if !durability {
        settings.standby = Standby::AsItIs;
    }
    settings
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::EnableEvents { .. } | Step::DisableEvents { .. } => "events",
        Step::RelaxDurability | Step::Durability => "durability",
        _ => "semi-sync",
    }
}

/// Runs one of these steps, and keeps repair from trying too often what fails.
pub fn one(here: &Here, step: &Step) -> Result<String, Failure> {
    let result = run(here, step);
    match &result {
        Ok(_) => here.forget_failed(kind(step)),
        Err(_) => here.note_failed(kind(step)),
    }
    result
}

fn run(here: &Here, step: &Step) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server(step.name(), &error);
    let deadline = Deadline::after(SHORT);
    let mut contact = Contact::open(&here.target(&here.node), deadline).map_err(failed)?;
    match step {
        Step::SemiSyncSourceOn { .. }
        | Step::SemiSyncSourceOff { .. }
        | Step::SemiSyncReplicaOn { .. }
        | Step::SemiSyncReplicaOff { .. } => {
            for sql in statements(step, contact.dialect) {
                contact.session.run(&sql, deadline).map_err(failed)?;
            }
            let facts = contact.facts(deadline).map_err(failed)?;
            Ok(facts.semi_sync.told())
        }
        Step::RestartReceiver { channel } => restart_receiver(here, &mut contact, channel),
        Step::EnableEvents { .. } => events::enable(here, &mut contact),
        Step::DisableEvents { .. } => events::disable(here, &mut contact),
        Step::RelaxDurability => relax(here, &mut contact),
        Step::Durability => end_relaxed(here, deadline),
        other => Err(Failure::Failed(format!(
            "{} is no setting of a server",
            other.name()
        ))),
    }
}

/// The statements of a step, as far as they are known without asking the server.
pub fn statements(step: &Step, dialect: Dialect) -> Vec<String> {
    match step {
        Step::SemiSyncSourceOn { words, timeout } => dialect.semi_sync_source_on(*words, *timeout),
        Step::SemiSyncSourceOff { words } => vec![dialect.semi_sync_source_off(*words)],
        Step::SemiSyncReplicaOn { words } => vec![dialect.semi_sync_replica_on(*words)],
        Step::SemiSyncReplicaOff { words } => vec![dialect.semi_sync_replica_off(*words)],
        Step::RestartReceiver { channel } => vec![
            dialect.stop_receiver(channel),
            dialect.start_receiver(channel),
        ],
        Step::EnableEvents { events } | Step::DisableEvents { events } => events
            .iter()
            .map(|event| format!("with the binary log off, ALTER EVENT {event}"))
            .collect(),
        Step::RelaxDurability => relaxing().to_vec(),
        _ => Vec::new(),
    }
}

/// The server itself looks whether it is closed: a statement may wait in a frozen server's socket.
fn relaxing() -> [String; 2] {
    [
        "SET GLOBAL sync_binlog = IF(@@global.read_only, 0, 1)".into(),
        "SET GLOBAL innodb_flush_log_at_trx_commit = IF(@@global.read_only, 2, 1)".into(),
    ]
}

/// Restarted with the applier running, the receiver keeps the relay logs on every server. With both
/// threads stopped MariaDB would throw them away.
fn restart_receiver(here: &Here, contact: &mut Contact, channel: &str) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("restarting the receiver", &error);
    let look = |contact: &mut Contact| {
        drain::look(contact, channel, Deadline::after(SHORT)).map_err(failed)
    };
    if !look(contact)?.status.is_running() {
        return Err(Failure::Failed(
            "replication does not run; its next start takes semi-sync up by itself".into(),
        ));
    }
    let sql = format!(
        "{}; {}",
        contact.dialect.stop_receiver(channel),
        contact.dialect.start_receiver(channel)
    );
    contact
        .session
        .run(&sql, Deadline::after(SHORT * 3))
        .map_err(failed)?;
    let deadline = Deadline::after(NEGOTIATED);
    let mut pauses = Pauses::up_to(Duration::from_millis(50));
    loop {
        wanted_still(here)?;
        let facts = contact.facts(Deadline::after(SHORT)).map_err(failed)?;
        if facts.semi_sync.replica.is_some_and(|side| side.active) {
            return Ok("the source counts this node now".into());
        }
        if !pauses.wait(deadline) {
            return Err(Failure::Failed(
                "the receiver runs and acknowledges nothing; does the source have the semi-sync plugin?".into(),
            ));
        }
    }
}

fn relax(here: &Here, contact: &mut Contact) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("relaxing durability", &error);
    let deadline = Deadline::after(SHORT);
    if !contact.facts(deadline).map_err(failed)?.read_only {
        return Err(Failure::Changed("the server is open".into()));
    }
    if here.memory().relaxed == Relaxed::BeforeThisBoot {
        return Err(Failure::Changed(
            "this standby lost its power while it was relaxed, and has to be rebuilt".into(),
        ));
    }
    here.note_relaxed().map_err(|why| {
        Failure::Failed(format!("relaxed durability cannot be written down: {why}"))
    })?;
    reached("relax-durability.noted");
    for sql in relaxing() {
        contact.session.run(&sql, deadline).map_err(failed)?;
    }
    Ok("sync_binlog = 0, innodb_flush_log_at_trx_commit = 2".into())
}

/// Every commit from now on is durable, and so is every one before.
const DURABLE: &str = "SET GLOBAL sync_binlog = 1; SET GLOBAL innodb_flush_log_at_trx_commit = 1; \
                       FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS, BINARY LOGS";

/// Ends a standby's relaxed durability, if the suite relaxed it, with all that was committed under it.
pub fn end_relaxed(here: &Here, deadline: Deadline) -> Result<String, Failure> {
    if here.memory().relaxed == Relaxed::No {
        return Ok(String::new());
    }
    Contact::open(&here.target(&here.node), deadline)
        .and_then(|mut contact| contact.session.run(DURABLE, deadline))
        .map_err(|error| Failure::server("making every commit durable", &error))?;
    here.forget_relaxed();
    Ok("no longer relaxed; the logs are flushed".into())
}

/// keepalived stops, and its host may be shut down next: a standby whose durability was relaxed must not
/// look like one that lost its power.
pub fn durable_before_stop(here: &Here, deadline: Deadline) {
    if here.memory().relaxed == Relaxed::BeforeThisBoot {
        return;
    }
    match end_relaxed(here, deadline) {
        Ok(note) if note.is_empty() => {}
        Ok(note) => log::info!("this standby is {note}"),
        Err(failure) => log::warn!("this standby's durability stays relaxed: {failure}"),
    }
}

/// What repair found to set.
pub fn set(here: &Here, plan: &Plan) -> Result<(), Failure> {
    let mut receipt = Receipt::begin(here, "settings", plan.goal.clone());
    let mut first = None;
    for Planned { step, why } in &plan.steps {
        // The lock is held meanwhile: a promotion must not wait for settings.
        if let Err(superseded) = wanted_still(here) {
            first.get_or_insert(superseded);
            break;
        }
        log::info!("{}: {why}", step.name());
        reached(&format!("{}.before", step.name()));
        let result = receipt.time(step, || one(here, step).map(|note| ((), note)));
        reached(&format!("{}.after", step.name()));
        if let Err(failure) = result {
            first.get_or_insert(failure);
        }
    }
    match first {
        None => {
            receipt.finish(here, "set");
            Ok(())
        }
        Some(failure) => {
            receipt.finish(here, failure.to_string());
            Err(failure)
        }
    }
}

/// Says what an open server's commits wait for, whenever that changes.
pub fn report_semi_sync(here: &Here, me: &NodeView) {
    let Some(facts) = me.facts.as_ref().filter(|_| me.state == State::Open) else {
        return;
    };
    if here.config.managed_semi_sync().is_none() {
        return;
    }
    let told = facts.semi_sync.told();
    if here.semi_sync_said(&told) {
        return;
    }
    let source = facts.semi_sync.source.as_ref();
    match source.is_some_and(|side| side.degraded()) {
        true => log::warn!("writes are {told}"),
        false => log::info!("writes are {told}"),
    }
}
