//! Stopping replication when its applier does not let go.
//!
//! STOP waits for the transaction that is being applied, and that may wait for a session's lock for
//! ever. Whoever holds the lock goes first; the applier itself only where its work is given up anyway.
//! MySQL from 8.0 on also waits a minute for the rest of a transaction that its dead source has sent
//! in part ("deferring to exit"), although its end never comes: there the applier is ended at once.

use std::time::Duration;

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::servers::{SHORT, disconnect_applications};
use crate::deadline::{Deadline, Pauses};
use crate::node::Contact;
use crate::server::access::kill;
use crate::server::connection::ServerError;

/// An applier that has nothing whole left to apply stops within this, or it waits for what never comes.
const IDLE: Duration = Duration::from_millis(500);

/// Stops both threads of a channel. `proved` says that everything received is applied, so that there is
/// nothing whole that the applier could be interrupted in.
pub fn stop_replication(
    here: &Here,
    contact: &mut Contact,
    channel: &str,
    proved: bool,
) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("stopping replication", &error);
    let sql = contact.dialect.stop_replication(channel);
    let grace = here.config.promote.blocker_grace;
    // Before the STOP: while one is under way MySQL 5.6 answers no question about replication.
    let alone = is_only_channel(contact).map_err(failed)?;
    contact.session.send(&sql).map_err(failed)?;
    if let Some(answer) = answered(contact, if proved { IDLE } else { grace }) {
        return answer.map(|()| String::new()).map_err(failed);
    }
    if proved {
        return end_appliers(here, contact, alone, "");
    }
    let disconnected = disconnect_applications(here, &here.node).map_err(failed)?;
    let note = match disconnected.as_slice() {
        [] => "nobody in the way may be disconnected; ".to_owned(),
        named => format!("disconnected {}; ", named.join(", ")),
    };
    if let Some(answer) = answered(contact, grace) {
        return answer.map(|()| note).map_err(failed);
    }
    end_appliers(here, contact, alone, &note)
}

/// Nothing tells the threads of one channel from those of another, so they may be ended only where
/// there is no other: those are not ours to stop.
fn is_only_channel(contact: &mut Contact) -> Result<bool, ServerError> {
    let channels = contact
        .session
        .rows(contact.dialect.replica_status(), Deadline::after(SHORT))?;
    Ok(channels.len() <= 1)
}

/// Ends the applier's threads, and waits for the STOP that was sent before.
fn end_appliers(
    here: &Here,
    contact: &mut Contact,
    alone: bool,
    note: &str,
) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("stopping replication", &error);
    let killed = if alone {
        kill_appliers(here).map_err(failed)?
    } else {
        log::warn!("there are other replication channels, so no applier is ended");
        0
    };
    match answered(contact, here.config.close.timeout) {
        Some(answer) => answer
            .map(|()| {
                format!("{note}ended {killed} applier threads in the middle of a transaction")
            })
            .map_err(failed),
        None => Err(Failure::Failed(
            "replication does not stop, not even when its applier is ended".into(),
        )),
    }
}

fn answered(contact: &mut Contact, patience: Duration) -> Option<Result<(), ServerError>> {
    let deadline = Deadline::after(patience);
    let mut pauses = Pauses::up_to(Duration::from_millis(20));
    loop {
        if let Some(answer) = contact.session.poll() {
            return Some(answer.map(drop));
        }
        if !pauses.wait(deadline) {
            return None;
        }
    }
}

/// Ends the threads that apply.
fn kill_appliers(here: &Here) -> Result<usize, ServerError> {
    let deadline = Deadline::after(SHORT);
    let mut helper = Contact::open(&here.target(&here.node), deadline)?;
    let rows = helper
        .session
        .rows(&helper.dialect.applier_threads(), deadline)?;
    let mut killed = 0;
    for id in rows.iter().filter_map(|row| row.at(0)?.parse().ok()) {
        match kill(&mut helper, id, deadline) {
            Ok(()) => killed += 1,
            Err(ServerError::Answered { code: 1094, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(killed)
}
