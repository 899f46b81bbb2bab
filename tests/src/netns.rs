//! One network namespace, made and entered.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns};

use crate::process;

/// A named network namespace (`ip netns`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// The handle of a namespace that exists or is about to be made.
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }

    /// Its name, for `ip netns exec`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves the calling thread, and it alone, into the namespace for the rest of its life.
    pub(crate) fn enter(&self) -> Result<()> {
        let file =
            File::open(format!("/run/netns/{}", self.name)).with_context(|| self.name.clone())?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {}", self.name))
    }

    /// Runs `work` on a thread inside the namespace.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                work()
            });
            inside
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a thread inside {} panicked", self.name)))
        })
    }

    /// Starts a process inside the namespace.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        let what = format!("start {:?} in {}", command.get_program(), self.name);
        self.within(move || command.spawn().context(what))
    }

    /// The processes that live in it.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        process::in_netns(&self.name)
    }

    /// Writes below /proc/sys/net of the namespace.
    pub(crate) fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{name}");
        self.within(|| fs::write(&path, value).with_context(|| path.clone()))
    }
}

/// Whether an interface of the calling thread's namespace carries this address.
pub(crate) fn here(address: Ipv4Addr) -> bool {
    let mine = |ip: IpAddr| ip == IpAddr::V4(address);
    getifaddrs().is_ok_and(|mut all| {
        all.any(|interface| {
            let address = interface
                .address
                .as_ref()
                .and_then(|a| a.as_sockaddr_in().map(|a| a.ip()));
            address.is_some_and(|ip| mine(IpAddr::V4(ip)))
        })
    })
}
