//! `history.jsonl`: one line per event, for ever growing and turned over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use fs2::FileExt as _;

use super::error::StateError;
use super::folder::Folder;
use crate::sys;

/// Name of the history in the state folder.
pub const HISTORY: &str = "history.jsonl";

/// Size in bytes at which the history is turned over.
pub const HISTORY_LIMIT: u64 = 10 * 1024 * 1024;

/// What the history holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The events, oldest first.
    pub events: Vec<serde_json::Value>,
    /// Lines that could not be read.
    pub unreadable: usize,
}

pub(super) fn append(
    folder: &Folder,
    event: &serde_json::Value,
    limit: u64,
) -> Result<(), StateError> {
    let path = folder.path().join(HISTORY);
    let appended = append_line(&path, event.to_string());
    let size = appended.map_err(|why| StateError::of("write", &path, why))?;
    if size >= limit {
        // A history that grows past its limit is no reason to fail an event that is written.
        if let Err(why) = turn_over(&path, limit) {
            log::warn!("cannot turn {} over: {why}", path.display());
        }
    }
    Ok(())
}

/// Add a line with a single write, so that two programs cannot mix theirs. Returns the new size.
fn append_line(path: &Path, mut line: String) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640);
    let (mut file, metadata) = sys::open_regular(&mut options, path)?;
    if ends_torn(&file, metadata.len())? {
        line.insert(0, '\n');
    }
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    // A new file is durable only once its folder is.
    if let (0, Some(folder)) = (metadata.len(), path.parent()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(metadata.len() + line.len() as u64)
}

/// Whether a crash, or a full disk, left the last line without its end.
fn ends_torn(file: &File, size: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(at) = size.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    Ok(last != [b'\n'])
}

fn turn_over(path: &Path, limit: u64) -> io::Result<()> {
    let (file, _) = sys::open_regular(OpenOptions::new().read(true), path)?;
    // Of two programs that see the limit, the one without the lock leaves it to the other.
    if file.try_lock_exclusive().is_err() || fs::metadata(path)?.len() < limit {
        return Ok(());
    }
    fs::rename(path, path.with_extension("jsonl.1"))
}

pub(super) fn read(folder: &Folder) -> Result<History, StateError> {
    let path = folder.path().join(HISTORY);
    let mut history = History::default();
    for path in [path.with_extension("jsonl.1"), path] {
        read_file(&path, &mut history).map_err(|why| StateError::of("read", &path, why))?;
    }
    Ok(history)
}

fn read_file(path: &Path, history: &mut History) -> io::Result<()> {
    let (file, _) = match sys::open_regular(OpenOptions::new().read(true), path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        match serde_json::from_slice(&line) {
            Ok(event) => history.events.push(event),
            Err(_) if line.is_empty() => {}
            Err(_) => history.unreadable += 1,
        }
    }
    Ok(())
}
