//! The group at one moment, as a document: what `status --json` prints and the table is made of.

use std::path::PathBuf;

use serde::Serialize;

use super::difference::{Backlog, Difference};
use super::history::Transition;
use crate::act::overview::Overview;
use crate::decide::drift::Drift;
use crate::decide::{RELAXED, Relaxed};
use crate::epoch::Epoch;
use crate::replication::replica::{Receiver, ReplicaStatus};
use crate::role::Role;
use crate::view::{Facts, Gtids, NodeView, State};

/// The format of the document; a field that changes its meaning raises it.
const FORMAT: u64 = 1;

/// The group at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Of the document.
    pub format: u64,
    /// The group.
    pub group: String,
    /// When, in UTC.
    pub taken_at: String,
    /// The open node with the highest epoch; null if none is seen open.
    pub serving: Option<String>,
    /// The highest epoch that is written in any node that was seen; null if there is none.
    pub highest_epoch: Option<Epoch>,
    /// All nodes, this one first.
    pub nodes: Vec<NodeStatus>,
    /// What only this node can say.
    pub here: HereStatus,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it is the node that looks.
    pub this_node: bool,
    /// Its own address and its server's port.
    pub address: String,
    /// `open`, `closed`, `down`, `alive` or `silent`.
    pub state: State,
    /// Why it is down, alive or silent.
    pub why: Option<String>,
    /// What keepalived last told it; only this node's is known.
    pub role: Option<Role>,
    /// `here`, `not here` or `unknown`; only this node's is known.
    pub vip: Option<&'static str>,
    /// The highest epoch under which its server was opened.
    pub epoch: Option<Epoch>,
    /// Product and version.
    pub server: Option<String>,
    /// Where its history is by transaction identifiers (MariaDB: `gtid_binlog_pos`, MySQL: `gtid_executed`).
    pub gtid: Option<String>,
    /// Where its own binary log ends.
    pub binlog_end: Option<String>,
    /// What a commit waits for (open), or whether it acknowledges (closed).
    pub semi_sync: Option<String>,
    /// Its replication channels.
    pub channels: Vec<Channel>,
    /// Beside the node that it follows, or else that serves; null where there is none to compare with.
    pub difference: Option<Difference>,
}

/// One replication channel.
#[derive(Debug, Clone, Serialize)]
pub struct Channel {
    /// Its name; empty for the default one.
    pub name: String,
    /// The source: a node of the group by its name, any other by address and port.
    pub source: String,
    /// `running`, `connecting` or `stopped`.
    pub receiver: Receiver,
    /// Whether the applier runs.
    pub applier_running: bool,
    /// Seconds behind the source, by the server's own reckoning.
    pub seconds_behind: Option<u64>,
    /// What was received and is not applied.
    pub backlog: Backlog,
    /// The last errors of receiver and applier.
    pub errors: Vec<String>,
}

/// What only this node can say.
#[derive(Debug, Clone, Serialize)]
pub struct HereStatus {
    /// The check's verdict.
    pub healthy: bool,
    /// Its reason.
    pub why: String,
    /// Whether a live keepalived runs here.
    pub keepalived: bool,
    /// What the next repair has to do, in words; null if nothing.
    pub drift: Option<String>,
    /// What holds this node back.
    pub marks: Vec<Mark>,
    /// Where the transactions behind the mark `diverged` were salvaged to, once they were.
    pub salvage: Option<PathBuf>,
    /// The newest transition in its history.
    pub last_transition: Option<Transition>,
}

/// Something that holds this node back.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// `drained`, `diverged`, `fenced`, `refused` or `relaxed`.
    pub mark: &'static str,
    /// What it means, or why.
    pub why: String,
}

impl Status {
    /// The document of an overview.
    pub fn of(seen: &Overview) -> Self {
        let all: Vec<&NodeView> = [&seen.me].into_iter().chain(&seen.peers).collect();
        let serving = serving(&all);
        let mut nodes: Vec<NodeStatus> = all
            .iter()
            .map(|node| NodeStatus::of(node, &all, serving))
            .collect();
        if let Some(me) = nodes.first_mut() {
            me.this_node = true;
            me.role = seen.site.role;
            me.vip = Some(vip(seen));
        }
        let facts = all.iter().filter_map(|node| node.facts.as_ref());
        Self {
            format: FORMAT,
            group: seen.group.clone(),
            taken_at: seen.taken_at.clone(),
            serving: serving.map(|node| node.name.clone()),
            highest_epoch: facts.map(Facts::highest_epoch).max().filter(Epoch::exists),
            nodes,
            here: HereStatus::of(seen),
        }
    }

    /// Whether this node's own server could be looked at.
    pub fn local_was_seen(&self) -> bool {
        self.nodes
            .first()
            .is_some_and(|node| matches!(node.state, State::Open | State::Closed))
    }
}

fn vip(seen: &Overview) -> &'static str {
    match (seen.site.vip_known, seen.site.vip_here) {
        (false, _) => "unknown",
        (true, true) => "here",
        (true, false) => "not here",
    }
}

fn serving<'a>(all: &[&'a NodeView]) -> Option<&'a NodeView> {
    let open = all.iter().filter(|node| node.state == State::Open);
    open.max_by_key(|node| node.own_epoch()).copied()
}

impl NodeStatus {
    fn of(node: &NodeView, all: &[&NodeView], serving: Option<&NodeView>) -> Self {
        let facts = node.facts.as_ref();
        let channels = facts.map(|facts| facts.channels.as_slice());
        Self {
            name: node.name.clone(),
            this_node: false,
            address: std::net::SocketAddr::new(node.address, node.port).to_string(),
            state: node.state,
            why: (!node.why.is_empty()).then(|| node.why.clone()),
            role: None,
            vip: None,
            epoch: Some(node.own_epoch()).filter(Epoch::exists),
            server: facts.map(|facts| facts.dialect.to_string()),
            gtid: facts.and_then(gtid),
            binlog_end: facts.and_then(|f| f.binlog_end.as_ref().map(ToString::to_string)),
            semi_sync: facts.and_then(|facts| semi_sync(node.state, facts)),
            channels: channels
                .unwrap_or_default()
                .iter()
                .map(|channel| Channel::of(channel, all))
                .collect(),
            difference: compared_with(node, all, serving)
                .and_then(|other| Difference::between(node, other)),
        }
    }
}

/// The node that `node` follows, or else the one that serves.
fn compared_with<'a>(
    node: &NodeView,
    all: &[&'a NodeView],
    serving: Option<&'a NodeView>,
) -> Option<&'a NodeView> {
    let channels = &node.facts.as_ref()?.channels;
    let source = all
        .iter()
        .find(|other| channels.iter().any(|channel| other.is_source_of(channel)));
    let other = source.copied().or(serving);
    other.filter(|other| other.name != node.name)
}

fn gtid(facts: &Facts) -> Option<String> {
    let text = match &facts.gtids {
        Gtids::MariaDb { binlog, .. } => binlog.to_string(),
        Gtids::MySql { executed, on, .. } => match on {
            true => executed.to_string(),
            false => String::new(),
        },
    };
    (!text.is_empty()).then_some(text)
}

fn semi_sync(state: State, facts: &Facts) -> Option<String> {
    if state == State::Open {
        return Some(facts.semi_sync.told());
    }
    let side = facts.semi_sync.replica.as_ref()?;
    let told = match (side.enabled, side.active) {
        (true, true) => "the replica side is on",
        (true, false) => "the replica side is on from the next start of the receiver",
        (false, true) => "the replica side is on until the receiver stops",
        (false, false) => "the replica side is off",
    };
    Some(told.into())
}

impl Channel {
    fn of(channel: &ReplicaStatus, all: &[&NodeView]) -> Self {
        let source = all.iter().find(|node| node.is_source_of(channel));
        let errors = [
            ("receiver", &channel.receiver_error),
            ("applier", &channel.applier_error),
        ];
        Self {
            name: channel.channel.clone(),
            source: match source {
                Some(node) => node.name.clone(),
                None => format!("{}:{}", channel.source_host, channel.source_port),
            },
            receiver: channel.receiver,
            applier_running: channel.applier_running,
            seconds_behind: channel.seconds_behind,
            backlog: Backlog::of(channel),
            errors: errors
                .into_iter()
                .filter_map(|(who, error)| Some(format!("{who}: {}", error.as_ref()?)))
                .collect(),
        }
    }
}

impl HereStatus {
    fn of(seen: &Overview) -> Self {
        Self {
            healthy: seen.verdict.healthy,
            why: seen.verdict.why.clone(),
            keepalived: seen.site.keepalived_live,
            drift: (seen.drift != Drift::None).then(|| seen.drift.to_string()),
            marks: marks(seen),
            salvage: seen.memory.salvage.clone(),
            last_transition: seen.last.as_ref().map(Transition::of),
        }
    }
}

fn marks(seen: &Overview) -> Vec<Mark> {
    let memory = &seen.memory;
    let drained = seen.drained.then(|| {
        "an operator took it out of service, until 0 is written into the file `drain`".into()
    });
    // The reason of a mark names the salvage itself, once there is one.
    let diverged = memory.diverged.clone();
    let fenced = memory.fenced.as_ref().map(|mark| {
        format!(
            "{} closed it under epoch {} while keepalived said MASTER here",
            mark.by.node, mark.by
        )
    });
    let refused = seen.refused.as_ref().map(|refusal| {
        format!(
            "by rule {}: {}. {}",
            refusal.rule, refusal.why, refusal.hint
        )
    });
    let relaxed = match memory.relaxed {
        Relaxed::No => None,
        Relaxed::InThisBoot => Some("this standby does not flush every commit".into()),
        Relaxed::BeforeThisBoot => Some(RELAXED.into()),
    };
    [
        ("drained", drained),
        ("diverged", diverged),
        ("fenced", fenced),
        ("refused", refused),
        ("relaxed", relaxed),
    ]
    .into_iter()
    .filter_map(|(mark, why)| Some(Mark { mark, why: why? }))
    .collect()
}

#[cfg(test)]
mod tests;
