//! What the steps that set a server up for its role remember.

use std::time::Duration;

use crate::act::here::Here;
use crate::act::memory::Moment;
use crate::decide::Relaxed;
use crate::ledger::files::{Durability, ReadOutcome};
use crate::replication::events::KnownEvents;
use crate::sys::boottime_now;

const RELAXED: &str = "relaxed.json";
const EVENTS: &str = "events.json";
const EVENTS_LOOK: &str = "events-look.json";
const SEMI_SYNC: &str = "semi-sync.json";

impl Here {
    /// This standby's durability is about to be relaxed. Written, durably, before it is: after a power
    /// loss nobody else could tell.
    pub fn note_relaxed(&self) -> Result<(), String> {
        let moment = Moment {
            boot_id: self.boot_id.clone(),
            at: boottime_now(),
        };
        self.keep(RELAXED, &moment, Durability::Fsync)
    }

    /// Every commit is flushed again, and so is what came before.
    pub fn forget_relaxed(&self) {
        if let Some(state) = &self.state
            && let Err(error) = state.remove(RELAXED)
        {
            log::warn!("cannot remove {RELAXED} from the state folder: {error}");
        }
    }

    /// Whether this standby's durability was relaxed.
    pub(super) fn relaxed(&self) -> Relaxed {
        let found: Option<Moment> =
            self.state
                .as_ref()
                .and_then(|state| match state.read(RELAXED) {
                    ReadOutcome::Ok(moment) => Some(moment),
                    _ => None,
                });
        match found {
            None => Relaxed::No,
            Some(moment) if moment.boot_id == self.boot_id => Relaxed::InThisBoot,
            Some(_) => Relaxed::BeforeThisBoot,
        }
    }

    /// Which events ran on the serving node.
    pub fn known_events(&self) -> KnownEvents {
        let state = self.state.as_ref();
        state
            .and_then(|state| state.read(EVENTS).ok())
            .unwrap_or_default()
    }

    /// Keeps which events ran on the serving node.
    pub fn keep_known_events(&self, known: &KnownEvents) -> Result<(), String> {
        if self.known_events() == *known {
            return Ok(());
        }
        self.keep(EVENTS, known, Durability::Fsync)
    }

    /// Whether the serving node's events were looked at within `interval`; notes the look if not.
    pub fn events_look_due(&self, interval: Duration) -> bool {
        let due = self.age(EVENTS_LOOK).is_none_or(|age| age >= interval);
        if due {
            self.note_moment(EVENTS_LOOK);
        }
        due
    }

    /// Keeps what was said of semi-sync. True if it was the same before.
    pub fn semi_sync_said(&self, said: &str) -> bool {
        let before: Option<String> = self.recall(SEMI_SYNC);
        let same = before.as_deref() == Some(said);
        if !same {
            self.note(SEMI_SYNC, &said);
        }
        same
    }
}
