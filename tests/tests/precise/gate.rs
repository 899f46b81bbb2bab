//! A server that freezes in the very moment of being opened.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use lab::sql::{self, Login, Target};
use lab::{Lab, LabOptions, Node, NodeId, Via, wait_until};

use super::{
    PATIENCE, judge, promise, rows_of, seen_open_since, settle, start, wait_for_rows_of,
    wait_in_sync,
};

const SENDS: &str = "open.send";

/// Clients that wait at the frozen server; each asks a quarter of a millisecond later than the
/// one before.
const CLIENTS: u64 = 60;

/// The opening lies in the socket of a frozen server. It thaws after the other node has taken over.
pub fn a_server_freezes_while_it_is_opened(options: LabOptions) -> Result<()> {
    let lab = start(options)?;
    lab.a().pause_at(SENDS)?;
    lab.a().start_keepalived()?;
    lab.a().wait_reached(SENDS, PATIENCE)?;
    lab.b().start_keepalived()?;
    wait_in_sync(lab.b())?;
    let clients = waiting_clients(lab.a())?;
    lab.a().freeze_server()?;
    lab.a().release(SENDS)?;
    let writers = lab.write(&Via::everywhere())?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    let clients = clients.into_iter().map(ask).collect::<Vec<_>>();
    // Their questions must lie in the sockets, as the opening does, before the server reads on.
    thread::sleep(Duration::from_millis(100));
    let thawed = lab::clock::now_us();
    lab.a().thaw_server()?;
    stays_closed(&lab, clients, thawed)?;
    promise(rows_of(&writers.ledger(), NodeId::A) == 0, || {
        "the thawed server acknowledged writes after the other node had opened".to_owned()
    })?;
    judge(&lab, writers)
}

/// The opening waits in the server for a session that holds the suite's table; the table is free again after the
/// other node has taken over.
pub fn the_opening_waits_for_a_lock(options: LabOptions) -> Result<()> {
    let lab = start(options)?;
    lab.a().pause_at(SENDS)?;
    lab.a().start_keepalived()?;
    lab.a().wait_reached(SENDS, PATIENCE)?;
    lab.b().start_keepalived()?;
    wait_in_sync(lab.b())?;
    let mut session = lab.a().connect(PATIENCE)?;
    let lock = lab
        .a()
        .server()
        .locking_on_a_closed_server("keepalived_mysql.fence");
    sql::rows(&mut session, &lock)?;
    lab.a().release(SENDS)?;
    lab.a().wait_until("the opening waits", PATIENCE, |a| {
        let waiting = "SELECT 1 FROM information_schema.PROCESSLIST \
                       WHERE INFO LIKE 'SET GLOBAL read_only = (%' AND STATE LIKE 'Waiting for table%'";
        Ok(!a.query_local(waiting)?.is_empty())
    })?;
    let writers = lab.write(&Via::everywhere())?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 50)?;
    let freed = lab::clock::now_us();
    drop(session);
    lab.note("node-a: the table is free again");
    settle(&lab);
    let opened =
        seen_open_since(&lab, NodeId::A, freed) || rows_of(&writers.ledger(), NodeId::A) > 0;
    promise(!opened, || {
        "the opening took effect long after it was sent".to_owned()
    })?;
    judge(&lab, writers)
}

/// The whole node is paused, as a virtual machine is, while it opens, and goes on as soon as the other node has
/// taken over: sooner than the server's own doubts about a dead keepalived would let the VIP move.
pub fn the_node_is_paused_while_it_opens(options: LabOptions) -> Result<()> {
    let lab = start(options)?;
    lab.a().pause_at("open.before")?;
    lab.a().start_keepalived()?;
    lab.a().wait_reached("open.before", PATIENCE)?;
    lab.b().start_keepalived()?;
    wait_in_sync(lab.b())?;
    let clients = waiting_clients(lab.a())?;
    lab.a().pause_at(SENDS)?;
    lab.a().release("open.before")?;
    lab.a().wait_reached(SENDS, PATIENCE)?;
    lab.a().freeze_server()?;
    lab.a().freeze_keepalived()?;
    lab.a().release(SENDS)?;
    let writers = lab.write(&Via::everywhere())?;
    lab.b().wait_serving(PATIENCE)?;
    wait_for_rows_of(&writers, NodeId::B, 5)?;
    let clients = clients.into_iter().map(ask).collect::<Vec<_>>();
    let thawed = lab::clock::now_us();
    lab.a().thaw_server()?;
    lab.a().thaw_keepalived()?;
    stays_closed(&lab, clients, thawed)?;
    promise(rows_of(&writers.ledger(), NodeId::A) == 0, || {
        "the thawed server acknowledged writes after the other node had opened".to_owned()
    })?;
    judge(&lab, writers)
}

fn waiting_clients(node: &Node) -> Result<Vec<(u64, mysql::Conn)>> {
    let target = Target::Socket(node.paths().socket());
    let client = |number| Ok((number, sql::open(&target, Login::APP, &[], PATIENCE)?));
    (0..CLIENTS).map(client).collect()
}

fn ask((number, mut conn): (u64, mysql::Conn)) -> JoinHandle<bool> {
    let text = format!(
        "SELECT SLEEP({number} / 4000); \
         INSERT INTO lab.ledger (id, writer, server_id, epoch, at) VALUES ({}, 0, @@server_id, 0, NOW(6))",
        number + 1
    );
    thread::spawn(move || sql::result_sets(&mut conn, &text).is_ok())
}

fn stays_closed(lab: &Lab, clients: Vec<JoinHandle<bool>>, thawed: u64) -> Result<()> {
    let written = clients
        .into_iter()
        .filter_map(|client| client.join().ok())
        .filter(|&written| written)
        .count();
    promise(written == 0, || {
        format!(
            "the thawed server acknowledged {written} writes of waiting clients after the other node had opened"
        )
    })?;
    promise(!seen_open_since(lab, NodeId::A, thawed), || {
        "the thawed server opened after the other node had".to_owned()
    })?;
    wait_until("the thawed server follows", PATIENCE, || {
        lab.a().follows(NodeId::B)
    })
    .map(drop)
}
