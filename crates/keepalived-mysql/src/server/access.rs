//! Closing a server: the ladder.
//!
//! One session sets `read_only` with a `lock_wait_timeout` of its own, because a client that gives
//! up does not cancel the statement: it stays queued and flips the variable later. While it waits no
//! new write can start. A second session meanwhile disconnects application sessions until the
//! first one returns.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::config::Disconnect;
use crate::deadline::{Deadline, Pauses};
use crate::ledger::tables::{self, whole_seconds};
use crate::node::Contact;
use crate::server::connection::{Row, ServerError, Target};

/// A setter that needs no more than this met nobody in its way.
const UNDISTURBED: Duration = Duration::from_millis(40);

/// What a question about sessions may take beyond the deadline of the closing.
const ANSWER: Duration = Duration::from_millis(60);

/// What was switched off for the closing is switched on again, even when its deadline is near.
const RESTORE: Duration = Duration::from_millis(500);

/// How a server is to be closed.
#[derive(Debug, Clone)]
pub struct Ladder<'a> {
    /// Where it is.
    pub target: &'a Target,
    /// The suite's own accounts, whose sessions stay.
    pub own_users: [&'a str; 2],
    /// Accounts whose sessions stay as well.
    pub exempt_users: &'a [String],
    /// Which sessions may be disconnected.
    pub disconnect: Disconnect,
    /// When to give up.
    pub deadline: Deadline,
}

/// What closing took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// It was closed before.
    pub already: bool,
    /// Sessions that were disconnected, by number, user and host.
    pub disconnected: Vec<String>,
}

/// Closes the server and reads it back.
///
/// Errors: the server's own; [`ServerError::Silent`] if the deadline passed first. Then the setter has
/// been killed if the server still listened to us, and may otherwise take effect later, which closes.
pub fn close(ladder: &Ladder<'_>) -> Result<Closed, ServerError> {
    let mut setter = Contact::open(ladder.target, ladder.deadline)?;
    if is_closed(&mut setter, ladder.deadline)? {
        return Ok(Closed {
            already: true,
            ..Closed::default()
        });
    }
    if refuses_applications(&mut setter, ladder.deadline)? {
        return tighten(ladder, &mut setter);
    }
    let closing = format!(
        "SET SESSION lock_wait_timeout = {}; {}",
        whole_seconds(ladder.deadline.remaining()),
        setter.dialect.close()
    );
    setter.session.send(&closing)?;
    let disconnected = match wait_for(&mut setter, ladder.deadline.at_most(UNDISTURBED)) {
        Some(answer) => {
            answer?;
            Vec::new()
        }
        None => clear_the_way(ladder, &mut setter)?,
    };
    if !is_closed(&mut setter, ladder.deadline)? {
        return Err(ServerError::Lost {
            endpoint: ladder.target.endpoint.to_string(),
            detail: "closed, and open again when read back: somebody else opens it".into(),
        });
    }
    Ok(Closed {
        already: false,
        disconnected,
    })
}

/// Whether the server refuses application writes as far as its version can.
pub fn is_closed(contact: &mut Contact, deadline: Deadline) -> Result<bool, ServerError> {
    let rows = contact
        .session
        .rows(contact.dialect.is_closed(), deadline)?;
    Ok(rows.first().and_then(|row| row.at(0)) == Some("1"))
}

/// Whether ordinary accounts cannot write, although the strictest switch may be off.
fn refuses_applications(contact: &mut Contact, deadline: Deadline) -> Result<bool, ServerError> {
    let rows = contact
        .session
        .rows(contact.dialect.refuses_writes(), deadline)?;
    Ok(rows.first().and_then(|row| row.at(0)) == Some("1"))
}

/// Nobody is disconnected for the strictest switch alone: readers would go for nothing.
fn tighten(ladder: &Ladder<'_>, setter: &mut Contact) -> Result<Closed, ServerError> {
    tables::restore(setter, ladder.deadline)?;
    Ok(Closed {
        already: true,
        ..Closed::default()
    })
}

type Finished = Option<Result<(), ServerError>>;

fn wait_for(setter: &mut Contact, deadline: Deadline) -> Finished {
    let mut pauses = Pauses::up_to(Duration::from_millis(5));
    loop {
        if let Some(answer) = setter.session.poll() {
            return Some(answer.map(drop));
        }
        if !pauses.wait(deadline) {
            return None;
        }
    }
}

fn clear_the_way(ladder: &Ladder<'_>, setter: &mut Contact) -> Result<Vec<String>, ServerError> {
    let mut helper = Contact::open(ladder.target, ladder.deadline)?;
    let mut released = Vec::new();
    let result = disconnect_until_set(ladder, setter, &mut helper, &mut released);
    // However it ended: a server that opens again must not acknowledge what only it has.
    for variable in released {
        set(&mut helper, variable, 1, Deadline::after(RESTORE));
    }
    result
}

fn disconnect_until_set(
    ladder: &Ladder<'_>,
    setter: &mut Contact,
    helper: &mut Contact,
    released: &mut Vec<&'static str>,
) -> Result<Vec<String>, ServerError> {
    let begun = Instant::now();
    let spared = Spared::new(
        ladder,
        [
            setter.session.connection_id(),
            helper.session.connection_id(),
        ],
    );
    let mut named = BTreeSet::new();
    let mut rounds = 0_u32;
    loop {
        // A question that is asked just before the deadline gets its answer; the round that follows
        // it gives up and says what is in the way.
        let patience = ladder.deadline.max(Deadline::after(ANSWER));
        if ladder.disconnect == Disconnect::All {
            named.extend(disconnect(helper, &spared, patience)?);
        }
        rounds += 1;
        if rounds >= 3 && released.is_empty() && nobody_would_be_told(helper, &spared, patience)? {
            *released = release_semi_sync(helper, patience);
            crate::switches::reached("close.semi-sync-released");
        }
        if let Some(answer) = wait_for(setter, ladder.deadline.at_most(Duration::from_millis(50))) {
            answer?;
            return Ok(named.into_iter().collect());
        }
        if ladder.deadline.expired() {
            let patience = Deadline::after(Duration::from_millis(200));
            // Best effort: a setter that stays queued can only close the server later.
            let _ = kill(helper, setter.session.connection_id(), patience);
            let in_the_way = in_the_way(helper, &spared, patience);
            // KILL returns before its victim has noticed: whoever lets go in between would let it through.
            if let Some(Ok(())) = wait_for(setter, patience) {
                return Ok(named.into_iter().collect());
            }
            return Err(ServerError::Silent {
                endpoint: ladder.target.endpoint.to_string(),
                waited: begun.elapsed(),
                doing: format!("closing; {}{in_the_way}", so_far(&named)),
            });
        }
    }
}

fn so_far(named: &BTreeSet<String>) -> String {
    if named.is_empty() {
        return String::new();
    }
    let all: Vec<&str> = named.iter().map(String::as_str).collect();
    format!("disconnected {}: {}; ", all.len(), all.join(", "))
}

/// The clients that are still there: exempt ones, ones that may not be disconnected, and disconnected
/// ones that roll back. Nobody can tell which of them hold the setter up.
fn in_the_way(helper: &mut Contact, spared: &Spared<'_>, patience: Deadline) -> String {
    let rows = match helper.session.rows(helper.dialect.processes(), patience) {
        Ok(rows) => rows,
        Err(error) => return format!("nobody can say what is in the way: {error}"),
    };
    let clients: Vec<String> = rows
        .iter()
        .filter(|row| spared.is_client(row))
        .map(described)
        .collect();
    if clients.is_empty() {
        return "no client is in the way".into();
    }
    format!("in the way: {}", clients.join(", "))
}

/// Whether commits wait for a replica's acknowledgement, and all of them of clients that are gone.
///
/// Released, such a commit finishes at once, and a client that is still connected would be told
/// "committed" of what no replica has.
fn nobody_would_be_told(
    helper: &mut Contact,
    spared: &Spared<'_>,
    deadline: Deadline,
) -> Result<bool, ServerError> {
    let rows = helper.session.rows(helper.dialect.processes(), deadline)?;
    let waiting = || {
        rows.iter().filter(|row| {
            row.get("state")
                .is_some_and(|state| state.contains("semi-sync ACK"))
        })
    };
    let told = |row: &Row| spared.is_client(row) && row.get("command") != Some("Killed");
    Ok(waiting().next().is_some() && !waiting().any(told))
}

/// Commits that wait for a replica's acknowledgement hold the setter up. Returns what was switched
/// off to let them finish.
fn release_semi_sync(helper: &mut Contact, deadline: Deadline) -> Vec<&'static str> {
    let mut released = Vec::new();
    for variable in helper.dialect.semi_sync_source_switches() {
        let value = helper
            .session
            .rows(&format!("SELECT @@global.{variable}"), deadline);
        let on = value.is_ok_and(|rows| rows.first().and_then(|row| row.at(0)) == Some("1"));
        if on && set(helper, variable, 0, deadline) {
            released.push(variable);
        }
    }
    released
}

fn set(helper: &mut Contact, variable: &str, value: u8, deadline: Deadline) -> bool {
    let sql = format!("SET GLOBAL {variable} = {value}");
    let result = helper.session.run(&sql, deadline);
    if let Err(error) = &result {
        log::warn!("{sql}: {error}");
    }
    result.is_ok()
}

/// Sessions that are never disconnected.
#[derive(Debug)]
pub struct Spared<'a> {
    own: [u32; 2],
    own_users: [&'a str; 2],
    exempt_users: &'a [String],
}

impl<'a> Spared<'a> {
    /// The sessions with the numbers `own`, those of our own account and those of exempt accounts.
    pub fn new(ladder: &'a Ladder<'_>, own: [u32; 2]) -> Self {
        Self {
            own,
            own_users: ladder.own_users,
            exempt_users: ladder.exempt_users,
        }
    }

    /// Whether `row` of the process list is an application's session that may be disconnected.
    fn is_application(&self, row: &Row) -> bool {
        let user = row.get("user").unwrap_or_default();
        self.is_client(row) && !self.exempt_users.iter().any(|exempt| exempt == user)
    }

    /// Whether `row` of the process list is a client's session, exempt or not.
    ///
    /// "system user" is the mark of replication threads on every server; killing one is accepted
    /// and stops replication. The Command words are those of dump threads and of replication
    /// threads on MySQL 5.6 and MariaDB.
    fn is_client(&self, row: &Row) -> bool {
        const NEVER: [&str; 7] = [
            "Daemon",
            "Binlog Dump",
            "Binlog Dump GTID",
            "Connect",
            "Slave_IO",
            "Slave_SQL",
            "Slave_worker",
        ];
        let user = row.get("user").unwrap_or_default();
        let id = row.get("id").and_then(|id| id.parse::<u32>().ok());
        !(matches!(user, "system user" | "event_scheduler" | "")
            || self.own_users.contains(&user)
            || NEVER.contains(&row.get("command").unwrap_or_default())
            || id.is_none_or(|id| self.own.contains(&id)))
    }
}

/// Disconnects every application session and names them.
pub fn disconnect(
    helper: &mut Contact,
    spared: &Spared<'_>,
    deadline: Deadline,
) -> Result<Vec<String>, ServerError> {
    let rows = helper.session.rows(helper.dialect.processes(), deadline)?;
    let mut named = Vec::new();
    for row in rows.iter().filter(|row| spared.is_application(row)) {
        let Some(id) = row.get("id").and_then(|id| id.parse().ok()) else {
            continue;
        };
        match kill(helper, id, deadline) {
            Ok(()) => named.push(described(row)),
            Err(ServerError::Answered { code: 1094, .. }) => {}
            Err(error) if error.code().is_some() => {
                log::warn!("cannot disconnect {}: {error}", described(row));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(named)
}

fn described(row: &Row) -> String {
    let part = |name: &str| row.get(name).unwrap_or("?");
    format!("{} {}@{}", part("id"), part("user"), part("host"))
}

/// Ends another session. Error 1094: it is gone already.
pub fn kill(helper: &mut Contact, id: u32, deadline: Deadline) -> Result<(), ServerError> {
    helper
        .session
        .run(&format!("KILL {id}"), deadline)
        .map(drop)
}

/// Ends closing statements of ours that are still queued in the server; they would close it again
/// right after it was opened.
pub fn kill_queued_closers(
    helper: &mut Contact,
    own_users: &[&str],
    deadline: Deadline,
) -> Result<usize, ServerError> {
    let own_id = helper.session.connection_id();
    let rows = helper.session.rows(helper.dialect.processes(), deadline)?;
    let mut killed = 0;
    for row in &rows {
        let info = row.get("info").unwrap_or_default().to_ascii_lowercase();
        let id = row.get("id").and_then(|id| id.parse::<u32>().ok());
        let closes = info.contains("set global read_only = 1")
            || info.contains("set global super_read_only = 1");
        if let (true, Some(user), Some(id)) = (closes, row.get("user"), id)
            && own_users.contains(&user)
            && id != own_id
        {
            match kill(helper, id, deadline) {
                Ok(()) => killed += 1,
                Err(ServerError::Answered { code: 1094, .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(killed)
}
