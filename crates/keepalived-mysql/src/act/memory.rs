//! What this node remembers between two runs of its programs.
//!
//! `state_dir` keeps what must survive a reboot: the highest epoch seen, whom we followed, whether
//! we diverged. `run_dir` keeps what a reboot rightly forgets.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::decide::health::PeerBrief;
use crate::decide::rule::{Refusal, Rule};
use crate::decide::{FencedMark, InSync, Memory};
use crate::epoch::Epoch;
use crate::ledger::files::{Durability, ReadOutcome};
use crate::ledger::record::RecordState;
use crate::lock::{Waited, open_lock, wait_for};
use crate::role::{Intent, Role};
use crate::sys::{Birth, boottime_now};
use crate::view::{Facts, NodeView, State};

const LASTING: &str = "memory.json";
const SYNC: &str = "sync.json";
const WAITING: &str = "waiting.json";
const NOT_DURABLE: &str = "not-durable.json";
const OPENED: &str = "opened.json";
const FENCED: &str = "fenced.json";
const BASELINE: &str = "baseline.json";
const REFUSED: &str = "refused.json";
const PEERS: &str = "peers.json";
const CONTRADICTION: &str = "contradiction.json";
const BINLOG_BASE: &str = "binlog-base.json";
const HELD: &str = "held.json";
const VERDICT: &str = "verdict.json";
const REJOIN: &str = "rejoin.json";

/// The part of the memory that survives a reboot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Lasting {
    highest_epoch: Epoch,
    highest_opened: Epoch,
    followed_epoch: Epoch,
    diverged: Option<String>,
}

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

/// The epochs that were there when keepalived said MASTER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Baseline {
    birth: Birth,
    fence: Epoch,
}

/// A refused promotion, and when it is worth another look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    boot_id: String,
    attempts: u32,
    next_at: Duration,
    /// False once a later look found the reason gone; the count of attempts stays until a
    /// promotion succeeds, so that a node that fails again and again is tried ever more rarely.
    holds: bool,
}

/// A rejoin that failed, and when to try again.
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

/// A contradiction between the recorded role and what the host shows, seen by one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Contradiction {
    role: Role,
    against: Option<Intent>,
    check: Birth,
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

    fn lasting(&self) -> Lasting {
        let Some(state) = &self.state else {
            return Lasting::default();
        };
        // An unreadable file is set aside and logged; the epochs are in the servers' tables as well.
        state.read(LASTING).ok().unwrap_or_default()
    }

    /// Changes the lasting memory under a lock: a hook and a repair meet here in every failover, and
    /// neither may undo what the other has just written.
    fn change_lasting(&self, change: impl FnOnce(&mut Lasting)) -> Result<(), String> {
        let _lock = self.memory_lock();
        let before = self.lasting();
        let mut after = before.clone();
        change(&mut after);
        if before == after {
            return Ok(());
        }
        self.keep(LASTING, &after, Durability::Fsync)
    }

    /// Best effort: without the lock a memory is better than none.
    fn memory_lock(&self) -> Option<std::fs::File> {
        let path = self.state.as_ref()?.path().join("memory.lock");
        let file = open_lock(&path).ok()?;
        let deadline = Instant::now() + Duration::from_secs(1);
        match wait_for(&file, deadline, &|| true) {
            Ok(Waited::Locked) => Some(file),
            _ => {
                log::warn!("{} is held too long; going on without it", path.display());
                None
            }
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
            in_sync: self.in_sync(),
            opened_in_this_boot: self.age(OPENED).is_some(),
            waited: self.age(WAITING).unwrap_or_default(),
            fenced: self.fenced_mark(),
        }
    }

    /// How long ago a moment of this boot was noted.
    fn age(&self, name: &str) -> Option<Duration> {
        let moment: Moment = self.recall(name)?;
        (moment.boot_id == self.boot_id).then(|| boottime_now().saturating_sub(moment.at))
    }

    fn note_moment(&self, name: &str) {
        self.note(
            name,
            &Moment {
                boot_id: self.boot_id.clone(),
                at: boottime_now(),
            },
        );
    }

    /// Remembers the highest epoch that stands anywhere in `nodes`, durably.
    pub fn remember_epochs<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeView>) {
        let facts: Vec<&Facts> = nodes
            .into_iter()
            .filter_map(|node| node.facts.as_ref())
            .collect();
        let highest = facts.iter().map(|facts| facts.highest_epoch()).max();
        let opened = facts.iter().map(|facts| facts.own_epoch()).max();
        let written = self.change_lasting(|lasting| {
            if withdrawn(&facts, &lasting.highest_opened) {
                lasting.highest_opened = lasting.followed_epoch.clone();
            }
            lasting.highest_epoch = lasting
                .highest_epoch
                .clone()
                .max(highest.unwrap_or_default());
            lasting.highest_opened = lasting
                .highest_opened
                .clone()
                .max(opened.unwrap_or_default());
        });
        if let Err(error) = written {
            log::warn!("cannot remember the epochs that were seen: {error}");
        }
    }

    /// Remembers one epoch, durably.
    pub fn remember_epoch(&self, epoch: &Epoch) -> Result<(), String> {
        self.change_lasting(|lasting| {
            if *epoch > lasting.highest_epoch {
                lasting.highest_epoch = epoch.clone();
            }
        })
    }

    /// This node is a verified replica of whoever serves under `epoch`, and has nothing of its own.
    pub fn remember_following(&self, epoch: &Epoch) {
        let written = self.change_lasting(|lasting| {
            lasting.followed_epoch = epoch.clone();
            lasting.highest_epoch = lasting.highest_epoch.clone().max(epoch.clone());
            lasting.diverged = None;
        });
        if let Err(error) = written {
            log::warn!("cannot remember whom this node follows: {error}");
        }
    }

    /// This node was vetted and is pointed at whoever serves under `epoch`. Written before the threads
    /// start, so that what they bring is never taken for this node's own.
    pub fn remember_pointed(&self, epoch: &Epoch) -> Result<(), String> {
        self.change_lasting(|lasting| lasting.followed_epoch = epoch.clone())
    }

    /// This node holds transactions that the serving node does not have.
    pub fn remember_diverged(&self, why: &str) {
        let written = self.change_lasting(|lasting| lasting.diverged = Some(why.to_owned()));
        if let Err(error) = written {
            log::error!("cannot write down that this node has diverged ({why}): {error}");
        }
    }

    /// This replica was just seen with everything applied; its server started at `server_started`.
    pub fn note_in_sync(&self, server_started: Duration) {
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

    /// The reason why a promotion was refused or failed, as long as it holds.
    pub fn refused(&self) -> Option<Refused> {
        self.last_refused().filter(|refused| refused.holds)
    }

    fn last_refused(&self) -> Option<Refused> {
        self.recall(REFUSED)
            .filter(|refused: &Refused| refused.boot_id == self.boot_id)
    }

    /// The account cannot make commits durable.
    pub fn note_not_durable(&self) {
        self.note_moment(NOT_DURABLE);
    }

    /// Whether making commits durable failed in this boot.
    pub fn known_not_durable(&self) -> bool {
        self.age(NOT_DURABLE).is_some()
    }

    /// A higher epoch serves elsewhere: the VIP shall go there at once, not after a refused promotion.
    pub fn note_superseded(&self, by: &Epoch) {
        self.note_refused(&Refusal::new(
            Rule::HigherEpoch,
            format!("epoch {by} was opened above ours"),
            format!(
                "let {} have the VIP; this node rejoins it by itself",
                by.node
            ),
        ));
    }

    /// A later look found another reason, or the same.
    pub fn update_refused(&self, refusal: &Refusal) {
        if let Some(before) = self.refused().filter(|before| before.refusal != *refusal) {
            self.note(
                REFUSED,
                &Refused {
                    refusal: refusal.clone(),
                    ..before
                },
            );
        }
        self.note_waiting(refusal);
    }

    /// How long a node of unknown age has waited for its peer is counted from the first refusal.
    fn note_waiting(&self, refusal: &Refusal) {
        if refusal.rule != Rule::BootRule {
            self.forget(WAITING);
        } else if self.age(WAITING).is_none() {
            self.note_moment(WAITING);
        }
    }

    /// Every peer can be asked, so nobody has to wait for one.
    pub fn forget_waiting(&self) {
        self.forget(WAITING);
    }

    /// Keeps the reason of a refusal. Where waiting helps, the next look comes after a second;
    /// otherwise later each time, up to a minute.
    pub fn note_refused(&self, refusal: &Refusal) {
        let attempts = match self.last_refused() {
            Some(before) if !refusal.rule.worth_waiting() => before.attempts.saturating_add(1),
            _ => 0,
        };
        self.note(
            REFUSED,
            &Refused {
                refusal: refusal.clone(),
                boot_id: self.boot_id.clone(),
                attempts,
                next_at: boottime_now() + pause(attempts),
                holds: true,
            },
        );
        self.note_waiting(refusal);
    }

    /// A later look found the reason gone.
    pub fn reason_is_gone(&self) {
        if let Some(refused) = self.last_refused() {
            self.note(
                REFUSED,
                &Refused {
                    holds: false,
                    ..refused
                },
            );
        }
    }

    /// A promotion succeeded.
    pub fn forget_refused(&self) {
        self.forget(REFUSED);
        self.forget(WAITING);
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

    /// Keeps the fence row as it was when keepalived said MASTER; whatever is raised above it later,
    /// by another node, was raised against us.
    pub fn note_baseline(&self, fence: &Epoch) {
        let Some(intent) = self
            .basis
            .as_ref()
            .filter(|intent| intent.role == Role::Master)
        else {
            return;
        };
        let known: Option<Baseline> = self.recall(BASELINE);
        if known.is_none_or(|known| known.birth != intent.birth) {
            self.note(
                BASELINE,
                &Baseline {
                    birth: intent.birth.clone(),
                    fence: fence.clone(),
                },
            );
        }
    }

    /// A Master that is told MASTER again keeps the fence row that it began with.
    pub fn carry_baseline(&self, before: &Intent, after: &Intent) {
        let known: Option<Baseline> = self.recall(BASELINE);
        if let Some(known) = known.filter(|known| known.birth == before.birth) {
            self.note(
                BASELINE,
                &Baseline {
                    birth: after.birth.clone(),
                    fence: known.fence,
                },
            );
        }
    }

    /// The mark of a node that was fenced while MASTER, as long as the keepalived runs that said MASTER.
    fn fenced_mark(&self) -> Option<FencedMark> {
        let mark: FencedMark = self.recall(FENCED)?;
        // A keepalived that cannot be seen for a moment is no other one.
        if self
            .keepalived_pid()
            .is_none_or(|pid| pid == mark.keepalived_pid)
        {
            return Some(mark);
        }
        self.end_fenced_mark();
        None
    }

    /// With the mark ends the refusal that it caused: nobody has to wait for the next look at that.
    fn end_fenced_mark(&self) {
        self.forget(FENCED);
        if self
            .refused()
            .is_some_and(|refused| refused.refusal.rule == Rule::Fenced)
        {
            self.forget_refused();
        }
    }

    /// Looks whether another node raised the fence row against this one while it was MASTER. In a planned
    /// move the role is taken away first, perhaps since this program began: then nobody was fenced.
    pub fn update_fenced_mark(&self, me: &NodeView) {
        let (Some(facts), Some(pid), Some(intent)) =
            (&me.facts, self.keepalived_pid(), &self.basis)
        else {
            return;
        };
        let baseline: Option<Baseline> = self.recall(BASELINE);
        let Some(baseline) = baseline.filter(|known| known.birth == intent.birth) else {
            return;
        };
        let fence = &facts.fence.epoch;
        let against_us = intent.role == Role::Master
            && me.state == State::Closed
            && fence.node != self.node.name
            && *fence > baseline.fence.max(facts.own_epoch());
        if against_us && self.still_wanted() && self.site().vip_here {
            log::warn!(
                "fenced by {} under epoch {fence} while keepalived says MASTER here",
                fence.node
            );
            self.note(
                FENCED,
                &FencedMark {
                    by: fence.clone(),
                    keepalived_pid: pid,
                },
            );
        }
    }

    /// The mark ends when the fencer has given up or no longer serves.
    pub fn lift_fenced_mark(&self, peers: &[NodeView]) {
        let Some(mark) = self.fenced_mark() else {
            return;
        };
        let Some(fencer) = peers.iter().find(|peer| peer.name == mark.by.node) else {
            return;
        };
        let withdrew = fencer.facts.as_ref().is_some_and(|facts| {
            facts
                .promotions
                .iter()
                .any(|record| record.epoch == mark.by && record.state == RecordState::Withdrawn)
        });
        let closed =
            matches!(fencer.state, State::Closed | State::Down) && !claims(fencer, &mark.by);
        if withdrew || closed {
            log::info!(
                "{} no longer serves: this node may be promoted again",
                fencer.name
            );
            self.end_fenced_mark();
            // A MASTER that was never told otherwise begins anew with the fence row as it is now.
            self.forget(BASELINE);
        }
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
        self.recall(REJOIN).is_none_or(|backoff: Backoff| {
            backoff.boot_id != self.boot_id || boottime_now() >= backoff.next_at
        })
    }

    /// A rejoin failed or was held.
    pub fn note_rejoin_failed(&self) {
        let before: Option<Backoff> = self.recall(REJOIN);
        let attempts = before.map_or(0, |before| before.attempts.saturating_add(1));
        self.note(
            REJOIN,
            &Backoff {
                boot_id: self.boot_id.clone(),
                attempts,
                next_at: boottime_now() + pause(attempts),
            },
        );
    }

    /// A rejoin succeeded.
    pub fn forget_rejoin_failed(&self) {
        self.forget(REJOIN);
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

    /// Host and keepalived agree with the recorded role.
    pub fn forget_contradiction(&self) {
        self.forget(CONTRADICTION);
    }
}

/// The pause after a number of failures: 1 s, doubling, at most a minute.
fn pause(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.min(6)).min(Duration::from_secs(60))
}

/// Whether an epoch that looked like an opening came to nothing after all.
fn withdrawn(nodes: &[&Facts], epoch: &Epoch) -> bool {
    let mut records = nodes.iter().flat_map(|facts| &facts.promotions);
    records.any(|record| record.epoch == *epoch && record.state == RecordState::Withdrawn)
}

/// Whether a closed fencer is still on its way to open under `epoch`.
fn claims(fencer: &NodeView, epoch: &Epoch) -> bool {
    fencer.facts.as_ref().is_some_and(|facts| {
        facts.promotions.iter().any(|record| {
            record.epoch == *epoch
                && matches!(record.state, RecordState::Claim | RecordState::Opening)
        })
    })
}

impl Refused {
    /// Whether the reason is worth another look.
    pub fn due(&self) -> bool {
        boottime_now() >= self.next_at
    }
}
