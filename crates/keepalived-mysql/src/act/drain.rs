//! Waiting until everything that was received is applied.

use std::time::{Duration, Instant};

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::servers::{SHORT, disconnect_applications};
use crate::config::OnApplyTimeout;
use crate::deadline::{Deadline, Pauses};
use crate::decide::rule::{Refusal, Rule};
use crate::ledger::record::Coordinates;
use crate::node::Contact;
use crate::replication::evidence::{Drain, LastTransaction, drained, whole_applied};
use crate::replication::gtid::MariadbPosition;
use crate::replication::replica::{Positioning, Receiver, ReplicaStatus};
use crate::server::connection::ServerError;
use crate::server::status::{StatusRow, parse_replica_status};
use crate::view::{NodeView, State};

/// An applier that stands still for this long with the receiver stopped has nothing left to apply.
const STILL: Duration = Duration::from_millis(500);

/// Less than this unapplied is gone in a moment; a busy open source never lets it become nothing.
const NEARLY: u64 = 256 * 1024;

/// How the note of a step begins that went on without the proof, as `on_apply_timeout` says.
pub const FORCED: &str = "FORCED";

/// What a look at a channel shows.
#[derive(Debug, Clone)]
pub struct Look {
    /// The channel.
    pub status: ReplicaStatus,
    /// MariaDB's `@@gtid_slave_pos`, read after the status.
    pub slave_pos: Option<MariadbPosition>,
    /// Whether all parallel workers idle, or there are none.
    workers_idle: bool,
    /// Whether the applier or one of its workers waits for a lock.
    waits_for_lock: bool,
}

/// Reads one channel.
pub fn look(contact: &mut Contact, channel: &str, deadline: Deadline) -> Result<Look, ServerError> {
    let lost = |detail: String| ServerError::Lost {
        endpoint: "the local server".into(),
        detail,
    };
    // The order matters: a position read before the status could be behind it.
    let dialect = &contact.dialect;
    let sql = [
        dialect.replica_status(),
        dialect.applied_position(),
        &dialect.busy_appliers(),
        &dialect.appliers_waiting_for_locks(),
    ]
    .join("; ");
    let answers = contact.session.run(&sql, deadline)?;
    let mut found = None;
    for row in answers
        .first()
        .map(|answer| answer.rows.as_slice())
        .unwrap_or_default()
    {
        let status = parse_replica_status(&StatusRow::from_iter(row.columns()))
            .map_err(|e| lost(e.to_string()))?;
        if status.channel == channel {
            found = Some(status);
        }
    }
    let cell = |index: usize| {
        answers
            .get(index)
            .and_then(|a| a.rows.first())
            .and_then(|row| row.at(0))
    };
    Ok(Look {
        status: found
            .ok_or_else(|| lost(format!("the replication channel '{channel}' is gone")))?,
        slave_pos: cell(1)
            .map(str::parse)
            .transpose()
            .map_err(|e: crate::replication::gtid::GtidError| lost(e.to_string()))?,
        workers_idle: cell(2) == Some("0"),
        waits_for_lock: cell(3).is_some_and(|count| count != "0"),
    })
}

/// Starts an applier that was stopped without an error, if there is something left for it.
///
/// On MariaDB with GTID the start of a thread purges the relay logs if the other one is stopped too,
/// with everything received and not applied in them (tried on 10.11: five received transactions
/// gone), so then it is refused. By file and offset the relay logs stay.
pub fn start_applier(contact: &mut Contact, seen: &Look) -> Result<(), Failure> {
    if seen.status.applier_running {
        return Ok(());
    }
    let nothing_left = seen.status.received == seen.status.applied
        || whole_applied(&seen.status, seen.slave_pos.as_ref());
    let purges = seen.status.positioning != Positioning::FileAndOffset;
    match (seen.status.receiver, nothing_left) {
        (Receiver::Stopped, true) => return Ok(()),
        (Receiver::Stopped, false) if purges => {
            return Err(Failure::Refused(Refusal::new(
                Rule::BrokenApplier,
                "both replication threads are stopped with transactions received and not applied; starting them could throw those away",
                "start the receiver first if the source lives, or keep the relay logs and apply them by hand",
            )));
        }
        // A receiver that runs may bring more at any moment.
        _ => {}
    }
    let sql = contact.dialect.start_applier(&seen.status.channel);
    contact
        .session
        .run(&sql, Deadline::after(SHORT))
        .map(drop)
        .map_err(|error| Failure::server("starting the applier", &error))
}

/// Waits for the applier: its progress, its blockers, its patience.
struct Waiting<'a> {
    here: &'a Here,
    contact: &'a mut Contact,
    channel: &'a str,
    patience: Deadline,
    last_progress: Instant,
    unblocked: Instant,
    alerted: bool,
    before: Option<Look>,
}

impl<'a> Waiting<'a> {
    fn new(here: &'a Here, contact: &'a mut Contact, channel: &'a str) -> Self {
        Self {
            here,
            contact,
            channel,
            patience: Deadline::after(here.config.promote.apply_timeout),
            last_progress: Instant::now(),
            unblocked: Instant::now(),
            alerted: false,
            before: None,
        }
    }

    /// Looks until `enough` is content. It gets the look, the one before, and for how long nothing
    /// has moved.
    fn until(
        &mut self,
        mut enough: impl FnMut(&Look, Option<&Look>, Duration) -> Result<Option<String>, Failure>,
    ) -> Result<String, Failure> {
        let mut pauses = Pauses::up_to(Duration::from_millis(50));
        loop {
            let now = look(self.contact, self.channel, Deadline::after(SHORT))
                .map_err(|error| Failure::server("looking at replication", &error))?;
            let moved = self.before.as_ref().is_none_or(|before| {
                before.status.applied != now.status.applied || before.slave_pos != now.slave_pos
            });
            if moved {
                self.last_progress = Instant::now();
            }
            if let Some(note) = enough(&now, self.before.as_ref(), self.last_progress.elapsed())? {
                return Ok(note);
            }
            self.unblock(&now)?;
            if let Some(note) = self.out_of_patience(&now)? {
                return Ok(note);
            }
            self.before = Some(now);
            if !self.here.still_wanted() {
                return Err(Failure::Superseded);
            }
            if crate::sys::terminated() {
                return Err(Failure::Terminated);
            }
            pauses.wait(Deadline::after(SHORT));
        }
    }

    /// An applier that makes no progress although there is something to apply may wait for a
    /// session's lock: a backup, FLUSH TABLES WITH READ LOCK, LOCK TABLES.
    fn unblock(&mut self, now: &Look) -> Result<(), Failure> {
        let grace = self.here.config.promote.blocker_grace;
        let stuck = self.last_progress.elapsed() >= grace && self.unblocked.elapsed() >= grace;
        if !stuck || !now.waits_for_lock {
            return Ok(());
        }
        self.unblocked = Instant::now();
        log::warn!(
            "the applier has waited for a lock: {}",
            now.status.applier_state
        );
        disconnect_applications(self.here, &self.here.node)
            .map(drop)
            .map_err(|error| Failure::server("disconnecting whoever blocks the applier", &error))
    }

    fn out_of_patience(&mut self, now: &Look) -> Result<Option<String>, Failure> {
        if !self.patience.expired() {
            return Ok(None);
        }
        let left = now
            .status
            .received
            .as_ref()
            .zip(now.status.applied.as_ref())
            .and_then(|(received, applied)| received.bytes_since(applied));
        let state = format!(
            "after {:?} not everything received is applied ({} bytes left, the applier says {:?})",
            self.here.config.promote.apply_timeout,
            left.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string()),
            now.status.applier_state
        );
        match self.here.config.promote.on_apply_timeout {
            OnApplyTimeout::Wait => {
                if !self.alerted {
                    log::error!("{state}; still waiting (on_apply_timeout = \"wait\")");
                    self.alerted = true;
                }
                Ok(None)
            }
            OnApplyTimeout::Promote => {
                log::error!("{state}; going on without it (on_apply_timeout = \"promote\")");
                Ok(Some(format!("{FORCED}: {state}")))
            }
            OnApplyTimeout::Refuse => Err(Failure::Refused(Refusal::new(
                Rule::Drain,
                state,
                "wait for the applier, or set [promote] on_apply_timeout",
            ))),
        }
    }
}

/// Waits until nearly everything received is applied, while the source may go on sending.
pub fn nearly_applied(
    here: &Here,
    contact: &mut Contact,
    channel: &str,
) -> Result<String, Failure> {
    let seen = look(contact, channel, Deadline::after(SHORT))
        .map_err(|e| Failure::server("looking at replication", &e))?;
    start_applier(contact, &seen)?;
    Waiting::new(here, contact, channel).until(|now, _, _| {
        if let Some(error) = &now.status.applier_error {
            return Err(broken(error));
        }
        if whole_applied(&now.status, now.slave_pos.as_ref()) {
            return Ok(Some("everything that came whole is applied".into()));
        }
        let (Some(received), Some(applied)) = (&now.status.received, &now.status.applied) else {
            return Ok(Some("nothing was ever received".into()));
        };
        if now.status.receiver != Receiver::Running {
            // Nothing more comes, and a source that died while sending left a tail that is never
            // applied; the proof, with the receiver stopped, tells the one from the other.
            return Ok(Some("the source is gone".into()));
        }
        let left = received.bytes_since(applied);
        Ok(
            (received <= applied || left.is_some_and(|bytes| bytes <= NEARLY))
                .then(|| format!("{} bytes left", left.unwrap_or(0))),
        )
    })
}

fn broken(error: &crate::replication::replica::ReplicationError) -> Failure {
    Failure::Refused(Refusal::new(
        Rule::BrokenApplier,
        format!("replication stopped with {error}"),
        "mend the replica; until then what it received cannot be applied and would be lost",
    ))
}

/// Waits until everything up to `end`, where the closed `source`'s history ends, is received and applied.
pub fn caught_up(
    here: &Here,
    contact: &mut Contact,
    channel: &str,
    end: &Coordinates,
    source: impl Fn() -> NodeView,
) -> Result<String, Failure> {
    let seen = look(contact, channel, Deadline::after(SHORT))
        .map_err(|e| Failure::server("looking at replication", &e))?;
    start_applier(contact, &seen)?;
    start_stopped_threads(contact, &seen)?;
    let mut asked = Instant::now();
    let patience = here.config.promote.apply_timeout;
    let mut received = seen.status.received;
    let mut came = Instant::now();
    Waiting::new(here, contact, channel).until(|now, _, still| {
        if let Some(error) = &now.status.applier_error {
            return Err(broken(error));
        }
        if now.status.received != received {
            received.clone_from(&now.status.received);
            came = Instant::now();
        }
        if covers(now, end) {
            return Ok(Some("everything the source has is applied".into()));
        }
        if let (Receiver::Stopped, Some(error)) = (now.status.receiver, &now.status.receiver_error)
        {
            return Err(hand_back(&format!("the source refuses this node: {error}")));
        }
        let nothing_left = now.status.received == now.status.applied;
        if nothing_left && still >= patience && came.elapsed() >= patience {
            return Err(hand_back(&format!(
                "nothing has come from the closed source for {patience:?}"
            )));
        }
        if asked.elapsed() > Duration::from_millis(250) && now.status.receiver != Receiver::Running
        {
            asked = Instant::now();
            let view = source();
            if !matches!(view.state, State::Open | State::Closed) {
                return Err(Failure::Changed(format!(
                    "{} went away while its last transactions were fetched: {}",
                    view.name, view.why
                )));
            }
        }
        Ok(None)
    })
}

/// The source is alive and complete: better it serves again than that its last transactions are lost.
fn hand_back(why: &str) -> Failure {
    Failure::Refused(Refusal::new(
        Rule::Drain,
        format!("the last transactions of the closed source cannot be fetched: {why}"),
        "the source may serve again; mend replication before this node is to take over",
    ))
}

/// Starts what does not run, where everything received is applied, so that nothing can be purged.
fn start_stopped_threads(contact: &mut Contact, seen: &Look) -> Result<(), Failure> {
    let (channel, status) = (&seen.status.channel, &seen.status);
    if status.receiver != Receiver::Stopped && status.applier_running {
        return Ok(());
    }
    let sql = if status.applier_running {
        contact.dialect.start_receiver(channel)
    } else if status.receiver == Receiver::Stopped {
        contact.dialect.start_replication(channel)
    } else {
        contact.dialect.start_applier(channel)
    };
    contact
        .session
        .run(&sql, Deadline::after(SHORT))
        .map(drop)
        .map_err(|error| Failure::server("starting replication", &error))
}

/// Whether what is applied reaches `end`.
fn covers(now: &Look, end: &Coordinates) -> bool {
    let by_gtid = now.status.positioning != Positioning::FileAndOffset;
    if by_gtid {
        if let (Some(here), Some(there)) = (&now.slave_pos, &end.mariadb) {
            return here.covers(there);
        }
        if let (Some(here), Some(there)) = (&now.status.executed_mysql, &end.mysql) {
            return here.contains(there);
        }
    }
    match (&now.status.applied, &end.position) {
        (Some(here), Some(there)) => here >= there,
        _ => false,
    }
}

/// Stops the receiver and sees to it that it has stopped.
pub fn stop_receiver(here: &Here, contact: &mut Contact, channel: &str) -> Result<String, Failure> {
    let failed = |error: &ServerError| Failure::server("stopping the receiver", error);
    let sql = contact.dialect.stop_receiver(channel);
    contact
        .session
        .run(&sql, Deadline::after(here.config.close.timeout))
        .map_err(|e| failed(&e))?;
    let seen = look(contact, channel, Deadline::after(SHORT)).map_err(|e| failed(&e))?;
    if seen.status.receiver == Receiver::Stopped {
        Ok(String::new())
    } else {
        Err(Failure::Failed(
            "the receiver runs on although it was stopped".into(),
        ))
    }
}

/// Proves that everything received is applied. Returns the last look.
pub fn prove_applied(
    here: &Here,
    contact: &mut Contact,
    channel: &str,
) -> Result<(Look, String), Failure> {
    let mut last = None;
    let note = Waiting::new(here, contact, channel).until(|now, before, still| {
        last = Some(now.clone());
        let sign = LastTransaction::MayBePartial {
            workers_idle: now.workers_idle,
        };
        match drained(
            &now.status,
            before.map(|look| &look.status),
            now.slave_pos.as_ref(),
            sign,
        ) {
            Drain::Complete => Ok(Some("everything received is applied".into())),
            Drain::PartialTail { what, .. } if still >= STILL => Ok(Some(format!(
                "the source died while sending; what came whole is applied ({what})"
            ))),
            Drain::PartialTail { .. } | Drain::Pending { .. } => Ok(None),
            Drain::Impossible { why } => Err(Failure::Refused(Refusal::new(
                Rule::BrokenApplier,
                why,
                "mend the replica; until then what it received cannot be applied and would be lost",
            ))),
        }
    })?;
    let look = last.ok_or_else(|| Failure::Failed("replication was never looked at".into()))?;
    Ok((look, note))
}
