//! Running an operator's command, but not for ever.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It ended by itself with this exit code; `None` = by a signal.
    Exited(Option<i32>),
    /// It took too long and was killed, with all it had started in its process group.
    TimedOut,
}

impl CommandOutcome {
    /// Whether it ended by itself with exit code 0.
    pub fn succeeded(self) -> bool {
        self == Self::Exited(Some(0))
    }
}

/// Why a command could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command is an empty list.
    #[error("the command is empty")]
    Empty,
    /// The program cannot be started or waited for.
    #[error("cannot run {program}: {source}")]
    Io {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Run `command` (program and arguments, no shell) for at most `timeout`, with nothing to read
/// and its output thrown away. On time-out its process group is killed.
///
/// # Errors
/// When it cannot be started.
pub fn run_bounded(command: &[String], timeout: Duration) -> Result<CommandOutcome, CommandError> {
    let (program, args) = command.split_first().ok_or(CommandError::Empty)?;
    let failed = |source| CommandError::Io {
        program: program.clone(),
        source,
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let status = wait_bounded(&mut child, timeout).map_err(failed)?;
    if let Some(status) = status {
        return Ok(CommandOutcome::Exited(status.code()));
    }
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    // Killed, so this ends, unless it hangs in the kernel: then we do not wait for it.
    let _ = wait_bounded(&mut child, Duration::from_millis(100));
    Ok(CommandOutcome::TimedOut)
}

fn wait_bounded(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + timeout;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout_ms: u64) -> CommandOutcome {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run_bounded(&command, Duration::from_millis(timeout_ms)).unwrap()
    }

    #[test]
    fn tells_how_it_ended() {
        assert!(sh("exit 0", 5000).succeeded());
        assert_eq!(sh("exit 3", 5000), CommandOutcome::Exited(Some(3)));
        assert_eq!(sh("kill -9 $$", 5000), CommandOutcome::Exited(None));
    }

    #[test]
    fn does_not_wait_for_ever() {
        let started = Instant::now();
        assert_eq!(
            sh("trap '' TERM; sleep 30 & sleep 30", 50),
            CommandOutcome::TimedOut
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_cannot_run_is_an_error() {
        assert!(run_bounded(&[], Duration::from_secs(1)).is_err());
        let missing = ["/nonexistent".to_owned()];
        assert!(run_bounded(&missing, Duration::from_secs(1)).is_err());
    }
}
