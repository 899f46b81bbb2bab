//! Observes a node: a [`NodeView`] from its server's own words.

use std::time::Duration;

use crate::config::{Account, Config, Node};
use crate::deadline::Deadline;
use crate::ledger::tables;
use crate::replication::position::BinlogPosition;
use crate::replication::replica::ReplicaStatus;
use crate::replication::semi_sync::SemiSync;
use crate::server::connection::{Answer, Endpoint, Row, ServerError, Session, Target};
use crate::server::dialect::{Dialect, Known};
use crate::server::quick::{self, Asked, NoAnswer};
use crate::server::status::{StatusRow, parse_replica_status};
use crate::server::tls::Encryption;
use crate::sys::{self, boottime_now};
use crate::view::{Facts, Gtids, NodeView, Started, State};

/// How a node's own programs reach its server: over the socket.
pub fn local_target(config: &Config, node: &Node) -> Target {
    target(
        Endpoint::Socket(node.socket.clone()),
        &config.accounts.local,
        None,
    )
}

/// How the other nodes reach it: over TCP, at its own address, never through the VIP.
pub fn peer_target(config: &Config, node: &Node) -> Target {
    target(
        Endpoint::Tcp(node.address, node.port),
        &config.accounts.peer,
        Encryption::of(config, node),
    )
}

fn target(endpoint: Endpoint, account: &Account, encryption: Option<Encryption>) -> Target {
    Target {
        endpoint,
        user: account.user.clone(),
        password: account.password.clone(),
        encryption,
    }
}

/// An open session with a server whose words we know.
#[derive(Debug)]
pub struct Contact {
    /// The session.
    pub session: Session,
    /// What the server understands.
    pub dialect: Dialect,
    /// Whether it is this node's own server.
    local: bool,
}

impl Contact {
    /// Connects and asks for the version.
    pub fn open(target: &Target, deadline: Deadline) -> Result<Self, ServerError> {
        let mut session = Session::connect(target, deadline)?;
        let answers = session.run(Dialect::ASK, deadline)?;
        let row = answers.get(1).and_then(|answer| answer.rows.first());
        let variables = answers.get(2).map(|answer| answer.rows.as_slice());
        let known = Known::of(
            variables
                .unwrap_or_default()
                .iter()
                .filter_map(|row| row.at(0)),
        );
        let version = row.and_then(|r| r.at(0)).unwrap_or_default();
        let comment = row.and_then(|r| r.at(1)).unwrap_or_default();
        let account = row.and_then(|r| r.at(2)).unwrap_or(&target.user);
        let dialect = Dialect::parse(version, comment, known).ok_or_else(|| ServerError::Lost {
            endpoint: target.endpoint.to_string(),
            detail: format!("a version that is not three numbers: {version:?}"),
        })?;
        session.introduce(account, dialect);
        Ok(Self {
            session,
            dialect,
            local: matches!(target.endpoint, Endpoint::Socket(_)),
        })
    }

    /// Reads everything that `decide` wants to know of this server.
    pub fn facts(&mut self, deadline: Deadline) -> Result<Facts, ServerError> {
        let sql = format!(
            "{}; {}; SHOW GLOBAL STATUS LIKE 'Uptime'; {}",
            self.dialect.facts(),
            self.dialect.replica_status(),
            SemiSync::ASK
        );
        let answers = self.session.run(&sql, deadline).map_err(guarded)?;
        let mut answers = answers.into_iter();
        let (mut facts, pid_file) = facts_of(&self.dialect, &mut answers)?;
        let uptime = answers.next().and_then(|mut answer| answer.rows.pop());
        facts.started = pid_file
            .filter(|_| self.local)
            .and_then(|file| process_start(&file))
            .unwrap_or_else(|| start_by_uptime(uptime.as_ref()));
        facts.semi_sync = semi_sync(answers);
        tables::read_into(&mut self.session, &mut facts, deadline)?;
        Ok(facts)
    }

    /// Where the server's own binary log ends; none if it writes none.
    pub fn binlog_end(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<BinlogPosition>, ServerError> {
        let rows = self.session.rows(self.dialect.binlog_end(), deadline)?;
        Ok(rows.first().and_then(|row| {
            Some(BinlogPosition {
                file: row.at(0)?.to_owned(),
                offset: row.at(1)?.parse().ok()?,
            })
        }))
    }
}

/// Everything of one server in one round trip over its socket, where that is possible: the look of the
/// check. Any other server is asked as [`Contact::facts`] does.
///
/// # Errors
/// As [`Contact::open`] and [`Contact::facts`].
pub fn local_facts(target: &Target, deadline: Deadline) -> Result<Facts, ServerError> {
    let why = match quick::ask(target, question, deadline) {
        Ok(asked) => match quick_facts(asked) {
            Some(facts) => return Ok(facts),
            None => "an answer that the ordinary way may understand",
        },
        Err(NoAnswer::Failed(error)) => return Err(error),
        Err(NoAnswer::Unusual(why)) => why,
    };
    log::debug!("{}: {why}: asking in the ordinary way", target.endpoint);
    Contact::open(target, deadline)?.facts(deadline)
}

/// What the guard before the replica status says when it refuses: a subquery with two rows.
fn guarded(error: ServerError) -> ServerError {
    const TWO_ROWS: u16 = 1242;
    match error {
        ServerError::Answered {
            endpoint,
            code: TWO_ROWS,
            state,
            ..
        } => ServerError::Answered {
            endpoint,
            code: TWO_ROWS,
            state,
            message: "a STOP SLAVE waits for somebody's lock, and on this version SHOW SLAVE STATUS would \
                      wait behind it: end the session that holds the lock"
                .into(),
        },
        other => other,
    }
}

fn question(dialect: &Dialect) -> String {
    let (own, replica) = (dialect.facts(), dialect.replica_status());
    format!("{own}; {replica}; {}", tables::READ)
}

fn quick_facts(asked: Asked) -> Option<Facts> {
    let mut answers = asked.answers.into_iter();
    let (mut facts, pid_file) = facts_of(&asked.dialect, &mut answers).ok()?;
    let by_kernel = asked.pid.and_then(start_of);
    facts.started = by_kernel.or_else(|| process_start(&pid_file?))?;
    tables::fill(&mut facts, answers.collect());
    Some(facts)
}

/// The facts in the first two answers, and the name of the server's pid file.
fn facts_of(
    dialect: &Dialect,
    answers: &mut impl Iterator<Item = Answer>,
) -> Result<(Facts, Option<String>), ServerError> {
    let row = answers
        .next()
        .and_then(|mut answer| answer.rows.pop())
        .ok_or_else(|| broken(dialect, "no row about itself"))?;
    let mut channels = Vec::new();
    for status in answers.next().unwrap_or_default().rows {
        let parsed = parse_replica_status(&StatusRow::from_iter(status.columns()));
        channels.push(parsed.map_err(|error| broken(dialect, &error.to_string()))?);
    }
    let facts = plain_facts(dialect, &row, channels)?;
    Ok((facts, row.get("pid_file").map(str::to_owned)))
}

fn plain_facts(
    dialect: &Dialect,
    row: &Row,
    channels: Vec<ReplicaStatus>,
) -> Result<Facts, ServerError> {
    let number = |name: &str| {
        row.get(name)
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Ok(Facts {
        dialect: *dialect,
        identity: row.get("identity").unwrap_or_default().to_owned(),
        server_id: u32::try_from(number("server_id")).unwrap_or(0),
        read_only: truth(row.get("read_only")),
        super_read_only: row.get("super_read_only").map(|v| truth(Some(v))),
        offline: truth(row.get("offline_mode")),
        log_bin: truth(row.get("log_bin")),
        binlog_base: row.get("binlog_base").map(str::to_owned),
        log_updates: truth(row.get("log_updates")),
        started: Started::default(),
        now: row.get("now").unwrap_or_default().to_owned(),
        sync_binlog: number("sync_binlog"),
        flush_log: number("flush_log"),
        semi_sync: SemiSync::default(),
        gtids: gtids(row).map_err(|why| broken(dialect, &why))?,
        channels,
        binlog_end: None,
        tables: crate::view::Tables::Ready,
        fence: Default::default(),
        promotions: Vec::new(),
        foreign_promotions: 0,
    })
}

/// When this node's own server process started, by its pid file.
fn process_start(pid_file: &str) -> Option<Started> {
    let pid = std::fs::read_to_string(pid_file)
        .ok()?
        .trim()
        .parse()
        .ok()?;
    start_of(pid)
}

fn start_of(pid: i32) -> Option<Started> {
    let (name, ticks) = sys::process_start(pid).ok()??;
    // A stale file may name a process that has nothing to do with us.
    if !(name.contains("mariadb") || name.contains("mysql")) {
        return None;
    }
    Some(Started {
        at: Duration::from_millis(ticks.saturating_mul(10)),
        within: Duration::from_millis(10),
    })
}

fn semi_sync(answers: impl Iterator<Item = Answer>) -> SemiSync {
    let rows: Vec<(String, String)> = answers
        .flat_map(|answer| answer.rows)
        .filter_map(|row| Some((row.at(0)?.to_owned(), row.at(1)?.to_owned())))
        .collect();
    SemiSync::parse(&rows)
}

fn start_by_uptime(row: Option<&Row>) -> Started {
    let seconds = row
        .and_then(|row| row.at(1))
        .and_then(|value| value.parse().ok());
    Started {
        at: boottime_now().saturating_sub(Duration::from_secs(seconds.unwrap_or(0))),
        within: Duration::from_millis(1200),
    }
}

fn broken(dialect: &Dialect, why: &str) -> ServerError {
    ServerError::Lost {
        endpoint: dialect.to_string(),
        detail: format!("an answer that cannot be read: {why}"),
    }
}

fn truth(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "ON" | "YES"))
}

fn gtids(row: &Row) -> Result<Gtids, String> {
    let parse_error = |error: &dyn std::fmt::Display| error.to_string();
    if let Some(executed) = row.get("gtid_executed") {
        return Ok(Gtids::MySql {
            executed: executed.parse().map_err(|e| parse_error(&e))?,
            purged: row
                .get("gtid_purged")
                .unwrap_or_default()
                .parse()
                .map_err(|e| parse_error(&e))?,
            on: matches!(row.get("gtid_mode"), Some("ON")),
        });
    }
    let text = |name: &str| row.get(name).unwrap_or_default();
    Ok(Gtids::MariaDb {
        binlog: text("gtid_binlog_pos")
            .parse()
            .map_err(|e| parse_error(&e))?,
        state: text("gtid_binlog_state")
            .parse()
            .map_err(|e| parse_error(&e))?,
        slave: text("gtid_slave_pos")
            .parse()
            .map_err(|e| parse_error(&e))?,
    })
}

/// The view of a node whose server was asked, whatever came of it.
pub fn view_of(node: &Node, facts: Result<Facts, ServerError>) -> NodeView {
    let (state, why, facts) = match facts {
        Ok(facts) if facts.read_only => (State::Closed, String::new(), Some(facts)),
        Ok(facts) => (State::Open, String::new(), Some(facts)),
        Err(error) => {
            let state = match &error {
                ServerError::NotListening { .. } => State::Down,
                ServerError::Silent { .. } => State::Silent,
                ServerError::Answered { .. }
                | ServerError::Denied(_)
                | ServerError::Encryption { .. } => State::Alive,
                // The connection broke half way: it may be dying or it may be garbage; not a proof.
                ServerError::Lost { .. } => State::Silent,
            };
            (state, error.to_string(), None)
        }
    };
    NodeView {
        name: node.name.clone(),
        address: node.address,
        port: node.port,
        state,
        why,
        facts,
    }
}

/// Looks at this node over its socket. The session stays open for whoever acts next.
pub fn observe_local(
    config: &Config,
    node: &Node,
    deadline: Deadline,
) -> (NodeView, Option<Contact>) {
    observe(node, &local_target(config, node), deadline)
}

/// Looks at another node over TCP.
pub fn observe_peer(
    config: &Config,
    node: &Node,
    deadline: Deadline,
) -> (NodeView, Option<Contact>) {
    observe(node, &peer_target(config, node), deadline)
}

/// Looks at all other nodes at the same time, each for at most `peer_timeout`.
pub fn observe_peers(config: &Config, local: &Node, peer_timeout: Duration) -> Vec<NodeView> {
    let deadline = Deadline::after(peer_timeout);
    std::thread::scope(|scope| {
        let looks: Vec<_> = config
            .peers(local)
            .into_iter()
            .map(|peer| {
                (
                    peer,
                    scope.spawn(move || observe_peer(config, peer, deadline).0),
                )
            })
            .collect();
        looks
            .into_iter()
            .map(|(peer, look)| {
                look.join()
                    .unwrap_or_else(|_| view_of(peer, Err(unreadable(peer))))
            })
            .collect()
    })
}

fn unreadable(peer: &Node) -> ServerError {
    ServerError::Lost {
        endpoint: peer.name.clone(),
        detail: "its answer could not be read".into(),
    }
}

fn observe(node: &Node, target: &Target, deadline: Deadline) -> (NodeView, Option<Contact>) {
    let mut contact = match Contact::open(target, deadline) {
        Ok(contact) => contact,
        Err(error) => return (view_of(node, Err(error)), None),
    };
    match contact.facts(deadline) {
        Ok(mut facts) => {
            // Hangs while the binary log's disk is full; the rest of the view is worth having then.
            facts.binlog_end = contact.binlog_end(deadline).unwrap_or_default();
            (view_of(node, Ok(facts)), Some(contact))
        }
        Err(error) => (view_of(node, Err(error)), None),
    }
}
