//! The table of `status`.

use super::status::{Channel, HereStatus, NodeStatus, Status};
use super::{Paint, Tone, length, table};
use crate::message::one_line;
use crate::replication::replica::Receiver;
use crate::view::State;

const HEADINGS: [&str; 7] = [
    "NODE",
    "STATE",
    "ROLE",
    "VIP",
    "OPENED UNDER",
    "SERVER",
    "REPLICATION",
];

impl Status {
    /// For people: one line per node, then what there is to say of each, then this node's own.
    pub fn text(&self, paint: Paint) -> String {
        let mut lines = vec![self.headline(), String::new()];
        let rows = self.nodes.iter().map(row).collect();
        for (index, line) in table(&HEADINGS, rows).into_iter().enumerate() {
            let node = index.checked_sub(1).and_then(|at| self.nodes.get(at));
            lines.push(paint.line(node.map_or(Tone::Heading, tone), &line));
        }
        lines.push(String::new());
        for node in &self.nodes {
            lines.extend(details(node));
        }
        lines.push(String::new());
        lines.extend(self.here.lines(paint));
        lines.push(String::new());
        lines.join("\n")
    }

    fn headline(&self) -> String {
        let epoch = match &self.highest_epoch {
            Some(epoch) => format!("highest epoch {epoch}"),
            None => "no epoch yet".into(),
        };
        let serving = match &self.serving {
            Some(node) => format!("{node} serves"),
            None => "no node is seen open".into(),
        };
        format!("{}: {serving}, {epoch}, {}", self.group, self.taken_at)
    }
}

fn tone(node: &NodeStatus) -> Tone {
    match node.state {
        State::Open => Tone::Good,
        State::Closed => Tone::Plain,
        State::Down | State::Alive | State::Silent => Tone::Bad,
    }
}

fn row(node: &NodeStatus) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    vec![
        format!("{}{}", node.name, if node.this_node { " *" } else { "" }),
        state(node.state).into(),
        or_dash(node.role.map(|role| role.to_string())),
        or_dash(node.vip.map(str::to_owned)),
        or_dash(node.epoch.as_ref().map(ToString::to_string)),
        or_dash(node.server.clone()),
        replication(node),
    ]
}

fn state(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Closed => "closed",
        State::Down => "down",
        State::Alive => "alive",
        State::Silent => "silent",
    }
}

/// Whom it follows and how far; or why it cannot be seen.
fn replication(node: &NodeStatus) -> String {
    if let Some(why) = &node.why {
        return why.clone();
    }
    let mut words: Vec<String> = node.channels.iter().map(channel).collect();
    if words.is_empty() {
        words.push("follows nobody".into());
    }
    words.extend(node.difference.as_ref().map(|found| found.words()));
    words.join("; ")
}

fn channel(channel: &Channel) -> String {
    let name = match channel.name.as_str() {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    let applier = match channel.applier_running {
        true => "running",
        false => "stopped",
    };
    let threads = match channel.receiver {
        Receiver::Running if channel.applier_running => String::new(),
        Receiver::Running => format!(", receiver running, applier {applier}"),
        Receiver::Connecting => format!(", receiver connecting, applier {applier}"),
        Receiver::Stopped => format!(", receiver stopped, applier {applier}"),
    };
    let lag = match channel.seconds_behind {
        Some(seconds) => format!("{seconds} s behind"),
        None => "lag unknown".into(),
    };
    format!(
        "follows {}{name}{threads}, {lag}, {}",
        channel.source,
        channel.backlog.words()
    )
}

/// A line per thing to say, its name before it.
fn said(what: &str, text: &str) -> String {
    format!("  {what:<12}{}", one_line(text))
}

fn details(node: &NodeStatus) -> Vec<String> {
    let mut lines = vec![format!("{}, {}", node.name, node.address)];
    let place = [("GTID", &node.gtid), ("binary log", &node.binlog_end)];
    for (what, text) in place.into_iter().chain([("semi-sync", &node.semi_sync)]) {
        if let Some(text) = text {
            lines.push(said(what, text));
        }
    }
    for error in node.channels.iter().flat_map(|channel| &channel.errors) {
        lines.push(said("error", error));
    }
    lines
}

impl HereStatus {
    fn lines(&self, paint: Paint) -> Vec<String> {
        let mut lines = vec!["this node *".to_owned()];
        let (word, tone) = match self.healthy {
            true => ("healthy", Tone::Good),
            false => ("unhealthy", Tone::Bad),
        };
        lines.push(paint.line(tone, &said("check", &format!("{word}: {}", self.why))));
        if !self.keepalived {
            lines.push(paint.line(Tone::Doubtful, &said("keepalived", "does not run")));
        }
        if let Some(drift) = &self.drift {
            lines.push(paint.line(Tone::Doubtful, &said("to repair", drift)));
        }
        for mark in &self.marks {
            lines.push(paint.line(Tone::Bad, &said(mark.mark, &mark.why)));
        }
        let last = match &self.last_transition {
            Some(last) => format!(
                "{} {}: {} ({}): {}",
                last.began,
                last.transition,
                last.outcome,
                length(last.took_ms),
                last.goal
            ),
            None => "no transition yet".into(),
        };
        lines.push(said("last", &last));
        lines
    }
}
