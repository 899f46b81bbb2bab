//! This node as its programs see it: configuration, folders, intent, host and keepalived.

use crate::config::{Config, Node};
use crate::decide::promote::Site;
use crate::keepalived::{Keepalived, liveness};
use crate::ledger::files::{RunDir, StateDir};
use crate::message::Message;
use crate::role::{Intent, IntentStore, Role};
use crate::switches::{Safety, off};
use crate::sys;
use crate::vip::{VipState, vips_here};

/// Everything a program needs to know of its own node.
#[derive(Debug)]
pub struct Here {
    /// The configuration.
    pub config: Config,
    /// This node in it.
    pub node: Node,
    /// The program's name, for receipts.
    pub program: &'static str,
    /// `run_dir/<group>`: gone after a reboot.
    pub run: RunDir,
    /// `state_dir/<group>`.
    pub state: StateDir,
    /// The recorded roles.
    pub intents: IntentStore,
    /// The current boot.
    pub boot_id: String,
    /// The intent under which this program acts; it stops when another one takes its place.
    pub basis: Option<Intent>,
}

impl Here {
    /// Opens the folders of a node. Acts under the intent that is recorded now.
    pub fn open(config: Config, node: Node, program: &'static str) -> Self {
        let run = RunDir::new(&config);
        let state = StateDir::new(&config);
        let intents = IntentStore::new(&config);
        let basis = intents.current();
        Self {
            run,
            state,
            intents,
            basis,
            boot_id: sys::boot_id().unwrap_or_default(),
            config,
            node,
            program,
        }
    }

    /// Whether the intent that this program acts under is still the newest.
    pub fn still_wanted(&self) -> bool {
        off(Safety::IntentRecheck) || self.intents.current() == self.basis
    }

    /// The role that this program acts under.
    pub fn role(&self) -> Option<Role> {
        self.basis.as_ref().map(|intent| intent.role)
    }

    /// What host and keepalived say right now.
    pub fn site(&self) -> Site {
        let vip_here = match vips_here(&self.config.vips, &self.config.vip_check) {
            Ok(state) => state == VipState::Here,
            Err(error) => {
                log::warn!("cannot tell whether the VIP is here: {error}");
                false
            }
        };
        Site {
            role: self.role(),
            vip_here,
            keepalived_live: self.keepalived_pid().is_some(),
        }
    }

    /// The pid of a live keepalived.
    pub fn keepalived_pid(&self) -> Option<i32> {
        match liveness(&self.config.keepalived.pid_file) {
            Keepalived::Live { pid } => Some(pid),
            _ => None,
        }
    }

    /// The node with a name.
    pub fn peer(&self, name: &str) -> Option<&Node> {
        self.config.node_named(name)
    }

    /// A message that a person reads first: which group, which node.
    pub fn subject(&self) -> String {
        format!("{} on {}", self.config.group, self.node.name)
    }
}

/// The result of a program: its exit code comes from [`crate::cli::Exit`], its words from here.
pub type Outcome<T> = Result<T, Message>;
