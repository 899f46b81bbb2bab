//! The whole lab: made, used, removed.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::clock::{now_us, wait_until};
use crate::netns::Netns;
use crate::network::{Direction, Host, Network};
use crate::node::Node;
use crate::options::{Hooks, LabOptions, NodeId};
use crate::server::Server;
use crate::supervisor::Supervisor;
use crate::timeline::{Timeline, What};
use crate::writer::{Job, Via, Writers};
use crate::{programs, replication, template};

/// Two nodes and a client. When it is dropped, or its process dies in any way, nothing is left of it.
#[derive(Debug)]
pub struct Lab {
    id: String,
    folder: PathBuf,
    options: LabOptions,
    timeline: Timeline,
    network: Arc<Network>,
    nodes: [Node; 2],
    writers: AtomicU32,
    supervisor: Supervisor,
}

impl Lab {
    /// Starts both servers, closed, with node-b following node-a. keepalived is not started yet.
    pub fn start(options: LabOptions) -> Result<Self> {
        let supervisor = Supervisor::start()?;
        let (id, folder) = new_folder(&supervisor)?;
        let timeline = Timeline::default();
        let (template, network) = thread::scope(|scope| {
            let network = scope.spawn(|| Network::build(&id, &supervisor));
            let template = template::ready(options.server);
            (
                template,
                network
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("making the network panicked"))),
            )
        });
        let (template, network) = (
            template.context("template")?,
            Arc::new(network.context("network")?),
        );
        fs::create_dir_all(folder.join("bin"))?;
        if matches!(options.hooks, Hooks::Suite) {
            programs::install(&folder.join("bin"))?;
        }
        let node = |id| {
            Node::prepare(
                id,
                &folder,
                &template,
                &network,
                &timeline,
                &options,
                &supervisor,
            )
        };
        let nodes = [node(NodeId::A)?, node(NodeId::B)?];
        let writers = AtomicU32::new(1);
        let lab = Self {
            id,
            folder,
            options,
            timeline,
            network,
            nodes,
            writers,
            supervisor,
        };
        lab.start_servers()?;
        Ok(lab)
    }

    /// Why no lab of this server can be had on this machine, if so: not root, or a program is missing.
    #[must_use]
    pub fn unavailable(server: Server) -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("network namespaces need root".to_owned());
        }
        let needed = ["/usr/sbin/keepalived", "/usr/sbin/nft"];
        needed
            .into_iter()
            .find(|path| !Path::new(path).exists())
            .map(|path| format!("{path} is missing: run make setup"))
            .or_else(|| server.missing())
    }

    fn start_servers(&self) -> Result<()> {
        for node in &self.nodes {
            node.spawn_server()?;
        }
        for node in &self.nodes {
            node.wait_server()?;
        }
        let [a, b] = &self.nodes;
        replication::follow(b, a, self.options.positioning)?;
        if matches!(self.options.hooks, Hooks::Nothing) {
            for node in &self.nodes {
                node.query_local("SET GLOBAL read_only=0")?;
            }
        }
        Ok(())
    }

    /// Starts node-a's keepalived, waits until node-a serves, then starts node-b's.
    pub fn start_keepalived(&self) -> Result<()> {
        let [a, b] = &self.nodes;
        a.start_keepalived()?;
        a.wait_serving(Duration::from_secs(30))?;
        b.start_keepalived()?;
        // Until its first check and first advert have come, node-b would not take over.
        let log = b.paths().log().join("keepalived.log");
        wait_until("node-b is BACKUP", Duration::from_secs(20), || {
            Ok(fs::read_to_string(&log)?.contains("Entering BACKUP STATE"))
        })
        .map(drop)
    }

    /// Its name: part of the names of its namespaces and of its folder.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder with everything in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &LabOptions {
        &self.options
    }

    /// One of the nodes.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// node-a.
    #[must_use]
    pub fn a(&self) -> &Node {
        self.node(NodeId::A)
    }

    /// node-b.
    #[must_use]
    pub fn b(&self) -> &Node {
        self.node(NodeId::B)
    }

    /// Both nodes.
    #[must_use]
    pub fn nodes(&self) -> [&Node; 2] {
        [self.a(), self.b()]
    }

    /// The nodes that accept application writes now.
    #[must_use]
    pub fn open_nodes(&self) -> Vec<NodeId> {
        self.nodes()
            .into_iter()
            .filter(|node| node.is_open())
            .map(Node::id)
            .collect()
    }

    /// The namespace of a host.
    #[must_use]
    pub fn netns(&self, host: Host) -> &Netns {
        self.network.host(host)
    }

    /// The cables and the switch.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What happened so far.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Removed with the lab: tell the supervisor of file systems and processes of your own.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Adds a line of the scenario to the timeline.
    pub fn note(&self, text: &str) {
        self.timeline.add(What::Note(text.to_owned()));
    }

    /// Loses everything between two hosts, or only what the first sends to the second.
    pub fn cut(&self, from: Host, to: Host, direction: Direction) -> Result<u64> {
        let at = self.timeline.add(What::Fault(format!(
            "cut {from:?} {} {to:?}",
            arrow(direction)
        )));
        self.network.cut(from, to, direction)?;
        Ok(at)
    }

    /// Loses only VRRP.
    pub fn cut_vrrp(&self, from: Host, to: Host, direction: Direction) -> Result<u64> {
        let at = self.timeline.add(What::Fault(format!(
            "cut VRRP {from:?} {} {to:?}",
            arrow(direction)
        )));
        self.network.cut_vrrp(from, to, direction)?;
        Ok(at)
    }

    /// Ends all cuts.
    pub fn heal(&self) -> Result<()> {
        self.note("the network heals");
        self.network.heal()
    }

    /// Starts writers.
    pub fn write(&self, ways: &[Via]) -> Result<Writers> {
        let paths = [self.a().paths(), self.b().paths()];
        let jobs: Vec<_> = ways
            .iter()
            .map(|&via| {
                let (host, target) = via.target(&paths);
                Job {
                    via,
                    netns: self.netns(host).clone(),
                    target,
                    server: self.options.server,
                }
            })
            .collect();
        let first = self
            .writers
            .fetch_add(u32::try_from(jobs.len())?, Ordering::Relaxed);
        Ok(Writers::start(jobs, first))
    }

    /// Waits until exactly one node is open and the other follows it with nothing left to apply.
    pub fn settle(&self, deadline: Duration) -> Result<Duration> {
        wait_until(
            "one node is open and the other is level with it",
            deadline,
            || {
                let [serving] = self.open_nodes()[..] else {
                    return Ok(false);
                };
                let replica = self.node(serving.other());
                Ok(replica.follows(serving)? && self.level(self.node(serving), replica)?)
            },
        )
    }

    fn level(&self, source: &Node, replica: &Node) -> Result<bool> {
        let executed = self.options.server.executed();
        let count = format!("SELECT COUNT(*), COALESCE(MAX(id),0), {executed} FROM lab.ledger");
        Ok(source.query_local(&count)? == replica.query_local(&count)?)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.supervisor.finish();
        self.nodes.iter().for_each(Node::forget_processes);
    }
}

fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "<->",
        Direction::OneWay => "->",
    }
}

/// A folder that keepalived trusts: root's, below sticky /tmp.
fn new_folder(supervisor: &Supervisor) -> Result<(String, PathBuf)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..100 {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:x}{count:x}{:03x}", std::process::id(), now_us() % 0xfff);
        let folder = PathBuf::from(format!("/tmp/kml-{id}"));
        if DirBuilder::new().mode(0o755).create(&folder).is_ok() {
            supervisor.folder(&folder)?;
            return Ok((id, folder));
        }
    }
    Err(anyhow!("no name for a lab is free"))
}
