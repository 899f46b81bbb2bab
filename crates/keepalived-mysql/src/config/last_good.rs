//! The last configuration that could be used.
//!
//! A configuration file that has become unreadable says nothing about the database server, so the
//! programs go on with the last good one, loudly. Its text is kept verbatim in
//! `state_dir/GROUP/last-good.toml`; because `state_dir` is a key of the very file that cannot be
//! read, a small pointer file, named after the configuration file's path, leads there.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Config;
use super::error::ConfigError;
use super::load::{Loaded, default_state_dir};
use crate::ledger::files::{Durability, StateDir, StateError};
use crate::message::Message;
use crate::sys;

/// Environment variable that moves the folder of the pointers, for several installations on one
/// host. Default: `last-good` in the default `state_dir`.
pub const LAST_GOOD_ENV: &str = "KEEPALIVED_MYSQL_LAST_GOOD_DIR";

/// The name of the copy in the group's state folder.
const COPY: &str = "last-good.toml";

/// Keep this configuration as the last good one. Costs two reads when nothing has changed.
///
/// # Errors
/// When the state folder cannot be written.
pub fn save_last_good(loaded: &Loaded) -> Result<(), StateError> {
    save_last_good_in(&pointer_folder(), loaded)
}

/// As [`save_last_good`], with the folder of the pointers given.
///
/// # Errors
/// As [`save_last_good`].
pub fn save_last_good_in(pointers: &Path, loaded: &Loaded) -> Result<(), StateError> {
    let state = StateDir::open(&loaded.config)?;
    let copy = state.path().join(COPY);
    if loaded.path == copy {
        return Ok(());
    }
    if !holds(&copy, loaded.text.as_bytes()) {
        state.write_text(COPY, &loaded.text, 0o600, Durability::Fsync)?;
    }
    let name = pointer_name(&loaded.path);
    let target = copy.as_os_str().as_bytes();
    if !holds(&pointers.join(&name), target) {
        let folder = StateDir::at(pointers)?;
        let text = copy.to_string_lossy();
        folder.write_text(&name, &text, 0o600, Durability::Fsync)?;
    }
    Ok(())
}

/// Load `path`; where that fails, the last good copy of it, with the warning to log.
///
/// # Errors
/// The error of `path` itself, when there is no usable copy either.
pub fn load_or_last_good(path: &Path) -> Result<(Config, Option<Message>), ConfigError> {
    load_or_last_good_in(&pointer_folder(), path)
}

/// As [`load_or_last_good`], with the folder of the pointers given.
///
/// # Errors
/// As [`load_or_last_good`].
pub fn load_or_last_good_in(
    pointers: &Path,
    path: &Path,
) -> Result<(Config, Option<Message>), ConfigError> {
    let failure = match Config::load(path) {
        Ok(loaded) => return Ok((loaded.config, None)),
        Err(failure) => failure,
    };
    let Some(loaded) = copy_of(pointers, path) else {
        return Err(failure);
    };
    let warning = Message::new(format!(
        "the last good configuration is used, because {} cannot be",
        path.display()
    ))
    .detail(failure.message.one_line())
    .hint("correct the file: each program says this until it is usable again");
    Ok((loaded.config, Some(warning)))
}

/// The last good copy of `path`, if there is a usable one.
fn copy_of(pointers: &Path, path: &Path) -> Option<Loaded> {
    let path = std::path::absolute(path).ok()?;
    let pointer = pointers.join(pointer_name(&path));
    let (target, metadata) = sys::read_regular(&pointer, 4096).ok()?;
    // Somebody else's pointer could lead to somebody else's commands.
    if !sys::owned_by_us(&metadata) {
        return None;
    }
    Config::load_without_certificates(Path::new(&target)).ok()
}

fn holds(path: &Path, content: &[u8]) -> bool {
    fs::read(path).is_ok_and(|found| found == content)
}

fn pointer_folder() -> PathBuf {
    match std::env::var_os(LAST_GOOD_ENV) {
        Some(folder) if Path::new(&folder).is_absolute() => PathBuf::from(folder),
        _ => default_state_dir().join("last-good"),
    }
}

/// A file name that no other path has.
fn pointer_name(path: &Path) -> String {
    let escaped = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('/', "%2F");
    format!("{escaped}.path")
}
