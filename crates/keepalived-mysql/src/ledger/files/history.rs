//! `history.jsonl`: one line per event, for ever growing and turned over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use fs2::FileExt as _;
use serde::Serialize;

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
    pub unreadable: Vec<BrokenLine>,
}

/// A line of the history that could not be read, such as one that a crash cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLine {
    /// The file's name.
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
}

pub(super) fn append(
    folder: &Folder,
    event: &serde_json::Value,
    limit: u64,
) -> Result<(), StateError> {
    let path = folder.path().join(HISTORY);
    let appended = folder
        .may_change()
        .and_then(|()| append_line(&path, event.to_string()));
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

/// How much of the end of the history is read for its last event.
const TAIL: u64 = 1 << 18;

/// The newest event that can be read; only the end of the file is looked at.
pub(super) fn last(folder: &Folder) -> Result<Option<serde_json::Value>, StateError> {
    let path = folder.path().join(HISTORY);
    let tail = tail(&path).map_err(|why| StateError::of("read", &path, why))?;
    let mut lines = tail.rsplit(|byte| *byte == b'\n');
    match lines.find_map(|line| serde_json::from_slice(line).ok()) {
        Some(event) => Ok(Some(event)),
        // Just turned over, or a last line that is longer than the tail.
        None => Ok(read(folder)?.events.pop()),
    }
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let (file, metadata) = match sys::open_regular(OpenOptions::new().read(true), path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut file = file;
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_file(path: &Path, history: &mut History) -> io::Result<()> {
    let (file, _) = match sys::open_regular(OpenOptions::new().read(true), path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line?;
        match serde_json::from_slice(&line) {
            Ok(event) => history.events.push(event),
            Err(_) if line.is_empty() => {}
            Err(_) => history.unreadable.push(BrokenLine {
                file: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                line: index + 1,
            }),
        }
    }
    Ok(())
}
