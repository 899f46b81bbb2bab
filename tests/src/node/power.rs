//! Power failures and link failures of the whole node.
//!
//! What the node wrote survives in the page cache: a power failure here loses processes, addresses and the
//! run folder, not data. Truncate a file by hand to play the disk that lied.

use std::fs;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Node;
use crate::options::NodeId;
use crate::process;

impl Node {
    /// Everything on the node ends at once: no frame leaves it any more, no process sees the end coming.
    pub fn power_off(&self) -> Result<u64> {
        let at = self.fault("power off");
        self.network.carrier(self.id.host(), false)?;
        loop {
            let all = self.netns.processes();
            if all.is_empty() {
                break;
            }
            for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
                for &pid in &all {
                    process::signal(pid, signal)?;
                }
            }
            self.reap();
        }
        self.reap();
        self.network.unplug(self.id.host())?;
        fs::remove_dir_all(self.paths.run())?;
        Ok(at)
    }

    /// The node boots: the interface is up, the run folder is empty, the boot id is new. Nothing is started.
    pub fn power_on(&self) -> Result<()> {
        self.note("power on");
        fs::create_dir_all(self.paths.run())?;
        {
            let mut state = self.lock();
            state.boots += 1;
            state.boot_id = boot_id(self.id, state.boots);
        }
        self.network.carrier(self.id.host(), true)?;
        self.network.plug_in(self.id.host())
    }

    /// The cable is pulled: no carrier.
    pub fn carrier_down(&self) -> Result<u64> {
        let at = self.fault("the cable is pulled");
        self.network.carrier(self.id.host(), false)?;
        Ok(at)
    }

    /// The cable is back.
    pub fn carrier_up(&self) -> Result<()> {
        self.note("the cable is back");
        self.network.carrier(self.id.host(), true)
    }

    /// Takes the exit codes of the children that are dead: zombies confuse keepalived's pid files.
    fn reap(&self) {
        let _ = self.server_pid();
        let _ = self.keepalived_pid();
    }
}

/// A boot id for the programs: the machine's own never changes here.
pub(super) fn boot_id(node: NodeId, boot: u32) -> String {
    format!("{boot:08x}-77aa-4bbb-8ccc-{:012x}", node.server_id())
}
