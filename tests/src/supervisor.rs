//! Nothing of a lab outlives its runner, whatever ends the runner.
//!
//! The supervisor is a process of its own session that reads a pipe. The runner writes down there what it
//! is about to make. When the pipe ends (drop, panic, SIGKILL of the runner) the supervisor removes it all.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

use crate::{exe, process, sh};

/// The runner's end of the pipe.
#[derive(Debug)]
pub struct Supervisor {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Supervisor {
    /// Starts the supervisor and waits until it is out of reach of the runner's terminal.
    pub fn start() -> Result<Self> {
        let mut child = Command::new(exe::lab()?)
            .arg("supervisor")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start the supervisor")?;
        let mut ready = [0_u8; 1];
        let stdout = child
            .stdout
            .as_mut()
            .context("the supervisor has no stdout")?;
        stdout
            .read_exact(&mut ready)
            .context("the supervisor did not come up")?;
        let pipe = Mutex::new(child.stdin.take());
        Ok(Self {
            pipe,
            child: Mutex::new(child),
        })
    }

    /// A namespace that is about to be made; everything that lives in it will be killed.
    pub fn netns(&self, name: &str) -> Result<()> {
        self.write(&format!("netns {name}"))
    }

    /// A folder that is about to be made.
    pub fn folder(&self, path: &Path) -> Result<()> {
        self.write(&format!("folder {}", path.display()))
    }

    /// A file system that is about to be mounted.
    pub fn mount(&self, path: &Path) -> Result<()> {
        self.write(&format!("mount {}", path.display()))
    }

    /// A process outside the lab's namespaces.
    pub fn process(&self, pid: u32) -> Result<()> {
        let pid = i32::try_from(pid)?;
        let start = process::start_time(pid).unwrap_or(0);
        self.write(&format!("pid {pid} {start}"))
    }

    fn write(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = pipe.as_mut().context("the lab is being torn down")?;
        writeln!(pipe, "{line}").context("the supervisor is gone")
    }

    /// Ends the pipe and waits until the supervisor has removed everything.
    pub fn finish(&self) {
        self.pipe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let _ = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What has to go.
#[derive(Debug, Default)]
struct Estate {
    pids: Vec<(i32, u64)>,
    namespaces: Vec<String>,
    mounts: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// The supervisor process itself. With `LAB_KEEP` in its environment the folder stays for a look at the logs.
pub fn main() -> Result<()> {
    nix::unistd::setsid().context("setsid")?;
    let mut deaf = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGPIPE,
    ] {
        deaf.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&deaf), None)?;
    std::io::stdout().write_all(b".")?;
    std::io::stdout().flush()?;
    let mut estate = Estate::default();
    for line in BufReader::new(std::io::stdin()).lines() {
        let Ok(line) = line else { break };
        estate.note(&line);
    }
    estate.sweep();
    Ok(())
}

impl Estate {
    fn note(&mut self, line: &str) {
        let Some((kind, what)) = line.split_once(' ') else {
            return;
        };
        match kind {
            "netns" => self.namespaces.push(what.to_owned()),
            "folder" => self.folders.push(what.into()),
            "mount" => self.mounts.push(what.into()),
            "pid" => {
                let numbers = what
                    .split_once(' ')
                    .map(|(pid, start)| (pid.parse(), start.parse()));
                if let Some((Ok(pid), Ok(start))) = numbers {
                    self.pids.push((pid, start));
                }
            }
            _ => {}
        }
    }

    fn sweep(&self) {
        for &(pid, start) in &self.pids {
            if process::start_time(pid) == Some(start) {
                let _ = process::signal(pid, Signal::SIGKILL);
            }
        }
        for _ in 0..500 {
            let left: Vec<i32> = self
                .namespaces
                .iter()
                .flat_map(|name| process::in_netns(name))
                .collect();
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = process::signal(pid, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
        for name in &self.namespaces {
            let _ = sh::run(Command::new("ip").args(["netns", "delete", name]));
        }
        for path in &self.mounts {
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
        if std::env::var_os("LAB_KEEP").is_none() {
            self.folders.iter().for_each(|path| remove(path));
        }
    }
}

fn remove(path: &Path) {
    for _ in 0..100 {
        if fs::remove_dir_all(path).is_ok() || !path.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
