//! The lab: two nodes and a client in network namespaces on a switch of their own, each node with a real
//! server and a real keepalived; writers that keep what was acknowledged; and a judge who compares that
//! with what is in the tables afterwards.
//!
//! ```no_run
//! use lab::{Lab, LabOptions, NodeId, Via};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::start(LabOptions::default())?;
//! lab.start_keepalived()?;
//! let writers = lab.write(&Via::everywhere())?;
//! lab.node(NodeId::A).kill_server()?;
//! # Ok(()) }
//! ```

pub mod bench_check;
pub mod clock;
pub mod config;
pub mod demo;
pub mod divergence;
mod exe;
mod lab;
pub mod ledger;
pub mod matrix;
mod netns;
pub mod network;
pub mod node;
mod options;
pub mod process;
mod programs;
mod received;
mod replication;
pub mod scenario;
mod server;
mod session;
mod sh;
pub mod sql;
pub mod supervisor;
mod template;
pub mod timeline;
pub mod verdict;
mod watch;
mod writer;

pub use clock::wait_until;
pub use lab::Lab;
pub use ledger::{Ack, Gtid, Ledger, Overlap, WriterLog};
pub use netns::Netns;
pub use network::{Direction, Host};
pub use node::Node;
pub use options::{HookCommands, Hooks, LabOptions, NodeId, NodePaths, Positioning};
pub use scenario::{End, PATIENCE, Scenario, TwoOpen};
pub use server::Server;
pub use session::Session;
pub use timeline::{Event, ServerState, What};
pub use verdict::Verdict;
pub use writer::{Via, Writers};
