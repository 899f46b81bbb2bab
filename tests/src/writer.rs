//! Writers: each a thread inside the namespace that its application would be in.
//!
//! A row that was sent and not answered is unknown; its number is never used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use mysql::Conn;
use mysql::prelude::Queryable;

use crate::clock::{now_us, wait_until};
use crate::ledger::{Ack, Gtid, Ledger, WriterLog};
use crate::netns::Netns;
use crate::network::VIP;
use crate::options::{NodeId, NodePaths};
use crate::server::Server;
use crate::sql::{self, Login, Target};

/// What a writer writes to.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub via: Via,
    pub netns: Netns,
    pub target: Target,
    pub server: Server,
}

const EPOCH: &str = "COALESCE((SELECT MAX(epoch) FROM keepalived_mysql.promotion WHERE state IN ('opening','opened')),0)";
const READ_TIMEOUT: Duration = Duration::from_millis(400);
const FRESH_READ_TIMEOUT: Duration = Duration::from_millis(25);

/// Which way a writer takes, and how many rows it tries each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// From the client through the VIP.
    Vip(u32),
    /// The same with a new connection for every row and little patience: it measures when the service is there,
    /// not how long TCP waits for packets that were lost in between.
    FreshVip(u32),
    /// From the client to the node's own address.
    Address(NodeId, u32),
    /// On the node, through the server's socket.
    Socket(NodeId, u32),
}

impl Via {
    /// Two writers through the VIP, and on every node one by address and one by socket.
    #[must_use]
    pub fn everywhere() -> [Self; 6] {
        [
            Self::Vip(200),
            Self::FreshVip(100),
            Self::Address(NodeId::A, 50),
            Self::Address(NodeId::B, 50),
            Self::Socket(NodeId::A, 50),
            Self::Socket(NodeId::B, 50),
        ]
    }

    fn rate(self) -> u32 {
        match self {
            Self::Vip(rate)
            | Self::FreshVip(rate)
            | Self::Address(_, rate)
            | Self::Socket(_, rate) => rate,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Vip(_) => "through the VIP".to_owned(),
            Self::FreshVip(_) => "VIP, each anew".to_owned(),
            Self::Address(node, _) => format!("{node} by address"),
            Self::Socket(node, _) => format!("{node} by socket"),
        }
    }

    /// The namespace's index among (node-a, node-b, client) and the server.
    pub(crate) fn target(self, paths: &[&NodePaths; 2]) -> (crate::Host, Target) {
        match self {
            Self::Vip(_) | Self::FreshVip(_) => (crate::Host::Client, Target::Tcp(VIP)),
            Self::Address(node, _) => (crate::Host::Client, Target::Tcp(node.address())),
            Self::Socket(node, _) => (node.host(), Target::Socket(paths[node.index()].socket())),
        }
    }
}

/// Writers at work.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    logs: Vec<Arc<Mutex<WriterLog>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn start(jobs: Vec<Job>, first: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut logs, mut threads) = (Vec::new(), Vec::new());
        for (number, job) in (first..).zip(jobs) {
            let via = job.via;
            let (through_vip, fresh) =
                (matches!(via, Via::Vip(_)), matches!(via, Via::FreshVip(_)));
            let log = WriterLog {
                name: via.name(),
                through_vip,
                fresh,
                ..WriterLog::default()
            };
            let log = Arc::new(Mutex::new(log));
            logs.push(Arc::clone(&log));
            let pause = Duration::from_micros(1_000_000 / u64::from(via.rate().max(1)));
            let mut writer = Writer {
                number,
                target: job.target,
                server: job.server,
                log,
                pause,
                fresh,
                stop: Arc::clone(&stop),
                conn: None,
                next: 0,
            };
            threads.push(thread::spawn(move || writer.run(&job.netns)));
        }
        Self {
            stop,
            logs,
            threads,
        }
    }

    /// What they were told so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger {
            writers: self.logs.iter().map(|log| lock(log).clone()).collect(),
        }
    }

    /// Waits until the VIP's writer (or, without one, any) has `more` further acknowledgements.
    pub fn wait_for_acks(&self, more: usize, deadline: Duration) -> Result<Duration> {
        let count = || {
            let counted = |log: &WriterLog| (log.through_vip, log.acks.len());
            let all: Vec<_> = self.logs.iter().map(|log| counted(&lock(log))).collect();
            let vip = all.iter().find(|(vip, _)| *vip).map(|(_, n)| *n);
            vip.unwrap_or_else(|| all.iter().map(|(_, n)| n).sum())
        };
        let wanted = count() + more;
        wait_until(&format!("{more} more acknowledged rows"), deadline, || {
            Ok(count() >= wanted)
        })
    }

    /// Stops them and returns what they were told.
    #[must_use]
    pub fn stop(mut self) -> Ledger {
        self.end();
        self.ledger()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(log: &Mutex<WriterLog>) -> MutexGuard<'_, WriterLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    number: u32,
    target: Target,
    server: Server,
    log: Arc<Mutex<WriterLog>>,
    pause: Duration,
    fresh: bool,
    stop: Arc<AtomicBool>,
    conn: Option<Conn>,
    next: u64,
}

impl Writer {
    fn run(&mut self, netns: &Netns) {
        if let Err(error) = netns.enter() {
            self.refused(format!("{error:#}"));
            return;
        }
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if self.attempt() {
                due = (due + self.pause).max(Instant::now());
                thread::sleep(due.saturating_duration_since(Instant::now()));
            } else {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// One row. False asks for another try at once.
    fn attempt(&mut self) -> bool {
        let Some(mut conn) = self.connection() else {
            return false;
        };
        self.next += 1;
        let id = u64::from(self.number) * 1_000_000_000_000 + self.next;
        let mut ack = None;
        let sent_us = now_us();
        let outcome = self.write(&mut conn, id, sent_us, &mut ack);
        if let Some(ack) = ack {
            lock(&self.log).acks.push(ack);
        }
        match outcome {
            Ok(()) => {
                self.keep(conn);
                true
            }
            Err(mysql::Error::MySqlError(error)) if ack.is_none() && is_refusal(error.code) => {
                self.refused(format!("{} {}", error.code, error.message));
                self.keep(conn);
                true
            }
            Err(_) => {
                if ack.is_none() {
                    lock(&self.log).unknown.push((id, sent_us));
                }
                false
            }
        }
    }

    fn keep(&mut self, conn: Conn) {
        self.conn = (!self.fresh).then_some(conn);
    }

    fn connection(&mut self) -> Option<Conn> {
        if let Some(conn) = self.conn.take() {
            return Some(conn);
        }
        if sql::would_block(&self.target) {
            self.refused("connect: backlog full".to_owned());
            thread::sleep(Duration::from_millis(50));
            return None;
        }
        // A plain read of the promotion table must not lock its rows.
        let init = ["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"];
        let patience = if self.fresh {
            FRESH_READ_TIMEOUT
        } else {
            READ_TIMEOUT
        };
        match sql::open(&self.target, Login::APP, &init, patience) {
            Ok(conn) => Some(conn),
            Err(error) => {
                self.refused(format!("connect: {error}"));
                None
            }
        }
    }

    fn refused(&self, why: String) {
        *lock(&self.log).refused.entry(why).or_default() += 1;
    }

    fn write(
        &self,
        conn: &mut Conn,
        id: u64,
        sent_us: u64,
        ack: &mut Option<Ack>,
    ) -> mysql::Result<()> {
        let (writer, transaction) = (self.number, self.server.last_transaction());
        let statements = format!(
            "INSERT INTO lab.ledger (id, writer, server_id, epoch, at) SELECT {id}, {writer}, @@server_id, {EPOCH}, NOW(6); \
             SELECT @@server_id, epoch, {transaction} FROM lab.ledger WHERE id = {id}"
        );
        let mut answer = conn.query_iter(statements)?;
        let done = ack.insert(Ack {
            id,
            sent_us,
            acked_us: now_us(),
            by: None,
        });
        answer.iter();
        if let Some(set) = answer.iter() {
            for row in set {
                if let Ok((server_id, epoch, gtid)) =
                    mysql::from_row_opt::<(u32, u64, String)>(row?)
                {
                    done.by = Some((server_id, epoch, Gtid::parse(&gtid)));
                }
            }
        }
        Ok(())
    }
}

/// Errors that end a connection or a running statement leave open what became of the row.
fn is_refusal(code: u16) -> bool {
    const INTERRUPTED: [u16; 5] = [1053, 1180, 1317, 1927, 3024];
    !INTERRUPTED.contains(&code)
}
