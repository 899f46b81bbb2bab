//! Running the suite's programs by hand.

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::Node;
use crate::process;

const LIMIT: Duration = Duration::from_secs(120);

impl Node {
    /// Runs one of the suite's programs with `--config` of this node, inside its namespace.
    pub fn run_suite(&self, program: &str, args: &[&str]) -> Result<Output> {
        let config = self.paths.config().display().to_string();
        let all: Vec<&str> = ["--config", &config]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        self.run_program(program, &all, &[])
    }

    /// Runs a program inside the namespace: one of the suite's by name, any other by its path. A program that
    /// has not ended after two minutes is killed.
    pub fn run_program(
        &self,
        program: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Output> {
        let path = self.paths.bin().join(program);
        let mut command = Command::new(&path);
        command
            .args(args)
            .envs(self.environment())
            .envs(env.iter().copied())
            .current_dir("/");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.netns.spawn(&mut command)?;
        let pid = i32::try_from(child.id())?;
        let (ended, begun) = (AtomicBool::new(false), Instant::now());
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    if begun.elapsed() > LIMIT {
                        let _ = process::signal(pid, Signal::SIGKILL);
                        return;
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let output = child.wait_with_output();
            ended.store(true, Ordering::Relaxed);
            output
        });
        if begun.elapsed() > LIMIT {
            bail!("{}: {program} {args:?} did not end in {LIMIT:?}", self.id);
        }
        output.with_context(|| program.to_owned())
    }
}
