//! Signals that ask us to end: noted, and obeyed at the next step.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static TERMINATED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on SIGTERM, SIGINT and SIGHUP end nothing by themselves; [`terminated`] tells that one
/// came. Calling it again changes nothing.
///
/// # Errors
/// When the kernel refuses a handler.
pub fn hold_signals() -> io::Result<()> {
    if TERMINATED.get().is_some() {
        return Ok(());
    }
    let flag = TERMINATED.get_or_init(Arc::default);
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Whether one of the held signals has come since [`hold_signals`].
pub fn terminated() -> bool {
    TERMINATED
        .get()
        .is_some_and(|flag| flag.load(Ordering::SeqCst))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn notes_a_signal() {
        hold_signals().unwrap();
        hold_signals().unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
        assert!(terminated());
    }
}
