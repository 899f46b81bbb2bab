//! What this node remembers between two runs of its programs.
//!
//! `state_dir` keeps what must survive a reboot: the highest epoch seen, whom we followed, whether
//! we diverged. `run_dir` keeps what a reboot rightly forgets.

mod fenced;
mod lasting;
mod notes;
mod refused;
mod settings;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::decide::{InSync, Memory};
use crate::ledger::files::{Durability, ReadOutcome};
use crate::sys::boottime_now;

use refused::WAITING;

const SYNC: &str = "sync.json";
const POINTED: &str = "pointed.json";
const NOT_DURABLE: &str = "not-durable.json";
const OPENED: &str = "opened.json";

/// Right after the threads start, before the first event has come, every replica looks level.
const FIRST_EVENTS: Duration = Duration::from_secs(1);

/// A sight of "in sync" is written down again when it is older than this.
const NOTED_AGAIN: Duration = Duration::from_secs(5);

/// A moment of this boot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Moment {
    boot_id: String,
    at: Duration,
}

/// A replica seen with everything applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sight {
    boot_id: String,
    at: Duration,
    server_started: Duration,
}

impl Here {
    fn recall<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        // Read without setting aside: several programs write here, and none holds a lock for it.
        match self.run.as_ref()?.peek(name) {
            ReadOutcome::Ok(value) => Some(value),
            ReadOutcome::Missing => None,
            ReadOutcome::Unreadable { why, .. } => {
                log::warn!("{name} in the run folder is unreadable and counts as missing: {why}");
                None
            }
        }
    }

    fn note<T: Serialize>(&self, name: &str, value: &T) {
        let Some(run) = &self.run else {
            return;
        };
        if let Err(error) = run.write_atomic(name, value) {
            log::warn!("cannot write {name} into the run folder: {error}");
        }
    }

    fn forget(&self, name: &str) {
        if let Some(run) = &self.run
            && let Err(error) = run.remove(name)
        {
            log::warn!("cannot remove {name} from the run folder: {error}");
        }
    }

    /// Keeps a document in the state folder.
    pub fn keep<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        durability: Durability,
    ) -> Result<(), String> {
        match &self.state {
            Some(state) => state
                .write_atomic(name, value, durability)
                .map_err(|error| error.to_string()),
            None => Err(self
                .broken
                .clone()
                .unwrap_or_else(|| "no state folder".into())),
        }
    }

    /// Everything that `decide` may know of the past.
    pub fn memory(&self) -> Memory {
        let lasting = self.lasting();
        Memory {
            highest_epoch: lasting.highest_epoch,
            highest_opened: lasting.highest_opened,
            followed_epoch: lasting.followed_epoch,
            diverged: lasting.diverged,
            salvage: lasting.salvage,
            in_sync: self.in_sync(),
            opened_in_this_boot: self.age(OPENED).is_some(),
            waited: self.age(WAITING).unwrap_or_default(),
            fenced: self.fenced_mark(),
            relaxed: self.relaxed(),
        }
    }

    /// How long ago a moment of this boot was noted.
    pub(super) fn age(&self, name: &str) -> Option<Duration> {
        let moment: Moment = self.recall(name)?;
        (moment.boot_id == self.boot_id).then(|| boottime_now().saturating_sub(moment.at))
    }

    pub(super) fn note_moment(&self, name: &str) {
        self.note(
            name,
            &Moment {
                boot_id: self.boot_id.clone(),
                at: boottime_now(),
            },
        );
    }

    /// This replica was just seen with everything applied; its server started at `server_started`.
    pub fn note_in_sync(&self, server_started: Duration) {
        let just_pointed = self.age(POINTED).is_some_and(|age| age < FIRST_EVENTS);
        // Not each second: a little older than the truth is on the safe side, and far below the limit.
        let fresh = (self.config.promote.max_staleness / 10).min(NOTED_AGAIN);
        let known = self
            .in_sync()
            .is_some_and(|sight| sight.server_started == server_started && sight.age < fresh);
        if just_pointed || known {
            return;
        }
        let now = boottime_now();
        self.note(
            SYNC,
            &Sight {
                boot_id: self.boot_id.clone(),
                at: now,
                server_started,
            },
        );
    }

    fn in_sync(&self) -> Option<InSync> {
        let sight: Sight = self.recall(SYNC)?;
        (sight.boot_id == self.boot_id).then(|| InSync {
            age: boottime_now().saturating_sub(sight.at),
            server_started: sight.server_started,
        })
    }

    /// A node that is pointed at a new source is not in sync until it was seen so.
    pub fn forget_in_sync(&self) {
        self.note_moment(POINTED);
        self.forget(SYNC);
    }

    /// This node opened its server in this boot.
    pub fn note_opened(&self) {
        self.note_moment(OPENED);
    }

    /// keepalived took the role away.
    pub fn forget_opened(&self) {
        self.forget(OPENED);
    }

    /// The account cannot make commits durable.
    pub fn note_not_durable(&self) {
        self.note_moment(NOT_DURABLE);
    }

    /// Whether making commits durable failed in this boot.
    pub fn known_not_durable(&self) -> bool {
        self.age(NOT_DURABLE).is_some()
    }
}

/// The pause after a number of failures: 1 s, doubling, at most a minute.
fn pause(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.min(6)).min(Duration::from_secs(60))
}
