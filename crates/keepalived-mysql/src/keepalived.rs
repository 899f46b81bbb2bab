//! This host's keepalived: is it alive, stop it, and has an operator drained the node?

use std::io;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ledger::files::StateDir;
use crate::sys;

/// Whether keepalived is there to move the virtual addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepalived {
    /// It runs.
    Live {
        /// Its parent's process id.
        pid: i32,
    },
    /// It does not run, or it is stopped or a zombie: it may still hold the addresses on the
    /// interface, but it no longer answers for them.
    Dead,
    /// It cannot be told.
    Unknown,
}

/// Whether the keepalived of this pid file (its parent's) is alive: the process exists, is a
/// keepalived, and neither it nor its VRRP process is stopped or dead.
pub fn liveness(pid_file: &Path) -> Keepalived {
    match pid_of(pid_file) {
        Ok(Some(pid)) => process_liveness(pid),
        Ok(None) => Keepalived::Dead,
        Err(_) => Keepalived::Unknown,
    }
}

/// Why keepalived cannot be stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The pid file does not lead to a running keepalived.
    #[error("{0} does not name a running keepalived")]
    NotRunning(String),
    /// The signal cannot be sent.
    #[error("cannot send SIGTERM to keepalived (pid {pid}): {source}")]
    Signal {
        /// Its process id.
        pid: i32,
        /// What the system says.
        source: io::Error,
    },
}

/// Ask keepalived to stop: SIGTERM to the process of this pid file. Returns its pid; does not wait.
///
/// # Errors
/// When no keepalived runs, or the signal cannot be sent.
pub fn stop(pid_file: &Path) -> Result<i32, StopError> {
    let Keepalived::Live { pid } = liveness(pid_file) else {
        return Err(StopError::NotRunning(pid_file.display().to_string()));
    };
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) => Ok(pid),
        Err(why) => Err(StopError::Signal {
            pid,
            source: why.into(),
        }),
    }
}

/// Whether an operator has drained this node, by `state_dir/GROUP/drain`.
///
/// As keepalived reads its track file with weight 0: a number other than 0 drains; 0, a missing,
/// an empty or an unreadable file serves.
pub fn drained(state: &StateDir) -> bool {
    sys::read_regular(&state.path().join("drain"), 4096).is_ok_and(|(text, _)| says_drained(&text))
}

fn says_drained(text: &str) -> bool {
    let number = text.trim();
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.bytes().any(|b| b != b'0')
}

/// The pid in the file; none if there is no such file.
fn pid_of(pid_file: &Path) -> io::Result<Option<i32>> {
    let text = match sys::read_regular(pid_file, 4096) {
        Ok((text, _)) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    match text.trim().parse::<i32>() {
        // 0 and negative numbers would be signals to whole process groups.
        Ok(pid) if pid > 0 => Ok(Some(pid)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a pid")),
    }
}

fn process_liveness(pid: i32) -> Keepalived {
    match sys::process_state(pid) {
        Ok(Some((comm, state))) => {
            if is_keepalived(&comm) && runs(state) && !vrrp_is_stopped(pid) {
                Keepalived::Live { pid }
            } else {
                Keepalived::Dead
            }
        }
        Ok(None) => Keepalived::Dead,
        Err(_) => Keepalived::Unknown,
    }
}

/// keepalived itself or, with `process_names`, one of its named processes. Our own programs begin
/// with the same letters.
fn is_keepalived(comm: &str) -> bool {
    comm == "keepalived" || comm.starts_with("keepalived_")
}

/// Neither stopped (T, t) nor dead (Z, X, x).
fn runs(state: char) -> bool {
    !matches!(state, 'T' | 't' | 'Z' | 'X' | 'x')
}

/// Whether one of keepalived's own processes is stopped while their parent still runs. The kernel
/// may not list children; then the parent's word has to do.
fn vrrp_is_stopped(parent: i32) -> bool {
    let list = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(list).unwrap_or_default();
    children
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter_map(|pid| sys::process_state(pid).ok().flatten())
        .any(|(comm, state)| is_keepalived(&comm) && matches!(state, 'T' | 't'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    /// A process with this name that only sleeps, and its pid file.
    struct Fake {
        child: Child,
        pid_file: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Fake {
        fn named(name: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join(name);
            std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
            let child = Command::new(&program).arg("600").spawn().unwrap();
            let pid_file = folder.path().join("pid");
            fs::write(&pid_file, format!("{}\n", child.id())).unwrap();
            Self {
                child,
                pid_file,
                _folder: folder,
            }
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.child.id()).unwrap()
        }

        fn becomes(&self, expected: Keepalived) {
            let end = Instant::now() + Duration::from_secs(20);
            while liveness(&self.pid_file) != expected {
                assert!(Instant::now() < end, "{:?}", liveness(&self.pid_file));
                std::thread::sleep(Duration::from_millis(2));
            }
        }

        fn signal(&self, signal: Signal) {
            kill(Pid::from_raw(self.pid()), signal).unwrap();
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn alive_stopped_zombie_gone() {
        let mut fake = Fake::named("keepalived");
        fake.becomes(Keepalived::Live { pid: fake.pid() });
        fake.signal(Signal::SIGSTOP);
        fake.becomes(Keepalived::Dead);
        assert!(stop(&fake.pid_file).is_err());
        fake.signal(Signal::SIGCONT);
        fake.becomes(Keepalived::Live { pid: fake.pid() });
        assert_eq!(stop(&fake.pid_file).unwrap(), fake.pid());
        // A zombie until we wait for it.
        fake.becomes(Keepalived::Dead);
        fake.child.wait().unwrap();
        assert_eq!(liveness(&fake.pid_file), Keepalived::Dead);
    }

    #[test]
    fn another_program_with_the_pid_is_not_keepalived() {
        for name in ["keepalived-mysql", "sleep"] {
            let fake = Fake::named(name);
            fake.becomes(Keepalived::Dead);
            assert!(matches!(
                stop(&fake.pid_file),
                Err(StopError::NotRunning(_))
            ));
        }
    }

    #[test]
    fn pid_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        assert_eq!(liveness(&file), Keepalived::Dead);
        for text in ["", "abc", "-1", "0", "99999999999"] {
            fs::write(&file, text).unwrap();
            assert_eq!(liveness(&file), Keepalived::Unknown, "{text}");
        }
        fs::write(&file, i32::MAX.to_string()).unwrap();
        assert_eq!(liveness(&file), Keepalived::Dead);
    }

    #[test]
    fn drain_files() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path()).unwrap();
        assert!(!drained(&state));
        let table = [
            ("1", true),
            ("1\n", true),
            ("-5", true),
            ("+3", true),
            ("254", true),
            ("99999999999999999999", true),
            ("0", false),
            ("-0", false),
            ("00\n", false),
            ("", false),
            ("abc", false),
            ("1abc", false),
            ("-", false),
        ];
        for (text, expected) in table {
            fs::write(folder.path().join("drain"), text).unwrap();
            assert_eq!(drained(&state), expected, "{text:?}");
        }
    }
}
