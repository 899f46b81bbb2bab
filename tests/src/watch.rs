//! The lab's own eyes on a node: where the VIP is, whether the server is open, what it has received.
//!
//! The suite resets the replica configuration milliseconds after a take-over, so this looks all the time and
//! remembers the farthest position that it saw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mysql::Conn;

use crate::netns::{self, Netns};
use crate::network::VIP;
use crate::options::NodeId;
use crate::received::Received;
use crate::server::Server;
use crate::sql::{self, Login, Row, Target};
use crate::timeline::{ServerState, Timeline, What};

const LOOK: &str = "SELECT @@global.read_only; SHOW ALL SLAVES STATUS";
const PAUSE: Duration = Duration::from_millis(2);

/// Two threads that look at one node.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    received: Arc<Mutex<Received>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(
        node: NodeId,
        server: Server,
        netns: &Netns,
        socket: Target,
        timeline: &Timeline,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::<Mutex<Received>>::default();
        let mut server = ServerEye {
            node,
            look: server.words(LOOK),
            socket,
            conn: None,
            state: None,
            replica: String::new(),
            timeline: timeline.clone(),
            received: Arc::clone(&received),
        };
        let (stop_vip, stop_server) = (Arc::clone(&stop), Arc::clone(&stop));
        let (netns, timeline) = (netns.clone(), timeline.clone());
        let threads = vec![
            thread::spawn(move || watch_vip(node, &netns, &timeline, &stop_vip)),
            thread::spawn(move || server.run(&stop_server)),
        ];
        Self {
            stop,
            received,
            threads,
        }
    }

    /// The farthest that this node was seen to have received.
    pub(crate) fn received(&self) -> Received {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn watch_vip(node: NodeId, netns: &Netns, timeline: &Timeline, stop: &AtomicBool) {
    if netns.enter().is_err() {
        return;
    }
    let mut last = false;
    while !stop.load(Ordering::Relaxed) {
        let now = netns::here(VIP);
        if now != last {
            timeline.add(What::Vip(node, now));
            last = now;
        }
        thread::sleep(PAUSE);
    }
}

struct ServerEye {
    node: NodeId,
    look: String,
    socket: Target,
    conn: Option<Conn>,
    state: Option<ServerState>,
    replica: String,
    timeline: Timeline,
    received: Arc<Mutex<Received>>,
}

impl ServerEye {
    fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let state = self.look();
            if self.state != Some(state) {
                self.state = Some(state);
                self.timeline.add(What::Server(self.node, state));
            }
            thread::sleep(PAUSE);
        }
    }

    fn look(&mut self) -> ServerState {
        let conn = match self.conn.take() {
            Some(conn) => Ok(conn),
            None if sql::would_block(&self.socket) => return ServerState::Silent,
            None => sql::open(&self.socket, Login::ROOT, &[], Duration::from_millis(200)),
        };
        let mut conn = match conn {
            Ok(conn) => conn,
            Err(error) => return state_of(&error.into()),
        };
        match sql::result_sets(&mut conn, &self.look) {
            Ok(sets) => {
                self.conn = Some(conn);
                if let Some(rows) = sets.get(1) {
                    self.note_replica(rows);
                }
                let open = sets
                    .first()
                    .and_then(|rows| rows.first())
                    .is_some_and(|row| row.at(0) == "0");
                if open {
                    ServerState::Open
                } else {
                    ServerState::Closed
                }
            }
            // A connection that broke says nothing yet: the next look connects anew.
            Err(error) => match state_of(&error) {
                ServerState::Silent => ServerState::Silent,
                _ => self.state.unwrap_or(ServerState::Down),
            },
        }
    }

    fn note_replica(&mut self, rows: &[Row]) {
        let mut text = "follows nobody".to_owned();
        for row in rows {
            self.received
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(row);
            let (io, sql) = (row.get("Slave_IO_Running"), row.get("Slave_SQL_Running"));
            text = format!(
                "follows {} (receiver {io}, applier {sql})",
                row.get("Master_Host")
            );
        }
        if text != self.replica {
            if !(self.replica.is_empty() && rows.is_empty()) {
                self.timeline.add(What::Replica(self.node, text.clone()));
            }
            self.replica = text;
        }
    }
}

/// A timeout is a silent server; everything else that is no answer is a server that is down.
fn state_of(error: &anyhow::Error) -> ServerState {
    let text = format!("{error:#}");
    if text.contains("(os error 11)") || text.contains("timed out") {
        ServerState::Silent
    } else {
        ServerState::Down
    }
}
