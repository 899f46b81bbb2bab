//! Small notes of one run for the next: peers as last seen, the last verdict, failed rejoins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::act::memory::pause;
use crate::decide::health::PeerBrief;
use crate::ledger::files::Durability;
use crate::replication::position::BinlogPosition;
use crate::replication::replica::ReplicaStatus;
use crate::role::{Intent, Role};
use crate::sys::{Birth, boottime_now};
use crate::view::NodeView;

const PEERS: &str = "peers.json";
const LOOKED: &str = "looked.json";
const CONTRADICTION: &str = "contradiction.json";
const BINLOG_BASE: &str = "binlog-base.json";
const HELD: &str = "held.json";
const VERDICT: &str = "verdict.json";
const REJOIN: &str = "rejoin.json";
const SALVAGE: &str = "salvage.json";

/// Something that failed, and when to try again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Backoff {
    boot_id: String,
    attempts: u32,
    next_at: Duration,
}

/// Recent looks at the peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Briefs {
    boot_id: String,
    at: Duration,
    peers: Vec<PeerBrief>,
}

fn backoff_file(kind: &str) -> String {
    format!("{kind}-failed.json")
}

/// A contradiction between the recorded role and what the host shows, seen by one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Contradiction {
    role: Role,
    against: Option<Intent>,
    check: Birth,
}

impl Here {
    /// Keeps the settings of a channel that is about to be forgotten.
    pub fn keep_channel(&self, channel: &ReplicaStatus) {
        if let Err(error) = self.keep("channel.json", channel, Durability::Cache) {
            log::warn!("cannot keep the channel's settings: {error}");
        }
    }

    /// Keeps a recent look at the peers for the checks that follow.
    pub fn note_peers(&self, peers: &[NodeView]) {
        self.note(
            PEERS,
            &Briefs {
                boot_id: self.boot_id.clone(),
                at: boottime_now(),
                peers: peers.iter().map(PeerBrief::of).collect(),
            },
        );
    }

    /// A repair begins to look at the peers.
    pub fn note_looking(&self) {
        self.note_moment(LOOKED);
    }

    /// Whether the peers are to be looked at again. A little early, because the next check comes only
    /// after keepalived's own interval.
    pub fn peer_look_due(&self) -> bool {
        let interval = self.config.check.peer_interval;
        self.age(LOOKED)
            .is_none_or(|age| age >= interval - interval / 10)
    }

    /// Looks at the peers that are no older than `longest`; none otherwise.
    pub fn recent_peers(&self, longest: Duration) -> Vec<PeerBrief> {
        self.recall(PEERS)
            .filter(|briefs: &Briefs| {
                briefs.boot_id == self.boot_id
                    && boottime_now().saturating_sub(briefs.at) <= longest
            })
            .map(|briefs| briefs.peers)
            .unwrap_or_default()
    }

    /// Keeps where the server's binary log lies, for the day when the server is dead.
    pub fn note_binlog_base(&self, base: Option<&str>) {
        if let Some(base) = base
            && self.binlog_base().as_deref() != Some(base)
        {
            self.note(BINLOG_BASE, &base);
        }
    }

    /// Where the server's binary log lies.
    pub fn binlog_base(&self) -> Option<String> {
        self.recall(BINLOG_BASE)
    }

    /// Keeps a verdict. True if the last one was the same.
    pub fn said_before<T: Serialize + DeserializeOwned + PartialEq>(&self, verdict: &T) -> bool {
        let before: Option<T> = self.recall(VERDICT);
        let same = before.as_ref() == Some(verdict);
        if !same {
            self.note(VERDICT, verdict);
        }
        same
    }

    /// Whether a rejoin is worth another try: 1 s after the first failure, up to a minute later on.
    pub fn rejoin_due(&self) -> bool {
        self.due_at(REJOIN)
    }

    /// A rejoin failed or was held.
    pub fn note_rejoin_failed(&self) {
        self.put_off(REJOIN);
    }

    /// A rejoin succeeded.
    pub fn forget_rejoin_failed(&self) {
        self.forget(REJOIN);
    }

    /// Whether settings of this kind are worth another try; pauses as after a rejoin.
    pub fn due(&self, kind: &str) -> bool {
        self.due_at(&backoff_file(kind))
    }

    /// Settings of this kind could not be set.
    pub fn note_failed(&self, kind: &str) {
        self.put_off(&backoff_file(kind));
    }

    /// Settings of this kind were set.
    pub fn forget_failed(&self, kind: &str) {
        self.forget(&backoff_file(kind));
    }

    fn due_at(&self, name: &str) -> bool {
        self.recall(name).is_none_or(|backoff: Backoff| {
            backoff.boot_id != self.boot_id || boottime_now() >= backoff.next_at
        })
    }

    fn put_off(&self, name: &str) {
        let before: Option<Backoff> = self.recall(name);
        let attempts = before.map_or(0, |before| before.attempts.saturating_add(1));
        self.note(
            name,
            &Backoff {
                boot_id: self.boot_id.clone(),
                attempts,
                next_at: boottime_now() + pause(attempts),
            },
        );
    }

    /// Keeps why this node follows nobody. True if it was for the same reason before.
    pub fn hold_is_known(&self, why: &str) -> bool {
        let before: Option<String> = self.recall(HELD);
        let known = before.as_deref() == Some(why);
        if !known {
            self.note(HELD, &why);
        }
        known
    }

    /// Keeps that nothing new stood in the binary log up to `end` beside what a salvage holds.
    pub fn note_salvage_seen(&self, folder: &Path, end: Option<&BinlogPosition>) {
        self.note(SALVAGE, &(folder, end));
    }

    /// Up to where the binary log is known to hold nothing new beside what a salvage holds.
    pub fn salvage_seen(&self, folder: &Path) -> Option<BinlogPosition> {
        let (seen, end): (PathBuf, Option<BinlogPosition>) = self.recall(SALVAGE)?;
        end.filter(|_| seen == folder)
    }

    /// Counts a contradiction. True if an earlier check saw the same one.
    pub fn contradicted_twice(&self, role: Role, check: &Birth) -> bool {
        let now = Contradiction {
            role,
            against: self.basis.clone(),
            check: check.clone(),
        };
        let before: Option<Contradiction> = self.recall(CONTRADICTION);
        let twice = before.as_ref().is_some_and(|before| {
            before.role == now.role && before.against == now.against && before.check != now.check
        });
        if !twice && before.as_ref() != Some(&now) {
            self.note(CONTRADICTION, &now);
        }
        twice
    }

    /// Whether an earlier check saw a contradiction.
    pub fn contradiction_is_noted(&self) -> bool {
        let run = self.run.as_ref();
        run.is_none_or(|run| run.path().join(CONTRADICTION).exists())
    }

    /// Host and keepalived agree with the recorded role.
    pub fn forget_contradiction(&self) {
        self.forget(CONTRADICTION);
    }
}
