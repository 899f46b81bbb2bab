//! Stopping the suite's programs at a chosen step.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Node;
use crate::clock::wait_until;

impl Node {
    /// The next program that comes to this step waits there.
    pub fn pause_at(&self, step: &str) -> Result<()> {
        let _ = fs::remove_file(self.paths.pause().join(format!("{step}.reached")));
        fs::write(self.paths.pause().join(format!("{step}.pause")), "")?;
        Ok(())
    }

    /// Waits until a program has come to the step, and returns its pid.
    pub fn wait_reached(&self, step: &str, deadline: Duration) -> Result<i32> {
        let path = self.paths.pause().join(format!("{step}.reached"));
        let pid = || {
            fs::read_to_string(&path)
                .ok()
                .and_then(|text| text.trim().parse::<i32>().ok())
        };
        let what = format!("{}: a program reaches {step}", self.id);
        wait_until(&what, deadline, || Ok(pid().is_some()))?;
        let pid = pid().context("the mark vanished")?;
        self.note(&format!("process {pid} waits at step {step}"));
        Ok(pid)
    }

    /// Lets the program go on.
    pub fn release(&self, step: &str) -> Result<()> {
        self.note(&format!("step {step} goes on"));
        fs::remove_file(self.paths.pause().join(format!("{step}.pause")))?;
        let _ = fs::remove_file(self.paths.pause().join(format!("{step}.reached")));
        Ok(())
    }
}
