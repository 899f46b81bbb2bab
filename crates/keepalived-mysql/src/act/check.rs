//! The verdict of `check_mysql`: one look at the local server, inside a hard deadline.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::deadline::Deadline;
use crate::decide::Memory;
use crate::decide::health::{Input, PeerBrief, Verdict, verdict};
use crate::keepalived::drained;
use crate::node::{Contact, local_facts, local_target, view_of};
use crate::replication::replica::{Receiver, ReplicaStatus};
use crate::server::connection::ServerError;
use crate::view::{Facts, NodeView, State};

/// What a node behind a reader's VIP has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderWish {
    /// How far behind its source it may be.
    pub max_lag: Option<Duration>,
}

/// The last verdict, so that only changes are logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    healthy: bool,
    why: String,
}

/// How much a check asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What the verdict needs.
    Verdict,
    /// What a person wants to know besides.
    Everything,
}

/// A verdict, and everything that it was made of.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Healthy or not.
    pub verdict: Verdict,
    /// The local server.
    pub me: NodeView,
    /// What this node remembers.
    pub memory: Memory,
    /// Whether a reason why a promotion was refused still holds.
    pub refused: bool,
    /// Recent looks at the peers.
    pub peers: Vec<PeerBrief>,
}

/// Looks at the local server, up to `check.attempts` times, and judges.
pub fn check(here: &Here, reader: Option<ReaderWish>, depth: Depth) -> Checked {
    let attempts = here.config.check.attempts.max(1);
    let mut last = one_check(here, reader, depth);
    for _ in 1..attempts {
        if last.verdict.healthy {
            break;
        }
        std::thread::sleep(here.config.check.retry_interval);
        last = one_check(here, reader, depth);
    }
    report_change(here, &last.verdict);
    last
}

fn one_check(here: &Here, reader: Option<ReaderWish>, depth: Depth) -> Checked {
    // A little sooner than the process-wide deadline, so that a silent server is told as such.
    let deadline = Deadline::after(here.config.check.deadline.mul_f64(0.9));
    let me = view_of(&here.node, look(here, depth, deadline));
    note_sync(here, &me);
    judged(here, me, reader)
}

fn look(here: &Here, depth: Depth, deadline: Deadline) -> Result<Facts, ServerError> {
    let target = local_target(&here.config, &here.node);
    let facts = match depth {
        Depth::Verdict => local_facts(&target, deadline)?,
        Depth::Everything => Contact::open(&target, deadline)?.facts(deadline)?,
    };
    if here.config.check.write_probe && !facts.read_only {
        probe(&mut Contact::open(&target, deadline)?, deadline)?;
    }
    Ok(facts)
}

/// A dead disk still answers SELECT 1, but no write.
fn probe(contact: &mut Contact, deadline: Deadline) -> Result<(), ServerError> {
    let sql = "SET SESSION sql_log_bin = 0; \
               INSERT INTO keepalived_mysql.fence VALUES (0, 0, '', '', 'write probe', NOW(6)) \
               ON DUPLICATE KEY UPDATE told_at = NOW(6); FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS";
    contact.session.run(sql, deadline).map(drop)
}

fn judged(here: &Here, me: NodeView, reader: Option<ReaderWish>) -> Checked {
    let memory = here.memory();
    let refused = here.refused();
    let peers = here.recent_peers(here.config.check.peer_interval * 3);
    let mut verdict = verdict(&Input {
        me: &me,
        memory: &memory,
        role: here.role(),
        drained: here.state.as_ref().is_some_and(drained),
        refused: refused.as_ref().map(|refused| &refused.refusal),
        peers: &peers,
    });
    if let Some(wish) = reader.filter(|_| verdict.healthy) {
        verdict = judged_for_readers(here, &me, wish);
    }
    Checked {
        verdict,
        me,
        memory,
        refused: refused.is_some(),
        peers,
    }
}

fn judged_for_readers(here: &Here, me: &NodeView, wish: ReaderWish) -> Verdict {
    let unhealthy = |why: String| Verdict {
        healthy: false,
        why,
    };
    let mut channels = me.facts.iter().flat_map(|facts| &facts.channels);
    let Some(channel) = channels.find(|channel| reads_from_the_group(here, channel)) else {
        return unhealthy("not a replica".into());
    };
    if !channel.is_running() {
        return unhealthy("replication does not run".into());
    }
    match (channel.seconds_behind, wish.max_lag) {
        (None, _) => unhealthy("nobody can say how far behind it is".into()),
        (Some(lag), Some(most)) if Duration::from_secs(lag) > most => {
            unhealthy(format!("{lag} s behind, more than {most:?}"))
        }
        (Some(lag), _) => Verdict {
            healthy: true,
            why: format!("a replica, {lag} s behind"),
        },
    }
}

/// Whether a channel is ours: others may lag or stand still as they like.
fn reads_from_the_group(here: &Here, channel: &ReplicaStatus) -> bool {
    let mut nodes = here.config.node.iter();
    nodes.any(|node| channel.reads_from(&node.name, node.address, node.port))
}

/// A replica that has applied everything it received may be promoted at once for a while.
fn note_sync(here: &Here, me: &NodeView) {
    let Some(facts) = me.facts.as_ref().filter(|_| me.state == State::Closed) else {
        return;
    };
    let in_sync = facts.channels.iter().any(|channel| {
        let ours = reads_from_the_group(here, channel);
        let level = channel.received.is_some() && channel.received == channel.applied;
        ours && channel.receiver == Receiver::Running
            && channel.applier_running
            && (level || channel.seconds_behind == Some(0))
    });
    if in_sync {
        here.note_in_sync(facts.started.at);
    }
}

fn report_change(here: &Here, verdict: &Verdict) {
    let now = Said {
        healthy: verdict.healthy,
        why: verdict.why.clone(),
    };
    if here.said_before(&now) {
        return;
    }
    if verdict.healthy {
        log::info!("healthy: {}", verdict.why);
    } else {
        log::warn!("unhealthy: {}", verdict.why);
    }
}
