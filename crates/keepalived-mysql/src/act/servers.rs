//! What steps do to servers: writing records past whoever blocks them, fencing, reading positions.

use std::time::Duration;

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::config::Node;
use crate::deadline::{Deadline, Pauses};
use crate::decide::rule::{Refusal, Rule};
use crate::epoch::Epoch;
use crate::gate;
use crate::ledger::record::{Coordinates, PromotionRecord};
use crate::ledger::tables;
use crate::node::{Contact, local_target, peer_target};
use crate::server::access::{self, Ladder, Spared};
use crate::server::connection::{ServerError, Target};

/// A statement of the suite's own takes a millisecond; a server that needs longer is stuck.
pub const SHORT: Duration = Duration::from_secs(3);

/// How long the gate of a server may be held by another program of ours.
const GATE: Duration = Duration::from_secs(2);

impl Here {
    /// How `node` is reached from here.
    pub fn target(&self, node: &Node) -> Target {
        if node.name == self.node.name {
            local_target(&self.config, node)
        } else {
            peer_target(&self.config, node)
        }
    }

    /// The ladder that closes `target`.
    pub fn ladder<'a>(&'a self, target: &'a Target, deadline: Deadline) -> Ladder<'a> {
        Ladder {
            target,
            own_users: self.own_users(),
            exempt_users: &self.config.close.exempt_users,
            disconnect: self.config.close.disconnect,
            deadline,
        }
    }
}

/// Runs `write`; where a session's lock is in the way, names and disconnects the sessions that may
/// hold it after `blocker_grace`, and runs it once more.
///
/// A session that holds a global read lock or a backup lock looks like any sleeping one in the
/// process list, so all that are not exempt go.
fn past_blockers<T>(
    here: &Here,
    node: &Node,
    mut write: impl FnMut(Deadline) -> Result<T, ServerError>,
) -> Result<T, ServerError> {
    let patience = here.config.promote.blocker_grace + Duration::from_millis(100);
    match write(Deadline::after(patience)) {
        Err(error) if blocked(&error) => {
            log::warn!("{}: a lock is in the way: {error}", node.name);
            disconnect_applications(here, node)?;
            write(Deadline::after(SHORT))
        }
        answer => answer,
    }
}

/// 1205: lock wait timeout. A silent server may be one whose write waits for a lock as well.
fn blocked(error: &ServerError) -> bool {
    error.code() == Some(1205) || matches!(error, ServerError::Silent { .. })
}

/// Disconnects every application session of `node` and names them in the log.
pub fn disconnect_applications(here: &Here, node: &Node) -> Result<Vec<String>, ServerError> {
    let target = here.target(node);
    let deadline = Deadline::after(SHORT);
    let mut helper = Contact::open(&target, deadline)?;
    let ladder = here.ladder(&target, deadline);
    let spared = Spared::new(&ladder, [helper.session.connection_id(), 0]);
    let named = access::disconnect(&mut helper, &spared, deadline)?;
    if !named.is_empty() {
        log::warn!("{}: disconnected {}", node.name, named.join(", "));
    }
    Ok(named)
}

/// Raises the fence row of `node` under its gate, and returns whether that server accepts writes.
///
/// Whoever opens holds the gate from the record to the end, so a server that refuses writes now was
/// not opened behind our back, and will not be: the row is above any claim that it could open with.
pub fn raise_fence(here: &Here, node: &Node, epoch: &Epoch) -> Result<bool, Failure> {
    let doing = format!("telling {} of epoch {epoch}", node.name);
    let target = here.target(node);
    let (stands, open) = past_blockers(here, node, |deadline| {
        let mut contact = Contact::open(&target, deadline)?;
        if !gate::take(&mut contact, deadline.at_most(GATE))? {
            return Err(ServerError::Lost {
                endpoint: node.name.clone(),
                detail: "another program holds its gate".into(),
            });
        }
        let stands =
            tables::raise_fence(&mut contact, epoch, &here.node.name, here.program, deadline)?;
        let open = accepts_writes(&mut contact, deadline)?;
        gate::release(&mut contact, deadline)?;
        Ok((stands, open))
    })
    .map_err(|error| Failure::Changed(format!("{doing}: {error}")))?;
    if stands > *epoch {
        return Err(Failure::Refused(Refusal::new(
            Rule::HigherEpoch,
            format!(
                "{} has been told of epoch {stands} by another node meanwhile",
                node.name
            ),
            "the higher claim goes first; check_mysql tries again by itself",
        )));
    }
    Ok(open)
}

fn accepts_writes(contact: &mut Contact, deadline: Deadline) -> Result<bool, ServerError> {
    let rows = contact
        .session
        .rows(contact.dialect.refuses_writes(), deadline)?;
    Ok(rows.first().and_then(|row| row.at(0)) == Some("0"))
}

/// Writes a promotion record into the local server.
pub fn write_record(here: &Here, record: &PromotionRecord) -> Result<(), Failure> {
    let target = here.target(&here.node);
    past_blockers(here, &here.node, |deadline| {
        let mut contact = Contact::open(&target, deadline)?;
        tables::write_record(&mut contact, record, deadline)
    })
    .map_err(|error| {
        Failure::server(
            &format!("writing the record '{}'", record.state.word()),
            &error,
        )
    })
}

/// Closes an open peer: lets it close by itself for `yield_timeout`, then by the ladder and under its
/// gate. Returns where its history ends, and what was done.
pub fn fence_peer(here: &Here, node: &Node) -> Result<(Coordinates, String), Failure> {
    let doing = format!("closing {}", node.name);
    let changed = |error: ServerError| Failure::Changed(format!("{doing}: {error}"));
    let target = here.target(node);
    let mut contact = Contact::open(&target, Deadline::after(SHORT)).map_err(changed)?;
    let note =
        if closes_by_itself(&mut contact, here.config.promote.yield_timeout).map_err(changed)? {
            "it had closed by itself".to_owned()
        } else {
            close_peer(here, node, &target, &mut contact)?
        };
    let deadline = Deadline::after(SHORT);
    let mut facts = contact.facts(deadline).map_err(changed)?;
    facts.binlog_end = contact.binlog_end(deadline).map_err(changed)?;
    Ok((facts.coordinates(), note))
}

fn close_peer(
    here: &Here,
    node: &Node,
    target: &Target,
    contact: &mut Contact,
) -> Result<String, Failure> {
    let doing = format!("closing {}", node.name);
    let changed = |error: ServerError| Failure::Changed(format!("{doing}: {error}"));
    if !gate::take(contact, Deadline::after(GATE)).map_err(changed)? {
        return Err(Failure::Changed(format!(
            "{doing}: another program holds its gate"
        )));
    }
    let deadline = Deadline::after(here.config.close.timeout);
    let closed = access::close(&here.ladder(target, deadline)).map_err(changed)?;
    gate::release(contact, Deadline::after(SHORT)).map_err(changed)?;
    Ok(described(&closed))
}

/// What a closing did, in words.
pub fn described(closed: &access::Closed) -> String {
    match (closed.already, closed.disconnected.len()) {
        (true, _) => "it was closed before".into(),
        (false, 0) => "closed, nobody was in the way".into(),
        (false, count) => format!(
            "closed; disconnected {count}: {}",
            closed.disconnected.join(", ")
        ),
    }
}

fn closes_by_itself(contact: &mut Contact, patience: Duration) -> Result<bool, ServerError> {
    let deadline = Deadline::after(patience);
    let mut pauses = Pauses::up_to(Duration::from_millis(5));
    loop {
        if access::is_closed(contact, Deadline::after(SHORT))? {
            return Ok(true);
        }
        if !pauses.wait(deadline) {
            return Ok(false);
        }
    }
}
