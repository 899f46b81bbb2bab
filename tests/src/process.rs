//! Other processes, told apart by pid and start time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends a signal. A process that is gone already is no error.
pub fn signal(pid: i32, signal: Signal) -> nix::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// The start time of a process in clock ticks since boot, if it exists.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 19)?.parse().ok()
}

/// Runs, and is not a zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    stat_field(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

/// All its threads have stopped. SIGSTOP takes hold of one thread after the other, and a thread that it has not
/// reached yet works on.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_none_or(|(_, fields)| fields.starts_with('T'))
    })
}

/// Field `n` of /proc/PID/stat, counted from the state, which follows the name in parentheses.
fn stat_field(pid: i32, n: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(n).map(str::to_owned)
}

/// The children of a process (of its first thread).
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// All processes that live in the network namespace of this name.
#[must_use]
pub fn in_netns(name: &str) -> Vec<i32> {
    let Ok(wanted) = fs::metadata(Path::new("/run/netns").join(name)) else {
        return Vec::new();
    };
    let same = |pid: &i32| {
        fs::metadata(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|its| its.ino() == wanted.ino() && its.dev() == wanted.dev())
    };
    all().filter(same).collect()
}

fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
        })
}
