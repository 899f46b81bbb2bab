//! One node: its server, its keepalived, its folders, and what can happen to it.

mod disk;
mod keepalived;
mod pause;
mod power;
mod program;
mod server;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::clock::wait_until;
use crate::config;
use crate::netns::{self, Netns};
use crate::network::{Network, VIP};
use crate::options::{LabOptions, NodeId, NodePaths};
use crate::received::Received;
use crate::server::Server;
use crate::sql::{self, Login, Row, Target};
use crate::supervisor::Supervisor;
use crate::template;
use crate::timeline::{Timeline, What};
use crate::watch::Watch;

/// One node of the lab. All methods take `&self`: several threads may use it.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    paths: NodePaths,
    netns: Netns,
    network: Arc<Network>,
    timeline: Timeline,
    watch: Watch,
    own_disk: bool,
    server: Server,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    server: Option<Child>,
    keepalived: Option<Child>,
    boot_id: String,
    boots: u32,
    test_off: Vec<String>,
    env: Vec<(String, String)>,
}

impl Node {
    /// Makes the folders, copies the data, writes the configuration. Starts nothing but the lab's eyes.
    pub(crate) fn prepare(
        id: NodeId,
        folder: &Path,
        template: &Path,
        network: &Arc<Network>,
        timeline: &Timeline,
        options: &LabOptions,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let paths = NodePaths::new(folder, id);
        for path in paths.folders() {
            fs::create_dir_all(path)?;
        }
        let own_disk = options.data_size.is_some();
        if let Some(size) = &options.data_size {
            supervisor.mount(&paths.data())?;
            mount_memory(&paths.data(), size)?;
        }
        if let Some(size) = &options.suite_folder_size {
            for folder in paths.suite_folders() {
                fs::create_dir_all(&folder)?;
                supervisor.mount(&folder)?;
                mount_memory(&folder, size)?;
            }
            fs::create_dir_all(paths.state().join("VI_1"))?;
        }
        template::copy(template, &paths.data())?;
        config::write_all(id, &paths, options)?;
        let netns = network.host(id.host()).clone();
        let socket = Target::Socket(paths.socket());
        let watch = Watch::start(id, options.server, &netns, socket, timeline);
        let state = State {
            server: None,
            keepalived: None,
            boot_id: power::boot_id(id, 1),
            boots: 1,
            test_off: options.test_off.clone(),
            env: options.env.clone(),
        };
        let (network, timeline, state) = (Arc::clone(network), timeline.clone(), Mutex::new(state));
        Ok(Self {
            id,
            paths,
            netns,
            network,
            timeline,
            watch,
            own_disk,
            server: options.server,
            state,
        })
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where its things lie.
    #[must_use]
    pub fn paths(&self) -> &NodePaths {
        &self.paths
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// What its database is.
    #[must_use]
    pub fn server(&self) -> Server {
        self.server
    }

    /// Statements as root through the node's own socket, in MariaDB's words: the rows of the last one.
    pub fn query_local(&self, statements: &str) -> Result<Vec<Row>> {
        let mut conn = self.connect(Duration::from_secs(20))?;
        sql::rows(&mut conn, &self.server.words(statements))
    }

    /// A connection of root through the node's own socket.
    pub fn connect(&self, read_timeout: Duration) -> Result<mysql::Conn> {
        Ok(sql::open(
            &Target::Socket(self.paths.socket()),
            Login::ROOT,
            &[],
            read_timeout,
        )?)
    }

    /// Whether the server refuses application writes.
    pub fn read_only(&self) -> Result<bool> {
        let mut conn = self.connect(Duration::from_millis(500))?;
        let rows = sql::rows(&mut conn, "SELECT @@global.read_only")?;
        Ok(rows.first().is_none_or(|row| row.at(0) != "0"))
    }

    /// Whether the server accepts application writes now; one that does not answer does not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.read_only().is_ok_and(|closed| !closed)
    }

    /// The channels from which it replicates.
    pub fn replica_status(&self) -> Result<Vec<Row>> {
        self.query_local("SHOW ALL SLAVES STATUS")
    }

    /// Whether both replication threads run, from this source.
    pub fn follows(&self, source: NodeId) -> Result<bool> {
        let rows = self.replica_status()?;
        Ok(rows.len() == 1
            && rows[0].get("Master_Host") == source.address().to_string()
            && rows[0].get("Slave_IO_Running") == "Yes"
            && rows[0].get("Slave_SQL_Running") == "Yes")
    }

    /// The farthest that it was seen to have received, by the lab's own eyes.
    #[must_use]
    pub fn received(&self) -> Received {
        self.watch.received()
    }

    /// Whether the VIP is on its interface.
    #[must_use]
    pub fn has_vip(&self) -> bool {
        self.netns.within(|| Ok(netns::here(VIP))).unwrap_or(false)
    }

    /// Waits until the VIP is here and the server is open.
    pub fn wait_serving(&self, deadline: Duration) -> Result<Duration> {
        let what = format!("{} has the VIP and is open", self.id);
        wait_until(&what, deadline, || Ok(self.has_vip() && !self.read_only()?))
    }

    /// Waits until both replication threads run, from this source.
    pub fn wait_following(&self, source: NodeId, deadline: Duration) -> Result<Duration> {
        wait_until(&format!("{} follows {source}", self.id), deadline, || {
            self.follows(source)
        })
    }

    /// Waits for a condition of this node.
    pub fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        mut condition: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        wait_until(&format!("{}: {what}", self.id), deadline, || {
            condition(self)
        })
    }

    /// keepalived's drain switch for this node.
    pub fn drain(&self, drained: bool) -> Result<()> {
        self.note(if drained {
            "drained"
        } else {
            "no longer drained"
        });
        fs::write(self.paths.drain(), if drained { "1\n" } else { "0\n" })?;
        Ok(())
    }

    /// Which safety steps the programs leave out from the next start of keepalived on.
    pub fn switch_off(&self, steps: &[&str]) {
        self.lock().test_off = steps.iter().map(|&step| step.to_owned()).collect();
    }

    /// The test switches in the environment of this node's programs.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let state = self.lock();
        let mut all = state.env.clone();
        all.push((
            "KEEPALIVED_MYSQL_TEST_BOOT_ID".to_owned(),
            state.boot_id.clone(),
        ));
        all.push((
            "KEEPALIVED_MYSQL_TEST_PAUSE_DIR".to_owned(),
            self.paths.pause().display().to_string(),
        ));
        if !state.test_off.is_empty() {
            all.push((
                "KEEPALIVED_MYSQL_TEST_OFF".to_owned(),
                state.test_off.join(","),
            ));
        }
        all
    }

    /// Everything was killed by somebody else: takes the exit codes.
    pub(crate) fn forget_processes(&self) {
        let children = {
            let mut state = self.lock();
            [state.server.take(), state.keepalived.take()]
        };
        for mut child in children.into_iter().flatten() {
            let _ = child.wait();
        }
    }

    fn note(&self, text: &str) {
        self.timeline
            .add(What::Note(format!("{}: {text}", self.id)));
    }

    fn fault(&self, text: &str) -> u64 {
        self.timeline
            .add(What::Fault(format!("{}: {text}", self.id)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mount_memory(path: &Path, size: &str) -> Result<()> {
    let options = format!("size={size}");
    let none = None::<&str>;
    mount(
        none,
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .with_context(|| format!("mount {}", path.display()))
}
