//! What survives a reboot: epochs, whom we followed, whether we diverged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::epoch::Epoch;
use crate::ledger::files::Durability;
use crate::ledger::record::RecordState;
use crate::lock::{Waited, open_lock, wait_for};
use crate::view::{Facts, NodeView};

const LASTING: &str = "memory.json";

/// The part of the memory that survives a reboot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lasting {
    pub(super) highest_epoch: Epoch,
    pub(super) highest_opened: Epoch,
    /// What `highest_opened` was before, in case that opening comes to nothing.
    pub(super) opened_before: Epoch,
    pub(super) followed_epoch: Epoch,
    pub(super) diverged: Option<String>,
    /// Where the transactions behind `diverged` were salvaged to.
    pub(super) salvage: Option<PathBuf>,
}

impl Here {
    pub(super) fn lasting(&self) -> Lasting {
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
                lasting.highest_opened = lasting.opened_before.clone();
            }
            lasting.highest_epoch = lasting
                .highest_epoch
                .clone()
                .max(highest.unwrap_or_default());
            let opened = opened.unwrap_or_default();
            if opened > lasting.highest_opened {
                lasting.opened_before = std::mem::replace(&mut lasting.highest_opened, opened);
            }
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
            lasting.salvage = None;
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
    /// `salvage` is where they were copied to, once they were.
    pub fn remember_diverged(&self, why: &str, salvage: Option<&Path>) {
        let written = self.change_lasting(|lasting| {
            lasting.diverged = Some(why.to_owned());
            lasting.salvage = salvage.map(Path::to_owned);
        });
        if let Err(error) = written {
            log::error!("cannot write down that this node has diverged ({why}): {error}");
        }
    }
}

/// Whether an epoch that looked like an opening came to nothing after all.
fn withdrawn(nodes: &[&Facts], epoch: &Epoch) -> bool {
    let mut records = nodes.iter().flat_map(|facts| &facts.promotions);
    records.any(|record| record.epoch == *epoch && record.state == RecordState::Withdrawn)
}
