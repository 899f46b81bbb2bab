//! Which servers offer no encryption, remembered for a while.
//!
//! With `preferred` a server without TLS costs a connection that is given up after its greeting, and
//! the server counts it as aborted. Checks look at their peers each second, so one in ten minutes has
//! to do.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys;

/// After this long a server is asked again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What this process found out itself, by the names of the marks.
static FOUND: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The memory of one server: a file, whose age counts, for all programs of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Without {
    mark: PathBuf,
}

impl Without {
    pub(super) fn new(mark: PathBuf) -> Self {
        Self { mark }
    }

    pub(super) fn is_known(&self) -> bool {
        found().contains(&self.mark) || self.is_marked()
    }

    fn is_marked(&self) -> bool {
        // Neither a link nor somebody else's file; a clock that was set back makes no mark younger.
        fs::symlink_metadata(&self.mark).is_ok_and(|metadata| {
            let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
            metadata.is_file()
                && sys::owned_by_us(&metadata)
                && age.is_some_and(|age| age < REMEMBERED)
        })
    }

    pub(super) fn note(&self) {
        let mut found = found();
        if !found.contains(&self.mark) {
            found.push(self.mark.clone());
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let marked = sys::open_regular(&mut options, &self.mark)
            .and_then(|(file, _)| file.set_modified(std::time::SystemTime::now()));
        if let Err(why) = marked {
            log::debug!("cannot write {}: {why}", self.mark.display());
        }
    }

    pub(super) fn forget(&self) {
        found().retain(|mark| *mark != self.mark);
        // Gone already, or not to be removed: then it ages.
        let _ = fs::remove_file(&self.mark);
    }
}

fn found() -> MutexGuard<'static, Vec<PathBuf>> {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_mark_is_believed_for_a_while_by_every_program() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("no-tls-node-b");
        let without = Without::new(mark.clone());
        assert!(!without.is_known());
        without.note();
        assert!(without.is_known() && without.is_marked());
        let old = SystemTime::now() - REMEMBERED - Duration::from_secs(1);
        let file = fs::File::options().write(true).open(&mark).unwrap();
        file.set_modified(old).unwrap();
        assert!(!without.is_marked());
        without.note();
        assert!(without.is_marked());
        without.forget();
        assert!(!without.is_known() && !mark.exists());
    }

    #[test]
    fn a_link_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!Without::new(link).is_known());
    }
}
