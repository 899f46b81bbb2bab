//! When a process was born: the order of keepalived's hooks.
//!
//! keepalived forks its hooks in the order of its decisions but they start in any order. The
//! kernel's own start time of each process keeps that order.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The birth of a process: which boot, when, and its pid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Birth {
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// Start time in clock ticks (1/100 s) since boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
    /// Process id.
    pub pid: i32,
}

impl Birth {
    /// The birth of this process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_self() -> io::Result<Self> {
        Self::read("self")
    }

    /// The birth of the process `pid`.
    ///
    /// # Errors
    /// When there is no such process, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Self> {
        Self::read(&pid.to_string())
    }

    fn read(who: &str) -> io::Result<Self> {
        let stat = stat(who)?;
        Ok(Self {
            boot_id: boot_id()?,
            start_ticks: stat.start_ticks,
            pid: stat.pid,
        })
    }
}

/// The birth of the process that a process called `parent` forked for us: this one, or the shell or
/// wrapper around it. None if no such ancestor is near.
pub fn forked_by(parent: &str) -> Option<Birth> {
    let mut pid = i32::try_from(std::process::id()).ok()?;
    for _ in 0..4 {
        let stat = stat(&pid.to_string()).ok()?;
        if stat.parent <= 1 {
            return None;
        }
        let (name, _) = process_state(stat.parent).ok()??;
        if name == parent || name.starts_with(&format!("{parent}_")) {
            return Birth::of(pid).ok();
        }
        pid = stat.parent;
    }
    None
}

/// Name (`comm`, at most 15 bytes) and state (`R`, `S`, `T`, `Z`, ...) of a process; none if there
/// is no such process.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn process_state(pid: i32) -> io::Result<Option<(String, char)>> {
    Ok(existing(pid)?.map(|stat| (stat.comm, stat.state)))
}

/// Name (`comm`) and start time (clock ticks, 1/100 s since boot) of a process; none if there is no
/// such process.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn process_start(pid: i32) -> io::Result<Option<(String, u64)>> {
    Ok(existing(pid)?.map(|stat| (stat.comm, stat.start_ticks)))
}

fn existing(pid: i32) -> io::Result<Option<Stat>> {
    match stat(&pid.to_string()) {
        Ok(stat) => Ok(Some(stat)),
        // ESRCH: it ended between the opening and the reading.
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) if why.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(why) => Err(why),
    }
}

fn stat(who: &str) -> io::Result<Stat> {
    // The kernel gives all of it at once, if there is room.
    let mut bytes = Vec::with_capacity(1024);
    let file = File::open(format!("/proc/{who}/stat"))?;
    file.take(64 * 1024).read_to_end(&mut bytes)?;
    parse_stat(&String::from_utf8_lossy(&bytes)).ok_or_else(not_understood)
}

fn not_understood() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat not understood")
}

/// The kernel's random id of this boot.
///
/// In a build with the feature `test-switches`, `KEEPALIVED_MYSQL_TEST_BOOT_ID` wins.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    #[cfg(feature = "test-switches")]
    if let Ok(id) = std::env::var("KEEPALIVED_MYSQL_TEST_BOOT_ID") {
        return Ok(id);
    }
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(id) = KNOWN.get() {
        return Ok(id.clone());
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(KNOWN.get_or_init(|| id.trim().to_owned()).clone())
}

/// What we need of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: i32,
    comm: String,
    state: char,
    parent: i32,
    start_ticks: u64,
}

/// Parse `/proc/PID/stat`. The command's name may hold spaces and parentheses, so it ends at the
/// *last* closing one.
fn parse_stat(line: &str) -> Option<Stat> {
    let (pid, rest) = line.split_once(" (")?;
    let (comm, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    // `rest` begins with field 3.
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let start_ticks = fields.nth(22 - 5)?.parse().ok()?;
    Some(Stat {
        pid: pid.trim().parse().ok()?,
        comm: comm.to_owned(),
        state,
        parent,
        start_ticks,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TAIL: &str = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 99 100";

    #[test]
    fn finds_the_start_time_behind_any_name() {
        for comm in ["bash", "a b", "a) R 1 (b", ")", "", "((", "x) "] {
            let stat = parse_stat(&format!("77 ({comm}) S {TAIL}\n")).unwrap();
            let expected = Stat {
                pid: 77,
                comm: comm.to_owned(),
                state: 'S',
                parent: 1,
                start_ticks: 4242,
            };
            assert_eq!(stat, expected, "{comm:?}");
        }
    }

    #[test]
    fn refuses_garbage() {
        for line in ["", "77", "77 (x", "77 (x) S 1 2 3", "x (y) S 1 2", "(x) S"] {
            assert_eq!(parse_stat(line), None, "{line:?}");
        }
    }

    #[test]
    fn our_own_birth() {
        let birth = Birth::of_self().unwrap();
        assert_eq!(birth.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(birth, Birth::of(birth.pid).unwrap());
        assert!(birth.start_ticks > 0);
        assert!(Birth::of(i32::MAX).is_err());
    }
}
