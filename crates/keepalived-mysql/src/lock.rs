//! One transition at a time.
//!
//! A closing does not take this lock: it comes first and waits for nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;

use crate::cli::{Exit, Failure};
use crate::ledger::files::RunDir;
use crate::message::{Message, one_line};
use crate::sys;

/// Why a lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program kept it until the deadline.
    #[error("another transition is at work: {holder}")]
    Busy {
        /// Its name and pid, as far as it has written them.
        holder: String,
    },
    /// The caller wanted to wait no longer.
    #[error("a newer role came while waiting for the lock")]
    Superseded,
    /// The lock file cannot be used.
    #[error("cannot use the lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Failure for LockError {
    fn message(&self) -> Message {
        let message = Message::new(self.to_string());
        match self {
            Self::Busy { .. } => message.hint("try again when it has ended"),
            Self::Superseded => message.hint("nothing: the program of the newer role goes on"),
            Self::Io { .. } => message.hint(
                "the programs run as keepalived's script_user: check that this user owns the run folder",
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::TryAgain
    }
}

/// The lock that a transition holds from its first decision to its last step.
#[derive(Debug, Clone)]
pub struct TransitionLock {
    path: PathBuf,
    program: String,
}

/// The lock, held. It ends with this value, or with the process, however that ends.
#[derive(Debug)]
#[must_use = "the lock is held only as long as this lives"]
pub struct LockGuard {
    file: File,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Only so that nobody reads an old name; closing the file is what releases the lock.
        let _ = self.file.set_len(0);
        let _ = FileExt::unlock(&self.file);
    }
}

impl TransitionLock {
    /// The group's lock, for this program.
    pub fn new(run: &RunDir, program: &str) -> Self {
        Self {
            path: run.path().join("transition.lock"),
            program: program.to_owned(),
        }
    }

    /// Take the lock, trying until `deadline` and as long as `keep_waiting` says so. It is tried
    /// at least once.
    ///
    /// # Errors
    /// `Busy` at the deadline, `Superseded` when `keep_waiting` ends the wait, `Io` when the lock
    /// file cannot be used or is not ours.
    pub fn acquire(
        &self,
        deadline: Instant,
        keep_waiting: &dyn Fn() -> bool,
    ) -> Result<LockGuard, LockError> {
        let file = self.open()?;
        match wait_for(&file, deadline, keep_waiting) {
            Ok(Waited::Locked) => Ok(self.sign(file)),
            Ok(Waited::Stopped) => Err(LockError::Superseded),
            Ok(Waited::TimedOut) => Err(LockError::Busy {
                holder: holder(file),
            }),
            Err(why) => Err(self.failed(why)),
        }
    }

    /// Who holds the lock now, if anybody does.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn held_by(&self) -> Result<Option<String>, LockError> {
        let file = self.open()?;
        // A shared lock, so that two who ask do not take each other for a holder.
        match FileExt::try_lock_shared(&file) {
            Ok(()) => Ok(None),
            Err(why) if contended(&why) => Ok(Some(holder(file))),
            Err(why) => Err(self.failed(why)),
        }
    }

    fn open(&self) -> Result<File, LockError> {
        open_lock(&self.path).map_err(|why| self.failed(why))
    }

    fn failed(&self, source: io::Error) -> LockError {
        LockError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Write who we are, for the messages of those who wait.
    fn sign(&self, mut file: File) -> LockGuard {
        let _ = file.set_len(0);
        let _ = write!(file, "{} (pid {})", self.program, std::process::id());
        LockGuard { file }
    }
}

fn holder(mut file: File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(200).read_to_string(&mut text);
    match one_line(&text) {
        name if name.is_empty() => "a program that has not written its name yet".to_owned(),
        name => name,
    }
}

/// Open a lock file; refuse one that somebody else has put there.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o640);
    let (file, metadata) = sys::open_regular(&mut options, path)?;
    if !sys::owned_by_us(&metadata) {
        let error = format!("it belongs to the user {}", metadata.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
    }
    Ok(file)
}

fn contended(why: &io::Error) -> bool {
    why.kind() == fs2::lock_contended_error().kind()
}

/// How waiting for a lock ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It is ours.
    Locked,
    /// The deadline came first.
    TimedOut,
    /// The caller wanted no more.
    Stopped,
}

/// Try for the lock with pauses that grow from 1 to 20 ms: the kernel's own wait has no deadline.
pub(crate) fn wait_for(
    file: &File,
    deadline: Instant,
    keep_waiting: &dyn Fn() -> bool,
) -> io::Result<Waited> {
    let mut pause = Duration::from_millis(1);
    loop {
        match FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(Waited::Locked),
            Err(why) if !contended(&why) => return Err(why),
            Err(_) => {}
        }
        if !keep_waiting() {
            return Ok(Waited::Stopped);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Waited::TimedOut);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 3 / 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lock(folder: &Path, program: &str) -> TransitionLock {
        TransitionLock::new(&RunDir::at(folder).unwrap(), program)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(40)
    }

    #[test]
    fn one_at_a_time_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path(), "notify_master");
        let second = lock(folder.path(), "notify_backup");
        assert_eq!(first.held_by().unwrap(), None);
        let guard = first.acquire(soon(), &|| true).unwrap();
        let name = format!("notify_master (pid {})", std::process::id());
        match second.acquire(soon(), &|| true) {
            Err(LockError::Busy { holder }) => assert_eq!(holder, name),
            other => panic!("{other:?}"),
        }
        assert_eq!(second.held_by().unwrap(), Some(name));
        drop(guard);
        let guard = second.acquire(soon(), &|| true).unwrap();
        assert!(
            first
                .held_by()
                .unwrap()
                .unwrap()
                .starts_with("notify_backup")
        );
        drop(guard);
    }

    #[test]
    fn stops_waiting_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let lock = lock(folder.path(), "a");
        let _guard = lock.acquire(soon(), &|| true).unwrap();
        let far = Instant::now() + Duration::from_secs(60);
        let stopped = lock.acquire(far, &|| false);
        assert!(matches!(stopped, Err(LockError::Superseded)));
    }

    #[test]
    fn a_passed_deadline_still_tries_once() {
        let folder = tempfile::tempdir().unwrap();
        let lock = lock(folder.path(), "a");
        assert!(lock.acquire(Instant::now(), &|| true).is_ok());
    }

    #[test]
    fn waits_until_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let lock = lock(folder.path(), "a");
        let guard = lock.acquire(soon(), &|| true).unwrap();
        let other = lock.clone();
        let waiter = std::thread::spawn(move || {
            let far = Instant::now() + Duration::from_secs(30);
            other.acquire(far, &|| true).map(drop)
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(guard);
        waiter.join().unwrap().unwrap();
    }

    #[test]
    fn follows_no_link_and_takes_no_foreign_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        let lock = lock(folder.path(), "a");
        std::os::unix::fs::symlink(&target, &lock.path).unwrap();
        let refused = lock.acquire(soon(), &|| true);
        assert!(matches!(refused, Err(LockError::Io { .. })));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        std::fs::remove_file(&lock.path).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::fs::write(&lock.path, "").unwrap();
            std::os::unix::fs::chown(&lock.path, Some(65534), None).unwrap();
            let refused = lock.acquire(soon(), &|| true).unwrap_err();
            assert!(refused.to_string().contains("65534"), "{refused}");
        }
    }
}
