//! Scheduled events, and which of them the serving node ran.
//!
//! A replica disables every event that reaches it through replication, whatever its state on the source:
//! an event that its owner disabled looks there like one that ran (tried on MariaDB 10.5 to 11.8, MySQL
//! 5.6 and 9.7; MySQL manual, "Replication of Invoked Features"). So what ran is written down while the
//! source can be asked.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventName {
    /// Its schema.
    pub schema: String,
    /// Its own name.
    pub name: String,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What a server does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStatus {
    /// Runs it when it is due.
    Enabled,
    /// Does not, because somebody said so on this server.
    Disabled,
    /// Does not, because it came through replication (`SLAVESIDE_DISABLED`, `REPLICA_SIDE_DISABLED`), or because
    /// somebody said `DISABLE ON SLAVE`.
    DisabledOnReplica,
}

impl EventStatus {
    /// Reads the server's word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "ENABLED" => Some(Self::Enabled),
            "DISABLED" => Some(Self::Disabled),
            "SLAVESIDE_DISABLED" | "REPLICA_SIDE_DISABLED" => Some(Self::DisabledOnReplica),
            _ => None,
        }
    }
}

/// One event of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: EventName,
    /// The account it runs as, `user@host`.
    pub definer: String,
    /// What the server does with it.
    pub status: EventStatus,
    /// The character set that its text is read in; an ALTER of another session would change it.
    pub charset: String,
    /// The collation that its text is compared with.
    pub collation: String,
}

/// The events that ran on the serving node when it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownEvents {
    /// Their names.
    pub enabled: BTreeSet<EventName>,
}

impl KnownEvents {
    /// What is known after a look at the serving node. An event that it has not enabled yet, because it
    /// has just been opened or may not, goes on counting as one that ran.
    #[must_use]
    pub fn after_looking_at(&self, source: &[Event]) -> Self {
        let counts = |event: &&Event| match event.status {
            EventStatus::Enabled => true,
            EventStatus::Disabled => false,
            EventStatus::DisabledOnReplica => self.enabled.contains(&event.name),
        };
        Self {
            enabled: names(source.iter().filter(counts)),
        }
    }

    /// What is known once this node's own events are disabled.
    #[must_use]
    pub fn with_own(&self, own: &[Event]) -> Self {
        let mut known = self.clone();
        known.enabled.extend(names(running(own)));
        known
    }

    /// The events of this node that ran on the one that served before.
    pub fn to_enable<'a>(&self, own: &'a [Event]) -> Vec<&'a Event> {
        on_replica(own)
            .filter(|event| self.enabled.contains(&event.name))
            .collect()
    }

    /// The events of this node that replication disabled, and nobody saw run.
    pub fn to_leave<'a>(&self, own: &'a [Event]) -> Vec<&'a Event> {
        on_replica(own)
            .filter(|event| !self.enabled.contains(&event.name))
            .collect()
    }
}

/// The events that a server runs.
pub fn running(events: &[Event]) -> impl Iterator<Item = &Event> {
    events
        .iter()
        .filter(|event| event.status == EventStatus::Enabled)
}

fn on_replica(events: &[Event]) -> impl Iterator<Item = &Event> {
    events
        .iter()
        .filter(|event| event.status == EventStatus::DisabledOnReplica)
}

fn names<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeSet<EventName> {
    events.map(|event| event.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventStatus::{Disabled, DisabledOnReplica, Enabled};

    fn event(name: &str, status: EventStatus) -> Event {
        Event {
            name: EventName {
                schema: "shop".into(),
                name: name.into(),
            },
            definer: "app@localhost".into(),
            status,
            charset: "utf8mb4".into(),
            collation: "utf8mb4_general_ci".into(),
        }
    }

    fn known(names: &[&str]) -> KnownEvents {
        let all = names.iter().map(|name| event(name, Enabled).name);
        KnownEvents {
            enabled: all.collect(),
        }
    }

    #[test]
    fn an_event_that_its_owner_disabled_stays_disabled() {
        let source = [event("purge", Enabled), event("old", Disabled)];
        let known = KnownEvents::default().after_looking_at(&source);
        // Replication disables both alike.
        let own = [
            event("purge", DisabledOnReplica),
            event("old", DisabledOnReplica),
        ];
        assert_eq!(known.to_enable(&own), [&own[0]]);
        assert_eq!(known.to_leave(&own), [&own[1]]);
    }

    #[test]
    fn what_a_new_source_has_not_enabled_yet_is_not_forgotten() {
        let before = known(&["purge", "report", "gone"]);
        let source = [
            event("purge", DisabledOnReplica),
            event("report", Disabled),
            event("other", DisabledOnReplica),
            event("new", Enabled),
        ];
        assert_eq!(before.after_looking_at(&source), known(&["new", "purge"]));
    }

    #[test]
    fn own_events_are_known_before_they_are_disabled() {
        let own = [event("purge", Enabled), event("off", Disabled)];
        assert_eq!(
            known(&["failed"]).with_own(&own),
            known(&["failed", "purge"])
        );
    }

    #[test]
    fn both_products_words_are_read() {
        for (word, status) in [
            ("ENABLED", Enabled),
            ("DISABLED", Disabled),
            ("SLAVESIDE_DISABLED", DisabledOnReplica),
            ("REPLICA_SIDE_DISABLED", DisabledOnReplica),
        ] {
            assert_eq!(EventStatus::parse(word), Some(status));
        }
        assert_eq!(EventStatus::parse("?"), None);
    }
}
