//! Switches of the lab: safety steps that can be left out, and steps at which a program waits.
//!
//! They exist only with the cargo feature `test-switches`. Without it every function here is a
//! constant that the compiler removes. With a safety step left out a named scenario of the lab has
//! to fail: that is how we know that the scenarios see.

/// A safety step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Closing a reachable open peer, before opening and as a repair.
    Fence,
    /// Writing the claim down, and into every reachable server, before touching anyone.
    Claim,
    /// Holding the gate, and letting the server check fence row and time when it opens.
    Gate,
    /// Proving that everything received is applied.
    DrainProof,
    /// Looking again, between steps and around the opening, at what keepalived wants: the recorded
    /// intent, the VIP, and whether keepalived lives.
    IntentRecheck,
    /// Vetting an old master before it is pointed at the new one.
    Vetting,
    /// Closing before waiting for the lock.
    CloseBeforeLock,
    /// Letting old data wait after a boot.
    BootRule,
}

#[cfg(feature = "test-switches")]
mod active {
    use super::Safety;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    impl Safety {
        fn word(self) -> &'static str {
            match self {
                Self::Fence => "fence",
                Self::Claim => "claim",
                Self::Gate => "gate",
                Self::DrainProof => "drain-proof",
                Self::IntentRecheck => "intent-recheck",
                Self::Vetting => "vetting",
                Self::CloseBeforeLock => "close-before-lock",
                Self::BootRule => "boot-rule",
            }
        }
    }

    /// Whether `KEEPALIVED_MYSQL_TEST_OFF` names this step.
    pub fn off(safety: Safety) -> bool {
        std::env::var("KEEPALIVED_MYSQL_TEST_OFF")
            .is_ok_and(|list| list.split(',').any(|word| word.trim() == safety.word()))
    }

    /// Waits at `step` while `KEEPALIVED_MYSQL_TEST_PAUSE_DIR` holds a file `step.pause`.
    pub fn reached(step: &str) {
        let Some(folder) = std::env::var_os("KEEPALIVED_MYSQL_TEST_PAUSE_DIR").map(PathBuf::from)
        else {
            return;
        };
        let pause = folder.join(format!("{step}.pause"));
        if !pause.exists() {
            return;
        }
        let _ = std::fs::write(
            folder.join(format!("{step}.reached")),
            std::process::id().to_string(),
        );
        let started = Instant::now();
        while pause.exists() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(not(feature = "test-switches"))]
mod active {
    use super::Safety;

    /// Always false: this build has no switches.
    pub const fn off(_safety: Safety) -> bool {
        false
    }

    /// Does nothing: this build has no switches.
    pub const fn reached(_step: &str) {}
}

pub use active::{off, reached};
