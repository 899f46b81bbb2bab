//! The node's keepalived.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::Node;
use crate::clock::wait_until;
use crate::process;

impl Node {
    /// Starts keepalived. It enters the namespace by itself, because its process tracker is dead when it is
    /// started inside one.
    pub fn start_keepalived(&self) -> Result<()> {
        if self.keepalived_pid().is_some() {
            bail!("{}: keepalived runs already", self.id);
        }
        self.note("start keepalived");
        let run = self.paths.run();
        let (parent, vrrp) = (run.join("keepalived.pid"), run.join("keepalived_vrrp.pid"));
        for file in [&parent, &vrrp] {
            let _ = fs::remove_file(file);
        }
        let mut command = Command::new("/usr/sbin/keepalived");
        command
            .args(["-n", "-l", "-D", "-P", "-s", self.netns.name(), "-p"])
            .arg(parent);
        command
            .arg("-r")
            .arg(vrrp)
            .arg("-f")
            .arg(self.paths.etc().join("keepalived.conf"));
        command
            .envs(self.environment())
            .current_dir("/")
            .stdin(Stdio::null());
        command
            .stdout(self.log_file("keepalived.log")?)
            .stderr(self.log_file("keepalived.log")?);
        let child = command.spawn().context("start keepalived")?;
        self.lock().keepalived = Some(child);
        Ok(())
    }

    /// The pid of keepalived's parent process while it runs.
    #[must_use]
    pub fn keepalived_pid(&self) -> Option<i32> {
        let mut state = self.lock();
        let child = state.keepalived.as_mut()?;
        match child.try_wait() {
            Ok(None) => i32::try_from(child.id()).ok(),
            _ => {
                state.keepalived = None;
                None
            }
        }
    }

    /// SIGTERM, and waits for the end (about a second: keepalived gives its stop hook that long).
    pub fn term_keepalived(&self) -> Result<u64> {
        let at = self.fault("keepalived is stopped (SIGTERM)");
        process::signal(self.keepalived()?, Signal::SIGTERM)?;
        wait_until(
            &format!("{}: keepalived ends", self.id),
            Duration::from_secs(10),
            || Ok(self.keepalived_pid().is_none()),
        )?;
        Ok(at)
    }

    /// SIGHUP: keepalived reads its configuration again.
    pub fn reload_keepalived(&self) -> Result<()> {
        self.note("keepalived reloads (SIGHUP)");
        Ok(process::signal(self.keepalived()?, Signal::SIGHUP)?)
    }

    /// SIGKILL of both its processes, so that the VIP stays behind.
    pub fn kill_keepalived(&self) -> Result<u64> {
        let at = self.fault("keepalived is killed (SIGKILL), the VIP stays behind");
        let parent = self.keepalived()?;
        // Stopped, the parent cannot start another child; alive, it holds back the signal of its death.
        process::signal(parent, Signal::SIGSTOP)?;
        for child in process::children(parent) {
            process::signal(child, Signal::SIGKILL)?;
        }
        process::signal(parent, Signal::SIGKILL)?;
        self.reap_keepalived();
        Ok(at)
    }

    /// SIGSTOP of both processes: what a paused virtual machine looks like to VRRP.
    pub fn freeze_keepalived(&self) -> Result<u64> {
        let at = self.fault("keepalived is frozen (SIGSTOP)");
        self.signal_both(Signal::SIGSTOP)?;
        Ok(at)
    }

    /// SIGCONT of both processes.
    pub fn thaw_keepalived(&self) -> Result<()> {
        self.note("keepalived thaws (SIGCONT)");
        self.signal_both(Signal::SIGCONT)
    }

    fn signal_both(&self, signal: Signal) -> Result<()> {
        let parent = self.keepalived()?;
        for pid in process::children(parent).into_iter().chain([parent]) {
            process::signal(pid, signal)?;
        }
        Ok(())
    }

    fn keepalived(&self) -> Result<i32> {
        self.keepalived_pid()
            .with_context(|| format!("{}: no keepalived runs", self.id))
    }

    pub(super) fn reap_keepalived(&self) {
        let child = self.lock().keepalived.take();
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }
}
