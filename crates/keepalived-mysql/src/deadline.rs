//! Points in time after which a call gives up.

use std::time::{Duration, Instant};

/// A point on the monotonic clock. Every connect, query, lock and wait takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `duration` ahead of now.
    pub fn after(duration: Duration) -> Self {
        let now = Instant::now();
        Self(
            now.checked_add(duration)
                .unwrap_or_else(|| now + Duration::from_secs(86_400 * 365)),
        )
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn expired(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of this deadline and `duration` from now.
    #[must_use]
    pub fn at_most(self, duration: Duration) -> Self {
        self.min(Self::after(duration))
    }
}

/// Pauses between two looks at a condition: short at first, growing, never past a deadline.
///
/// A failover is a race of milliseconds, a stuck applier a matter of minutes; one step length
/// serves neither.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Pauses that double from 1 ms up to `longest`.
    pub fn up_to(longest: Duration) -> Self {
        Self {
            next: Duration::from_millis(1),
            longest,
        }
    }

    /// Sleeps one step, or what `deadline` leaves of it. False once the deadline has passed.
    pub fn wait(&mut self, deadline: Deadline) -> bool {
        let left = deadline.remaining();
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.step().min(left));
        true
    }

    fn step(&mut self) -> Duration {
        let step = self.next;
        self.next = (self.next * 2).min(self.longest);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_takes_the_earlier() {
        let long = Deadline::after(Duration::from_secs(60));
        assert!(long.at_most(Duration::from_secs(1)).remaining() <= Duration::from_secs(1));
        let past = Deadline::after(Duration::ZERO);
        assert!(past.at_most(Duration::from_secs(1)).expired());
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let mut pauses = Pauses::up_to(Duration::from_millis(5));
        let steps: Vec<_> = (0..5).map(|_| pauses.step().as_millis()).collect();
        assert_eq!(steps, [1, 2, 4, 5, 5]);
    }

    #[test]
    fn pauses_stop_at_the_deadline() {
        let mut pauses = Pauses::up_to(Duration::from_millis(4));
        let deadline = Deadline::after(Duration::from_millis(20));
        while pauses.wait(deadline) {}
        assert!(deadline.expired());
    }
}
