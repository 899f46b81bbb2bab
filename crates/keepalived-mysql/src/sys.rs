//! What the programs ask of the operating system, without `unsafe`: nix wraps each call.

mod birth;
mod command;
mod detach;
mod files;
mod signals;

use std::time::Duration;

use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};

pub use birth::{Birth, boot_id, forked_by, process_start, process_state};
pub use command::{CommandError, CommandOutcome, run_bounded};
pub use detach::{Deadline, arm_deadline, become_detached, spawn_detached};
pub use files::{open_regular, owned_by_us, read_regular};
pub use signals::{hold_signals, terminated};

/// Set the umask to 027. keepalived runs its scripts with 0177, under which a new folder cannot
/// even be entered.
pub fn set_umask() {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o027));
}

/// Leave no core file and let no other process of the same user read our memory: it holds
/// passwords. A kernel that refuses is no reason to stop.
pub fn forbid_core_dump() {
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// What every program does first: [`set_umask`] and [`forbid_core_dump`].
pub fn prepare_process() {
    set_umask();
    forbid_core_dump();
}

/// Do not die with the parent. keepalived asks the kernel to send SIGTERM to its scripts when it
/// ends; a program past the point of no return lifts that.
pub fn clear_parent_death_signal() {
    let _ = nix::sys::prctl::set_pdeathsig(None);
}

/// Time since boot, suspend included. Zero if the kernel cannot tell.
pub fn boottime_now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}

/// Now, in UTC, as RFC 3339 with milliseconds.
pub fn utc_now() -> String {
    humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_advances() {
        let before = boottime_now();
        assert!(before > Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert!(boottime_now() > before);
    }

    #[test]
    fn utc_is_rfc3339() {
        let now = utc_now();
        assert_eq!((now.len(), now.ends_with('Z')), (24, true), "{now}");
    }
}
