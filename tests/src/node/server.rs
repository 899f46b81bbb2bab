//! The node's database server as a process.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::Node;
use crate::clock::wait_until;
use crate::config::server_command;
use crate::process;

impl Node {
    /// Starts the server and waits until it answers.
    pub fn start_server(&self) -> Result<()> {
        self.spawn_server()?;
        self.wait_server()
    }

    /// Starts the server without waiting.
    pub fn spawn_server(&self) -> Result<()> {
        if self.server_pid().is_some() {
            bail!("{}: the server runs already", self.id);
        }
        self.note("start the server");
        let [program, argument] = server_command(self.server, &self.paths);
        let mut command = Command::new(program);
        command
            .arg(argument)
            .current_dir(self.paths.data())
            .stdin(Stdio::null());
        command
            .stdout(self.log_file("mysqld.out")?)
            .stderr(self.log_file("mysqld.out")?);
        let child = self.netns.spawn(&mut command)?;
        self.lock().server = Some(child);
        Ok(())
    }

    /// Waits until the server answers.
    pub fn wait_server(&self) -> Result<()> {
        wait_until(
            &format!("{}: the server answers", self.id),
            Duration::from_secs(20),
            || {
                if self.server_pid().is_none() {
                    return Ok(false);
                }
                self.connect(Duration::from_secs(1)).map(|_| true)
            },
        )
        .with_context(|| format!("see {}/mysqld.log", self.paths.log().display()))
        .map(drop)
    }

    /// The server's pid while it runs.
    #[must_use]
    pub fn server_pid(&self) -> Option<i32> {
        let mut state = self.lock();
        let child = state.server.as_mut()?;
        match child.try_wait() {
            Ok(None) => i32::try_from(child.id()).ok(),
            _ => {
                state.server = None;
                None
            }
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop_server(&self) -> Result<()> {
        self.fault("the server is stopped (SIGTERM)");
        self.signal_server(Signal::SIGTERM)?;
        wait_until(
            &format!("{}: the server ends", self.id),
            Duration::from_secs(60),
            || Ok(self.server_pid().is_none()),
        )
        .map(drop)
    }

    /// SIGKILL. Returns the time of the fault.
    pub fn kill_server(&self) -> Result<u64> {
        let at = self.fault("the server is killed (SIGKILL)");
        self.signal_server(Signal::SIGKILL)?;
        let child = self.lock().server.take();
        if let Some(mut child) = child {
            child.wait()?;
        }
        Ok(at)
    }

    /// SIGSTOP: the server hangs, and its host answers. Returns the time of the fault.
    pub fn freeze_server(&self) -> Result<u64> {
        let at = self.fault("the server is frozen (SIGSTOP)");
        self.signal_server(Signal::SIGSTOP)?;
        let stopped = || Ok(self.server_pid().is_none_or(process::is_stopped));
        let what = format!("{}: every thread of the server has stopped", self.id);
        wait_until(&what, Duration::from_secs(10), stopped)?;
        Ok(at)
    }

    /// SIGCONT.
    pub fn thaw_server(&self) -> Result<()> {
        self.note("the server thaws (SIGCONT)");
        self.signal_server(Signal::SIGCONT)
    }

    fn signal_server(&self, signal: Signal) -> Result<()> {
        let pid = self
            .server_pid()
            .with_context(|| format!("{}: no server runs", self.id))?;
        process::signal(pid, signal)?;
        Ok(())
    }

    pub(super) fn log_file(&self, name: &str) -> Result<File> {
        let path = self.paths.log().join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.with_context(|| path.display().to_string())
    }
}
