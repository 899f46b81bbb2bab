//! Following the node that serves: finds it, vets this node against it, repoints and verifies.

mod hold;

use std::time::{Duration, Instant};

use crate::act::drain;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::promote::observe;
use crate::act::receipt::Receipt;
use crate::act::servers::SHORT;
use crate::act::settings;
use crate::cli::Exit;
use crate::config::Node;
use crate::deadline::{Deadline, Pauses};
use crate::decide::plan::{Plan, Step};
use crate::decide::rejoin::{self, Decision, Input, names_own_transactions, question};
use crate::epoch::Epoch;
use crate::ledger::record::Method;
use crate::node::Contact;
use crate::replication::evidence::{BinlogEventSummary, Relation};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::Receiver;
use crate::server::connection::ServerError;
use crate::server::dialect::{Dialect, Source, Start};
use crate::server::source_tls::{Offered, SourceTls};
use crate::server::tls::Encryption;
use crate::switches::reached;
use crate::view::NodeView;

pub use hold::Held;
use hold::hold;

/// More own events than this are not read; that it diverged is clear long before.
const MOST_EVENTS: u32 = 20_000;

/// How long both threads may take to run.
const VERIFY: Duration = Duration::from_secs(10);

/// A receiver shows "Yes" for a moment before the source refuses it, so it must go on running.
const STEADY: Duration = Duration::from_millis(250);

/// What came of a rejoin.
#[derive(Debug, Clone, PartialEq)]
pub enum Rejoined {
    /// Nobody serves; nothing was touched.
    NoSource,
    /// It followed the right source before.
    Following,
    /// It follows now.
    Repointed,
    /// It stays closed and follows nobody.
    Held(Held),
}

impl Rejoined {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Held(held) => match (&held.relation, &held.salvaged) {
                (Relation::Diverged { .. }, Some(_)) => Exit::Diverged,
                (Relation::Diverged { .. }, None) => Exit::Incomplete,
                _ => Exit::Refused,
            },
            _ => Exit::Done,
        }
    }
}

/// What a rejoin would do now, without doing it.
pub fn decide_only(here: &Here) -> Result<(Decision, NodeView, Vec<NodeView>), Failure> {
    let (me, contact, peers) = observe(here);
    let mut contact = contact.ok_or_else(|| Failure::NoServer(me.why.clone()))?;
    let decision = decision(here, &mut contact, &me, &peers)?;
    Ok((decision, me, peers))
}

/// Follows the open peer, if there is one. The caller holds the transition lock and has closed this node.
pub fn rejoin(here: &Here) -> Result<Rejoined, Failure> {
    let (me, contact, peers) = observe(here);
    here.remember_epochs([&me].into_iter().chain(&peers));
    let mut contact = contact.ok_or_else(|| Failure::NoServer(me.why.clone()))?;
    match decision(here, &mut contact, &me, &peers)? {
        Decision::NoSource => Ok(Rejoined::NoSource),
        Decision::Following { epoch } => {
            if let (Some(_), Some(channel)) = (here.memory().diverged, me.channel_from(&peers)) {
                // A mark is not taken away because of one look at threads that have just started.
                verify(
                    here,
                    &mut contact,
                    &channel.channel,
                    &epoch,
                    &channel.source_host,
                )?;
            }
            here.remember_following(&epoch);
            Ok(Rejoined::Following)
        }
        Decision::Hold {
            relation,
            source,
            plan,
        } => hold(here, &mut contact, &me, relation, &source, plan.as_ref()).map(Rejoined::Held),
        Decision::Go { plan, .. } => execute(here, contact, &plan),
    }
}

fn decision(
    here: &Here,
    contact: &mut Contact,
    me: &NodeView,
    peers: &[NodeView],
) -> Result<Decision, Failure> {
    let memory = here.memory();
    let wish = here.config.replication.positioning;
    let events = question(me, peers, &memory, wish)
        .map(|from| events_after(contact, &from))
        .transpose()
        .map_err(|error| Failure::server("reading this node's own binary log", &error));
    // A log that cannot be read proves nothing; the decision says so in its own words.
    let events = events.unwrap_or_else(|failure| {
        log::warn!("{failure}");
        None
    });
    Ok(rejoin::rejoin(&Input {
        me,
        peers,
        memory: &memory,
        wish,
        boot_id: &here.boot_id,
        events: events.as_deref(),
        settings: &settings::wanted(here, me),
    }))
}

/// The events of this node's own binary log from `from` to its end, across files.
fn events_after(
    contact: &mut Contact,
    from: &BinlogPosition,
) -> Result<Vec<BinlogEventSummary>, ServerError> {
    let deadline = Deadline::after(SHORT * 3);
    let files = contact
        .session
        .rows(contact.dialect.binlog_files(), deadline)?;
    let mut events = Vec::new();
    for file in files.iter().filter_map(|row| row.at(0)) {
        let start = BinlogPosition {
            file: file.to_owned(),
            offset: 4,
        };
        let start = match file == from.file {
            true => from.clone(),
            false if start > *from => start,
            false => continue,
        };
        let sql = contact.dialect.binlog_events(&start, MOST_EVENTS);
        for row in contact.session.rows(&sql, deadline)? {
            events.push(BinlogEventSummary {
                event_type: row.get("Event_type").unwrap_or_default().to_owned(),
                server_id: row
                    .get("Server_id")
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0),
                end_offset: row
                    .get("End_log_pos")
                    .and_then(|at| at.parse().ok())
                    .unwrap_or(0),
                info: row.get("Info").unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(events)
}

fn execute(here: &Here, mut contact: Contact, plan: &Plan) -> Result<Rejoined, Failure> {
    let mut receipt = Receipt::begin(here, "rejoin", plan.goal.clone());
    for warning in &plan.warnings {
        log::warn!("{warning}");
    }
    receipt.warnings.clone_from(&plan.warnings);
    for planned in &plan.steps {
        let step = &planned.step;
        reached(&format!("{}.before", step.name()));
        let result = wanted(here).and_then(|()| {
            receipt.time(step, || {
                one(here, &mut contact, step).map(|note| ((), note))
            })
        });
        reached(&format!("{}.after", step.name()));
        match result {
            Err(failure) if step.is_setting() => {
                receipt
                    .warnings
                    .push(format!("{} is left to repair: {failure}", step.name()));
            }
            Err(failure) => {
                receipt.finish(here, failure.to_string());
                return Err(failure);
            }
            Ok(()) => {}
        }
    }
    receipt.finish(here, "following");
    Ok(Rejoined::Repointed)
}

/// Fails once this program is superseded or told to end.
pub(super) fn wanted(here: &Here) -> Result<(), Failure> {
    if !here.still_wanted() {
        return Err(Failure::Superseded);
    }
    if crate::sys::terminated() {
        return Err(Failure::Terminated);
    }
    Ok(())
}

fn one(here: &Here, contact: &mut Contact, step: &Step) -> Result<String, Failure> {
    let mut run = |doing: &str, sql: &str, patience: Duration| {
        contact
            .session
            .run(sql, Deadline::after(patience))
            .map(|_| String::new())
            .map_err(|error| Failure::server(doing, &error))
    };
    match step {
        Step::SaveChannel { channel } => save_channel(here, contact, channel),
        Step::StopReplication { channel } => {
            let sql = contact.dialect.stop_replication(channel);
            run("stopping replication", &sql, here.config.close.timeout)
        }
        Step::Repoint { epoch, .. } => {
            here.forget_in_sync();
            for sql in repoint_sql(here, contact.dialect, step)? {
                contact
                    .session
                    .run(&sql, Deadline::after(SHORT))
                    .map_err(|error| Failure::server("pointing at the new source", &error))?;
            }
            here.remember_pointed(epoch).map_err(|why| {
                Failure::Failed(format!(
                    "whom this node follows cannot be written down: {why}"
                ))
            })?;
            Ok(String::new())
        }
        Step::StartReplication { channel } => {
            let sql = contact.dialect.start_replication(channel);
            run("starting replication", &sql, SHORT)
        }
        Step::VerifyReplication {
            channel,
            epoch,
            node,
        } => verify(here, contact, channel, epoch, node),
        setting if setting.is_setting() => settings::one(here, setting),
        other => Err(Failure::Failed(format!(
            "{} is no step of a rejoin",
            other.name()
        ))),
    }
}

/// The statements that point this node at its new source, passwords included.
pub fn repoint_sql(here: &Here, dialect: Dialect, step: &Step) -> Result<Vec<String>, Failure> {
    let Step::Repoint {
        node,
        channel,
        method,
        start,
        ..
    } = step
    else {
        return Ok(Vec::new());
    };
    let source = here
        .peer(node)
        .ok_or_else(|| Failure::Failed(format!("no node {node} in the configuration")))?;
    let replication = &here.config.replication;
    let account = &here.config.accounts.replication;
    let start = match (method, start) {
        (Method::Position, Some(position)) => Start::Position(position.clone()),
        _ => Start::Gtid,
    };
    let mut statements = vec![dialect.set_net_timeout(replication.net_timeout.as_secs().max(1))];
    statements.extend(
        dialect.change_source(
            channel,
            &Source {
                host: &source.address.to_string(),
                port: source.port,
                user: here.config.replication_user(source),
                password: account
                    .password
                    .as_ref()
                    .map_or("", |secret| secret.expose()),
                connect_retry: replication.connect_retry.as_secs().max(1),
                retry_count: replication.retry_count,
                heartbeat: replication.heartbeat.as_secs_f64(),
                tls: SourceTls::new(&here.config.tls, offered_by(here, source)),
                start,
            },
        ),
    );
    Ok(statements)
}

/// Looking at the source came before, and found out.
fn offered_by(here: &Here, source: &Node) -> Offered {
    let known_missing = Encryption::of(&here.config, source)
        .is_some_and(|encryption| encryption.is_known_missing());
    if known_missing {
        Offered::Nothing
    } else {
        Offered::Tls
    }
}

fn save_channel(here: &Here, contact: &mut Contact, channel: &str) -> Result<String, Failure> {
    let look = drain::look(contact, channel, Deadline::after(SHORT))
        .map_err(|e| Failure::server("looking at replication", &e))?;
    here.keep_channel(&look.status);
    Ok(String::new())
}

/// Waits until both threads run. A receiver that the source refuses says so within a round trip.
fn verify(
    here: &Here,
    contact: &mut Contact,
    channel: &str,
    epoch: &Epoch,
    source: &str,
) -> Result<String, Failure> {
    let deadline = Deadline::after(VERIFY);
    let mut pauses = Pauses::up_to(Duration::from_millis(50));
    let mut running_since = None;
    loop {
        let seen = drain::look(contact, channel, Deadline::after(SHORT))
            .map_err(|error| Failure::server("looking at replication", &error))?;
        let status = &seen.status;
        if !status.is_running() {
            running_since = None;
        } else if running_since.get_or_insert_with(Instant::now).elapsed() >= STEADY {
            here.remember_following(epoch);
            return Ok(format!(
                "both threads run; {} s behind",
                status.seconds_behind.unwrap_or(0)
            ));
        }
        if let Some(error) = &status.applier_error {
            return Err(Failure::Failed(format!(
                "applying what {source} sends failed with {error}"
            )));
        }
        if let (Receiver::Stopped, Some(error)) = (status.receiver, &status.receiver_error) {
            if names_own_transactions(&error.message) {
                here.remember_diverged(&format!("{source} refuses this node: {error}"), None);
            }
            return Err(Failure::Failed(format!(
                "{source} refuses this node: {error}"
            )));
        }
        wanted(here)?;
        if !pauses.wait(deadline) {
            let error = status
                .receiver_error
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            return Err(Failure::Failed(format!(
                "replication from {source} does not run after {VERIFY:?} {error}"
            )));
        }
    }
}
