//! What happened when, by the lab's own eyes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::now_us;
use crate::ledger::ms;
use crate::options::NodeId;

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Accepts application writes.
    Open,
    /// Refuses them.
    Closed,
    /// Nobody listens.
    Down,
    /// Does not answer.
    Silent,
}

/// Something that the lab did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Done by the scenario.
    Note(String),
    /// A fault made by the scenario.
    Fault(String),
    /// The VIP came to a node or left it.
    Vip(NodeId, bool),
    /// A server's answer changed.
    Server(NodeId, ServerState),
    /// A replica's threads or source changed.
    Replica(NodeId, String),
}

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Microseconds of CLOCK_MONOTONIC.
    pub at_us: u64,
    /// What it was.
    pub what: What,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => f.write_str(text),
            Self::Fault(text) => write!(f, "FAULT: {text}"),
            Self::Vip(node, true) => write!(f, "{node}: the VIP is here"),
            Self::Vip(node, false) => write!(f, "{node}: the VIP is gone"),
            Self::Server(node, state) => {
                let text = match state {
                    ServerState::Open => "open for writes",
                    ServerState::Closed => "closed",
                    ServerState::Down => "down",
                    ServerState::Silent => "silent",
                };
                write!(f, "{node}: the server is {text}")
            }
            Self::Replica(node, text) => write!(f, "{node}: {text}"),
        }
    }
}

/// A list of events that several threads add to.
#[derive(Debug, Clone)]
pub struct Timeline {
    begun_us: u64,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            begun_us: now_us(),
            events: Arc::default(),
        }
    }
}

impl Timeline {
    /// Adds an event that happened just now, and returns its time.
    pub fn add(&self, what: What) -> u64 {
        let at_us = now_us();
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Event { at_us, what });
        at_us
    }

    /// All events in order of time.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut all = self
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        all.sort_by_key(|event| event.at_us);
        all
    }

    /// When the first fault was made.
    #[must_use]
    pub fn first_fault_us(&self) -> Option<u64> {
        let events = self.events();
        let mut faults = events
            .iter()
            .filter(|event| matches!(event.what, What::Fault(_)));
        faults.next().map(|event| event.at_us)
    }

    /// When the last fault was made.
    #[must_use]
    pub fn last_fault_us(&self) -> Option<u64> {
        let events = self.events();
        let mut faults = events
            .iter()
            .rev()
            .filter(|event| matches!(event.what, What::Fault(_)));
        faults.next().map(|event| event.at_us)
    }

    /// When the lab began.
    #[must_use]
    pub fn begun_us(&self) -> u64 {
        self.begun_us
    }

    /// The events as lines, with milliseconds since `zero_us`, leaving out what lies before `from_us`.
    #[must_use]
    pub fn lines(&self, zero_us: u64, from_us: u64) -> Vec<String> {
        let shown = self
            .events()
            .into_iter()
            .filter(|event| event.at_us >= from_us);
        shown
            .map(|event| format!("{} ms  {}", since(event.at_us, zero_us), event.what))
            .collect()
    }
}

fn since(at_us: u64, zero_us: u64) -> String {
    let sign = if at_us < zero_us { '-' } else { '+' };
    format!(
        "{:>10}",
        format!("{sign}{:.1}", ms(at_us.abs_diff(zero_us)))
    )
}
