//! The folder of all salvages, and how one gets into it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::binlog::summary::Summary;
use crate::ledger::files::{FORMAT, StateDir};
use crate::replication::evidence::Lost;
use crate::switches::reached;
use crate::sys;
use crate::view::Facts;

/// In the state folder.
const FOLDER: &str = "salvage";
const SUMMARY: &str = "summary.json";
const TEXT: &str = "summary.txt";
/// What is not finished; its name begins with a dot.
const PARTIAL: &str = ".partial-";
/// Larger than any summary of ours.
const MOST: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Document<T> {
    format: u64,
    kind: String,
    data: T,
}

/// `state_dir/GROUP/salvage`.
#[derive(Debug)]
pub(super) struct Salvages(PathBuf);

impl Salvages {
    pub(super) fn open(here: &Here) -> Result<Self, Failure> {
        let Some(state) = &here.state else {
            return Err(Failure::Failed("there is no state folder for it".into()));
        };
        let path = state.path().join(FOLDER);
        match ensure(&path) {
            Ok(()) => Ok(Self(path)),
            Err(why) => Err(Failure::Failed(format!(
                "{} cannot be used: {why}",
                path.display()
            ))),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The salvage of these transactions of this server, if there is one; the newest of several.
    pub(super) fn find(&self, facts: &Facts, lost: &Lost) -> Option<(PathBuf, Summary)> {
        let mut found: Vec<(PathBuf, Summary)> = fs::read_dir(&self.0)
            .ok()?
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(|entry| Some((entry.path(), read(&entry.path())?)))
            .filter(|(_, summary)| {
                summary.lost == *lost
                    && summary.identity == facts.identity
                    && summary.epoch == facts.own_epoch()
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found.pop()
    }

    /// Removes what killed runs left behind. The transition lock keeps others out.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        for entry in entries.flatten() {
            let left = entry.file_name().to_string_lossy().starts_with(PARTIAL);
            if left && let Err(error) = fs::remove_dir_all(entry.path()) {
                log::warn!("cannot remove {}: {error}", entry.path().display());
            }
        }
    }

    /// A new folder for a salvage that is not finished. It goes with its owner unless it is completed.
    pub(super) fn partial(&self) -> Result<tempfile::TempDir, Failure> {
        tempfile::Builder::new()
            .prefix(PARTIAL)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(&self.0)
            .map_err(|error| super::disk(self, &error))
    }

    /// Writes the summaries beside the transactions, and gives the folder its name.
    pub(super) fn complete(
        &self,
        partial: tempfile::TempDir,
        summary: &Summary,
    ) -> Result<PathBuf, Failure> {
        let folder = self.0.join(name(summary));
        self.write(partial, summary, &folder)
            .map_err(|error| super::disk(self, &error))?;
        Ok(folder)
    }

    fn write(
        &self,
        partial: tempfile::TempDir,
        summary: &Summary,
        folder: &Path,
    ) -> io::Result<()> {
        let document = Document {
            format: FORMAT,
            kind: "summary".into(),
            data: summary,
        };
        let mut json = serde_json::to_vec_pretty(&document)?;
        json.push(b'\n');
        put(&partial.path().join(SUMMARY), &json)?;
        let text = summary.text(&folder.display().to_string());
        put(&partial.path().join(TEXT), text.as_bytes())?;
        File::open(partial.path())?.sync_all()?;
        reached("salvage.rename");
        // An empty folder would be replaced, one with a salvage in it never is.
        if folder.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(partial.path(), folder)?;
        // Its old name is gone: there is nothing to clean up.
        let _ = partial.keep();
        File::open(&self.0)?.sync_all()
    }
}

/// `20261120T160534Z-node-a-2`.
fn name(summary: &Summary) -> String {
    let time: String = summary
        .taken_at
        .chars()
        .take(19)
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    format!("{time}Z-{}-{}", summary.node, summary.epoch.number)
}

fn ensure(path: &Path) -> Result<(), String> {
    let metadata = match fs::symlink_metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .mode(0o700)
            .create(path)
            .and_then(|()| fs::symlink_metadata(path)),
        found => found,
    };
    let metadata = metadata.map_err(|why| why.to_string())?;
    if !metadata.is_dir() || !sys::owned_by_us(&metadata) {
        return Err("it is no folder of the user that runs this program".into());
    }
    match metadata.mode() & 0o077 {
        0 => Ok(()),
        _ => Err("others may look into it, and it holds customers' data: chmod 0700".into()),
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A summary that can be trusted, or why there is none.
fn read_summary(folder: &Path) -> Result<Summary, String> {
    let file = folder.join(SUMMARY);
    let (text, _) =
        sys::read_regular(&file, MOST).map_err(|why| format!("{SUMMARY} cannot be read: {why}"))?;
    let document: Document<Summary> =
        serde_json::from_str(&text).map_err(|why| format!("{SUMMARY} is damaged: {why}"))?;
    if document.format != FORMAT {
        return Err(format!("{SUMMARY} has the format {}", document.format));
    }
    Ok(document.data)
}

fn read(folder: &Path) -> Option<Summary> {
    read_summary(folder).ok()
}

/// A finished salvage of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its folder's name.
    pub name: String,
    /// What it holds, or why that cannot be told.
    pub summary: Result<Summary, String>,
}

/// All finished salvages of a node, by name, which is by time. None where there is no folder for them.
///
/// # Errors
/// When the folder is there but cannot be read.
pub fn kept(state: &StateDir) -> io::Result<Vec<Kept>> {
    let entries = match fs::read_dir(state.path().join(FOLDER)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            let summary = read_summary(&entry.path());
            all.push(Kept { name, summary });
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// `summary.txt` of a salvage.
///
/// # Errors
/// When it cannot be read.
pub fn kept_text(state: &StateDir, name: &str) -> io::Result<String> {
    let file = state.path().join(FOLDER).join(name).join(TEXT);
    sys::read_regular(&file, MOST).map(|(text, _)| text)
}
