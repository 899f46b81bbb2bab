//! How an event looks in each place.

use log::{Level, Record};
use serde_json::json;

use super::Origin;
use crate::message::one_line;
use crate::sys;

/// The daemon facility of syslog, in the place where a priority has it.
const DAEMON: u8 = 3 << 3;

/// One event, on one line whatever its message holds.
pub(super) struct Event<'a> {
    origin: &'a Origin,
    level: Level,
    time: String,
    pid: u32,
    message: String,
}

impl<'a> Event<'a> {
    pub(super) fn new(origin: &'a Origin, record: &Record<'_>) -> Self {
        Self {
            origin,
            level: record.level(),
            time: sys::utc_now(),
            pid: std::process::id(),
            message: one_line(&record.args().to_string()),
        }
    }

    pub(super) fn plain(&self) -> String {
        format!(
            "{} {:<5} {}[{}]: {}{}",
            self.time,
            self.level,
            self.origin.program,
            self.pid,
            self.prefix(),
            self.message
        )
    }

    pub(super) fn json(&self) -> String {
        let event = json!({
            "time": self.time,
            "level": self.level.as_str(),
            "program": self.origin.program,
            "pid": self.pid,
            "group": self.origin.group,
            "message": self.message,
        });
        event.to_string()
    }

    /// For people at a terminal.
    pub(super) fn short(&self) -> String {
        format!("{}: {}", self.level.as_str().to_lowercase(), self.message)
    }

    /// RFC 3164. Its time has no zone; ours is UTC, and both the journal and rsyslog put the time
    /// of arrival in its place.
    pub(super) fn syslog(&self) -> String {
        let severity = match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        format!(
            "<{}>{} {}[{}]: {}{}",
            DAEMON | severity,
            rfc3164_time(&self.time),
            self.origin.program,
            self.pid,
            self.prefix(),
            self.message
        )
    }

    fn prefix(&self) -> String {
        if self.origin.group.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.origin.group)
        }
    }
}

/// `2026-08-03T10:11:12.345Z` as `Aug  3 10:11:12`.
fn rfc3164_time(rfc3339: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = |range| {
        rfc3339
            .get(range)
            .and_then(|n: &str| n.parse::<usize>().ok())
    };
    let month = number(5..7).and_then(|n| MONTHS.get(n.checked_sub(1)?));
    let day = number(8..10).unwrap_or(1);
    let time = rfc3339.get(11..19).unwrap_or("00:00:00");
    format!("{} {day:>2} {time}", month.unwrap_or(&"Jan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_time() {
        assert_eq!(rfc3164_time("2026-08-03T10:11:12.345Z"), "Aug  3 10:11:12");
        assert_eq!(rfc3164_time("2026-12-31T23:59:59.000Z"), "Dec 31 23:59:59");
        assert_eq!(rfc3164_time(""), "Jan  1 00:00:00");
    }
}
