//! `role.json`: the newest intent of this boot.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::intent::{Intent, supersedes};
use crate::ledger::files::{ReadOutcome, RunDir, StateError};
use crate::lock::{Waited, open_lock, wait_for};
use crate::sys;

const NAME: &str = "role.json";

/// The lock is held for a read and a write in memory; who waits longer meets something broken.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// What became of an intent that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is the newest, and recorded.
    Newest,
    /// This newer one was there already; nothing was changed.
    Superseded(Intent),
}

/// Where the newest intent is kept: `run_dir/GROUP/role.json`.
#[derive(Debug, Clone)]
pub struct IntentStore {
    run: RunDir,
    boot_id: String,
}

impl IntentStore {
    /// The group's store, seen from this boot.
    ///
    /// # Errors
    /// When the kernel does not tell which boot this is.
    pub fn open(run: &RunDir) -> Result<Self, StateError> {
        let boot_id = sys::boot_id().map_err(|why| {
            let path = PathBuf::from("/proc/sys/kernel/random/boot_id");
            StateError::of("read", &path, why)
        })?;
        Ok(Self::in_boot(run, boot_id))
    }

    pub(super) fn in_boot(run: &RunDir, boot_id: String) -> Self {
        Self {
            run: run.clone(),
            boot_id,
        }
    }

    /// Record `intent`, unless a newer one is recorded.
    ///
    /// # Errors
    /// `Busy` when the file's lock is not to be had within 200 ms; else when it cannot be written.
    pub fn record(&self, intent: &Intent) -> Result<Recorded, StateError> {
        let _lock = self.lock()?;
        let newer = self
            .run
            .read::<Intent>(NAME)
            .ok()
            .filter(|found| supersedes(found, intent, &self.boot_id));
        if let Some(newer) = newer {
            return Ok(Recorded::Superseded(newer));
        }
        self.run.write_atomic(NAME, intent)?;
        Ok(Recorded::Newest)
    }

    /// The newest intent of this boot. None if none was recorded, or if the file could not be
    /// trusted and was set aside.
    ///
    /// # Errors
    /// When the file is there but cannot be opened.
    pub fn current(&self) -> Result<Option<Intent>, StateError> {
        let found = match self.run.peek::<Intent>(NAME) {
            ReadOutcome::Unreadable { .. } => self.read_locked()?,
            ReadOutcome::Missing => None,
            ReadOutcome::Ok(intent) => Some(intent),
        };
        Ok(found.filter(|intent| intent.birth.boot_id == self.boot_id))
    }

    /// As [`IntentStore::current`], for who only looks: a file that cannot be trusted counts as none.
    pub fn peek(&self) -> Option<Intent> {
        let found = self.run.peek::<Intent>(NAME).ok();
        found.filter(|intent| intent.birth.boot_id == self.boot_id)
    }

    /// Read again under the lock, where setting a bad file aside cannot take a good one away.
    fn read_locked(&self) -> Result<Option<Intent>, StateError> {
        let _lock = self.lock()?;
        match self.run.read::<Intent>(NAME) {
            ReadOutcome::Ok(intent) => Ok(Some(intent)),
            ReadOutcome::Missing
            | ReadOutcome::Unreadable {
                set_aside: Some(_), ..
            } => Ok(None),
            ReadOutcome::Unreadable { why, .. } => {
                let path = self.run.path().join(NAME);
                Err(StateError::of("read", &path, io::Error::other(why)))
            }
        }
    }

    /// The recorded intent that is newer than `intent`, if there is one.
    ///
    /// # Errors
    /// As [`IntentStore::current`].
    pub fn superseded_by(&self, intent: &Intent) -> Result<Option<Intent>, StateError> {
        let current = self.current()?;
        Ok(current.filter(|found| supersedes(found, intent, &self.boot_id)))
    }

    /// Whether a newer intent than `intent` is recorded. Where that cannot be told, an opening is
    /// taken as superseded and a closing is not: both lead to a closed server.
    pub fn is_superseded(&self, intent: &Intent) -> bool {
        match self.superseded_by(intent) {
            Ok(newer) => newer.is_some(),
            Err(why) => {
                log::warn!(
                    "cannot tell whether the role is still {}: {why}",
                    intent.role
                );
                !intent.role.closes()
            }
        }
    }

    fn lock(&self) -> Result<File, StateError> {
        let path = self.run.path().join("role.lock");
        let file = open_lock(&path).map_err(|why| StateError::of("use", &path, why))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        match wait_for(&file, deadline, &|| true) {
            Ok(Waited::Locked) => Ok(file),
            Ok(_) => Err(StateError::Busy { path }),
            Err(why) => Err(StateError::of("use", &path, why)),
        }
    }
}
