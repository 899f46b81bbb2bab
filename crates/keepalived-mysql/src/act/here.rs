//! This node as its programs see it: configuration, folders, intent, host and keepalived.

use crate::config::{Config, Node};
use crate::decide::promote::Site;
use crate::decide::rule::{Refusal, Rule};
use crate::keepalived::{Keepalived, liveness};
use crate::ledger::files::{RunDir, StateDir, StateError};
use crate::role::{Intent, IntentStore, Recorded, Role};
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
    /// `run_dir/<group>`: gone after a reboot. A folder that cannot be used stops no closing.
    pub run: Option<RunDir>,
    /// `state_dir/<group>`.
    pub state: Option<StateDir>,
    /// Why one of the folders cannot be used.
    pub broken: Option<String>,
    intents: Option<IntentStore>,
    /// The current boot.
    pub boot_id: String,
    /// The intent under which this program acts; it stops when another one takes its place.
    pub basis: Option<Intent>,
}

impl Here {
    /// Opens the folders of a node. Acts under the intent that is recorded now.
    pub fn open(config: Config, node: Node, program: &'static str) -> Self {
        let mut broken = None;
        let run = usable(RunDir::open(&config), &mut broken);
        let state = usable(StateDir::open(&config), &mut broken);
        let intents = run
            .as_ref()
            .and_then(|run| usable(IntentStore::open(run), &mut broken));
        let basis = intents
            .as_ref()
            .and_then(|intents| usable(intents.current(), &mut broken).flatten());
        Self {
            run,
            state,
            broken,
            intents,
            basis,
            boot_id: sys::boot_id().unwrap_or_default(),
            config,
            node,
            program,
        }
    }

    /// A node for a program that only looks: no folder is made, and nothing in one is changed.
    pub fn look(config: Config, node: Node, program: &'static str) -> Self {
        let run = RunDir::look(&config);
        let mut broken = None;
        let intents = usable(IntentStore::open(&run), &mut broken);
        Self {
            basis: intents.as_ref().and_then(IntentStore::peek),
            state: Some(StateDir::look(&config)),
            run: Some(run),
            broken,
            intents,
            boot_id: sys::boot_id().unwrap_or_default(),
            config,
            node,
            program,
        }
    }

    /// Records `intent` and acts under it from now on, unless a newer one is recorded.
    ///
    /// # Errors
    /// When it cannot be recorded. A closing goes on without a record, an opening must not.
    pub fn take_up(&mut self, intent: Intent) -> Result<Recorded, String> {
        let Some(intents) = &self.intents else {
            return Err(self
                .broken
                .clone()
                .unwrap_or_else(|| "no run folder".into()));
        };
        let recorded = intents.record(&intent).map_err(|error| error.to_string())?;
        if recorded == Recorded::Newest {
            if let (Some(before), Role::Master) = (&self.basis, intent.role)
                && before.role == Role::Master
            {
                // No other role came in between, so whatever was raised against us since still is.
                self.carry_baseline(before, &intent);
            }
            self.basis = Some(intent);
        }
        Ok(recorded)
    }

    /// Whether the intent that this program acts under is still the newest. Where that cannot be
    /// told it is not: whoever asks wants to change something, and closing does not ask.
    pub fn still_wanted(&self) -> bool {
        if off(Safety::IntentRecheck) {
            return true;
        }
        let current = self.intents.as_ref().map(IntentStore::current);
        matches!(current, Some(Ok(current)) if current == self.basis || self.master_still(current.as_ref()))
    }

    /// Whether the intent that this program acts under is the newest one itself.
    pub fn acts_under_the_newest(&self) -> bool {
        let current = self.intents.as_ref().map(IntentStore::current);
        matches!(current, Some(Ok(current)) if current == self.basis)
    }

    /// keepalived says MASTER again and again when it ejects a second one; that changes nothing.
    fn master_still(&self, current: Option<&Intent>) -> bool {
        self.role() == Some(Role::Master)
            && current.is_some_and(|intent| intent.role == Role::Master)
    }

    /// The accounts of the suite on a server: this node's own and that of its peers.
    pub fn own_users(&self) -> [&str; 2] {
        let accounts = &self.config.accounts;
        [&accounts.local.user, &accounts.peer.user]
    }

    /// Whether a Master intent has come that this program does not act under: then it must not close.
    pub fn master_again(&self) -> bool {
        let current = self
            .intents
            .as_ref()
            .and_then(|intents| intents.current().ok().flatten());
        current.is_some_and(|intent| {
            intent.role == Role::Master && self.basis.as_ref() != Some(&intent)
        })
    }

    /// Refuses what needs a record where none can be written.
    pub fn require_folders(&self) -> Result<(), Refusal> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(Refusal::new(
                Rule::State,
                format!("what must be written down before opening cannot be: {why}"),
                "make room, or give the folder back to the user that runs the hooks",
            )),
        }
    }

    /// The role that this program acts under.
    pub fn role(&self) -> Option<Role> {
        self.basis.as_ref().map(|intent| intent.role)
    }

    /// What host and keepalived say right now.
    pub fn site(&self) -> Site {
        let vip = vips_here(&self.config.vips, &self.config.vip_check);
        if let Err(error) = &vip {
            log::warn!("cannot tell whether the VIP is here: {error}");
        }
        Site {
            role: self.role(),
            vip_here: matches!(vip, Ok(VipState::Here)),
            vip_known: vip.is_ok(),
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
}

fn usable<T>(folder: Result<T, StateError>, broken: &mut Option<String>) -> Option<T> {
    folder
        .map_err(|error| {
            log::error!("{error}");
            broken.get_or_insert(error.to_string());
        })
        .ok()
}
