//! Events: which ran on the serving node, and turning them on and off here.

use std::time::Duration;

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::rejoin::wanted;
use crate::act::servers::SHORT;
use crate::deadline::Deadline;
use crate::decide::settings::Events;
use crate::ledger::tables;
use crate::node::Contact;
use crate::replication::events::{Event, running};
use crate::server::connection::ServerError;
use crate::server::dialect::events::{Turn, event};
use crate::view::{NodeView, State};

/// How often a standby asks which events run on the node that serves.
const LOOK: Duration = Duration::from_secs(5);

fn read(contact: &mut Contact) -> Result<Vec<Event>, ServerError> {
    let sql = contact.dialect.events();
    let rows = contact.session.rows(sql, Deadline::after(SHORT))?;
    Ok(rows.iter().filter_map(event).collect())
}

/// This server's events, where the configuration wants them looked after and they can be read.
pub(super) fn of(here: &Here, me: &NodeView) -> Option<Events> {
    if !here.config.promote.enable_events || !me.answers() {
        return None;
    }
    let target = here.target(&here.node);
    let own = Contact::open(&target, Deadline::after(SHORT)).and_then(|mut c| read(&mut c));
    match own {
        Ok(own) => Some(Events {
            own,
            known: here.known_events(),
        }),
        Err(error) => {
            log::warn!("the events cannot be read: {error}");
            None
        }
    }
}

/// A standby notes now and then which events run on the node that serves: once that is gone, its
/// own server could not tell them from those that were disabled on purpose.
pub fn look_at_source(here: &Here, me: &NodeView, peers: &[NodeView]) {
    if !here.config.promote.enable_events || me.state != State::Closed {
        return;
    }
    let source = peers.iter().find(|peer| {
        let followed = me.channel_from(std::slice::from_ref(*peer)).is_some();
        peer.state == State::Open && followed
    });
    let Some(node) = source.and_then(|peer| here.peer(&peer.name)) else {
        return;
    };
    if !here.events_look_due(LOOK) {
        return;
    }
    let patience = Deadline::after(here.config.promote.peer_timeout);
    let seen = Contact::open(&here.target(node), patience).and_then(|mut c| read(&mut c));
    let known = here.known_events();
    let kept = seen.map_err(|error| error.to_string()).and_then(|source| {
        // An account without EVENT sees none, and no error tells that.
        if source.is_empty() {
            return Ok(());
        }
        here.keep_known_events(&known.after_looking_at(&source))
    });
    if let Err(why) = kept {
        log::warn!("which events run on {} is not noted: {why}", node.name);
    }
}

/// Enables the events that ran on the node that served before. Those that nobody saw run stay as they are.
pub(super) fn enable(here: &Here, contact: &mut Contact) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("reading the events", &error);
    if contact
        .facts(Deadline::after(SHORT))
        .map_err(failed)?
        .read_only
    {
        return Err(Failure::Changed("the server is closed".into()));
    }
    let own = read(contact).map_err(failed)?;
    let mut known = here.known_events();
    let (mut enabled, mut refused) = (Vec::new(), Vec::new());
    for event in known.to_enable(&own) {
        wanted(here)?;
        match turn(contact, event, Turn::On) {
            Ok(()) => enabled.push(event.name.clone()),
            Err(why) => refused.push(format!("{}: {why}", event.name)),
        }
    }
    let left = known.to_leave(&own).len();
    // From here on this server is the one that knows. What could not be enabled is tried again.
    known.enabled.retain(|name| {
        let here = own.iter().any(|event| event.name == *name);
        here && !enabled.contains(name)
    });
    here.keep_known_events(&known).map_err(Failure::Failed)?;
    let names: Vec<String> = enabled.iter().map(ToString::to_string).collect();
    let mut note = format!("enabled {}: {}", names.len(), names.join(", "));
    if left > 0 {
        note.push_str(&format!("; {left} stay disabled: nobody saw them run"));
    }
    result(note, &refused)
}

/// Disables this server's events as replication would have, with the binary log off. Which ones ran is
/// written down first.
pub(super) fn disable(here: &Here, contact: &mut Contact) -> Result<String, Failure> {
    let failed = |error: ServerError| Failure::server("reading the events", &error);
    if !contact
        .facts(Deadline::after(SHORT))
        .map_err(failed)?
        .read_only
    {
        return Err(Failure::Changed("the server is open".into()));
    }
    let own = read(contact).map_err(failed)?;
    let known = here.known_events().with_own(&own);
    here.keep_known_events(&known).map_err(Failure::Failed)?;
    let (mut disabled, mut refused) = (Vec::new(), Vec::new());
    for event in running(&own) {
        wanted(here)?;
        match turn(contact, event, Turn::Off) {
            Ok(()) => disabled.push(event.name.to_string()),
            Err(why) => refused.push(format!("{}: {why}", event.name)),
        }
    }
    let note = format!("disabled {}: {}", disabled.len(), disabled.join(", "));
    result(note, &refused)
}

fn result(note: String, refused: &[String]) -> Result<String, Failure> {
    match refused {
        [] => Ok(note),
        some => Err(Failure::Failed(format!("{note}; not {}", some.join("; ")))),
    }
}

/// Under `super_read_only` nobody alters an event (error 1290), so it is lifted to `read_only`; if this program
/// is killed before it is set again, the next check does it.
fn turn(contact: &mut Contact, event: &Event, turn: Turn) -> Result<(), String> {
    let deadline = Deadline::after(SHORT);
    let statements = contact.dialect.turn_event(event, turn)?;
    let run = |contact: &mut Contact, sql: &str| {
        let done = contact.session.run(sql, deadline);
        done.map(drop).map_err(|error| error.to_string())
    };
    run(
        contact,
        "SET SESSION sql_log_bin = 0, SESSION lock_wait_timeout = 2",
    )?;
    let lifted = match turn {
        Turn::On => false,
        Turn::Off => tables::lift(contact, deadline).map_err(|error| error.to_string())?,
    };
    let turned = statements.iter().try_for_each(|sql| run(contact, sql));
    if lifted {
        tables::restore(contact, Deadline::after(SHORT)).map_err(|error| error.to_string())?;
    }
    turned
}
