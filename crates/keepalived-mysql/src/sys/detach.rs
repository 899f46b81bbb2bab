//! Helpers that outlive their starter, and the deadline that nothing outlives.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// Start a program that outlives us, with `/dev/null` for its output, and `stdin` (or nothing) to
/// read. Returns its pid.
///
/// The program itself leaves our session by calling [`become_detached`] first thing. What it
/// reads sits in memory, so that neither of the two ever waits for the other.
///
/// # Errors
/// When the program cannot be started.
pub fn spawn_detached<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    stdin: Option<&[u8]>,
) -> io::Result<u32> {
    let input = match stdin {
        Some(bytes) => Stdio::from(in_memory(bytes)?),
        None => Stdio::null(),
    };
    let child = Command::new(program)
        .args(args)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child.id())
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// Leave the starter's session, process group, working folder and fate: keepalived kills the
/// process group of a check that takes too long, and all its hooks when it ends.
pub fn become_detached() {
    super::prepare_process();
    super::clear_parent_death_signal();
    // Refused only to the leader of a process group, who is as detached as can be.
    let _ = nix::unistd::setsid();
    let _ = std::env::set_current_dir("/");
}

/// An armed deadline. Dropping it does not disarm it: nothing may rest on a destructor.
#[derive(Debug)]
pub struct Deadline {
    disarmed: Arc<AtomicBool>,
}

impl Deadline {
    /// The deadline shall pass without effect.
    pub fn disarm(self) {
        self.disarmed.store(true, Ordering::SeqCst);
    }
}

/// After `timeout`, run `on_expiry` and end the whole process with the exit code it returns,
/// whatever the other threads wait for.
///
/// # Errors
/// When no thread can be started.
pub fn arm_deadline(
    timeout: Duration,
    on_expiry: impl FnOnce() -> i32 + Send + 'static,
) -> io::Result<Deadline> {
    let disarmed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&disarmed);
    let watch = move || {
        std::thread::sleep(timeout);
        if !seen.load(Ordering::SeqCst) {
            std::process::exit(on_expiry());
        }
    };
    std::thread::Builder::new()
        .name("deadline".to_owned())
        .stack_size(256 * 1024)
        .spawn(watch)?;
    Ok(Deadline { disarmed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn hands_over_more_input_than_a_pipe_holds() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = format!("sleep 0.05; wc -c > {0}.tmp; mv {0}.tmp {0}", out.display());
        let input = vec![b'x'; 300_000];
        let started = Instant::now();
        spawn_detached(Path::new("/bin/sh"), &["-c", &script], Some(&input)).unwrap();
        while !out.exists() {
            assert!(started.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), "300000");
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert!(spawn_detached::<&str>(Path::new("/nonexistent"), &[], None).is_err());
    }

    #[test]
    fn a_disarmed_deadline_passes() {
        let deadline = arm_deadline(Duration::from_millis(5), || 9).unwrap();
        deadline.disarm();
        std::thread::sleep(Duration::from_millis(30));
    }

    /// Run one of the ignored tests below in a process of its own.
    fn in_a_process(test: &str) -> std::process::ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", test])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn an_expired_deadline_ends_the_process() {
        let started = Instant::now();
        let status = in_a_process("sys::detach::tests::hangs");
        assert_eq!(status.code(), Some(78));
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    #[ignore = "ends its process"]
    fn hangs() {
        drop(arm_deadline(Duration::from_millis(20), || 78).unwrap());
        std::thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn a_helper_leaves_its_session() {
        assert!(in_a_process("sys::detach::tests::detaches").success());
    }

    #[test]
    #[ignore = "changes its process"]
    fn detaches() {
        become_detached();
        let pid = nix::unistd::getpid();
        assert_eq!(nix::unistd::getsid(None).unwrap(), pid);
        assert_eq!(nix::unistd::getpgrp(), pid);
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
        assert_eq!(nix::sys::prctl::get_pdeathsig().unwrap(), None);
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/"));
    }
}
