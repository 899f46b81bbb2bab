//! Time as the whole machine sees it, and waiting for a condition instead of sleeping.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::time::{ClockId, clock_gettime};

/// Microseconds of CLOCK_MONOTONIC: comparable between all processes of the machine.
#[must_use]
pub fn now_us() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000
            + u64::try_from(t.tv_nsec()).unwrap_or(0) / 1000
    })
}

/// Tries `condition` every few milliseconds until it is true; an error names `what` did not come true in time.
pub fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let last = condition();
        if matches!(last, Ok(true)) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > deadline {
            match last {
                Err(error) => bail!("waited {deadline:?} in vain for: {what} ({error:#})"),
                Ok(_) => bail!("waited {deadline:?} in vain for: {what}"),
            }
        }
        thread::sleep(Duration::from_millis(3));
    }
}
