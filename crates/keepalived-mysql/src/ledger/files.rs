//! State files: written whole or not at all, read with distrust.
//!
//! Each file is one JSON document `{"format": 1, "kind": …, "data": …}`, written to a temporary
//! file in the same folder and renamed into place. What cannot be read is set aside and reported;
//! it is never trusted and never stops a closing.

mod error;
mod folder;
mod history;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::StateError;
pub use folder::{Durability, FORMAT, ReadOutcome};
pub use history::{BrokenLine, HISTORY, HISTORY_LIMIT, History};

use crate::config::Config;
use folder::Folder;

/// `state_dir/GROUP`: what must survive a reboot.
#[derive(Debug, Clone)]
pub struct StateDir(Folder);

impl StateDir {
    /// The state folder of the configuration's group; made (0750) if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, belongs to another user, or others can write to it.
    pub fn open(config: &Config) -> Result<Self, StateError> {
        Self::at(&config.state_dir.join(&config.group))
    }

    /// As [`StateDir::open`], with the folder itself given.
    ///
    /// # Errors
    /// As [`StateDir::open`].
    pub fn at(path: &Path) -> Result<Self, StateError> {
        Folder::ensure(path).map(Self)
    }

    /// The group's state folder for a program that only looks: it is not made, and nothing in it is
    /// written, removed or set aside.
    pub fn look(config: &Config) -> Self {
        Self::look_at(&config.state_dir.join(&config.group))
    }

    /// As [`StateDir::look`], with the folder itself given.
    pub fn look_at(path: &Path) -> Self {
        Self(Folder::look(path))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replace the document `name` (0640) by `data`. On success under [`Durability::Fsync`] it
    /// survives a power loss; on failure the old one is still there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_atomic<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: &T,
        durability: Durability,
    ) -> Result<(), StateError> {
        self.0.write_document(name, data, durability)
    }

    /// Replace the file `name` by `text`, verbatim, with these permissions.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_text(
        &self,
        name: &str,
        text: &str,
        mode: u32,
        durability: Durability,
    ) -> Result<(), StateError> {
        self.0.write_bytes(name, text.as_bytes(), mode, durability)
    }

    /// Read the document `name`. What is empty, cut off, garbage or of a newer format is renamed
    /// to `name.bad-N` and logged.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> ReadOutcome<T> {
        self.0.read_document(name)
    }

    /// Remove the file `name`, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        self.0.remove(name)
    }

    /// Add one line to the history, durably. The file is turned over to `history.jsonl.1` at
    /// [`HISTORY_LIMIT`] bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append_history(&self, event: &serde_json::Value) -> Result<(), StateError> {
        history::append(&self.0, event, HISTORY_LIMIT)
    }

    /// The history, oldest first, the turned over file included. Lines that cannot be read, such
    /// as one that a crash cut off, are counted and skipped.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn history(&self) -> Result<History, StateError> {
        history::read(&self.0)
    }

    /// The newest event of the history that can be read; none where there is none.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn last_event(&self) -> Result<Option<serde_json::Value>, StateError> {
        history::last(&self.0)
    }
}

/// `run_dir/GROUP`: what must not survive a reboot. In memory, so nothing is synced.
#[derive(Debug, Clone)]
pub struct RunDir(Folder);

impl RunDir {
    /// The run folder of the configuration's group; made (0750) if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, belongs to another user, or others can write to it.
    pub fn open(config: &Config) -> Result<Self, StateError> {
        Self::at(&config.run_dir.join(&config.group))
    }

    /// The group's run folder for a program that only looks, as [`StateDir::look`].
    pub fn look(config: &Config) -> Self {
        Self(Folder::look(&config.run_dir.join(&config.group)))
    }

    /// As [`RunDir::open`], with the folder itself given.
    ///
    /// # Errors
    /// As [`RunDir::open`].
    pub fn at(path: &Path) -> Result<Self, StateError> {
        Folder::ensure(path).map(Self)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replace the document `name` (0640) by `data`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_atomic<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: &T,
    ) -> Result<(), StateError> {
        self.0.write_document(name, data, Durability::Cache)
    }

    /// Read the document `name`, as [`StateDir::read`].
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> ReadOutcome<T> {
        self.0.read_document(name)
    }

    /// Read the document `name` without setting it aside: for readers that hold no lock and could
    /// take away what a writer has just put there.
    pub fn peek<T: DeserializeOwned>(&self, name: &str) -> ReadOutcome<T> {
        self.0.peek_document(name)
    }

    /// Remove the file `name`, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        self.0.remove(name)
    }
}
