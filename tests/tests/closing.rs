//! Closing a server that sessions stand in the way of.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::matrix::Mode;
use lab::{Direction, End, Host, LabOptions, Node, NodeId, PATIENCE, Scenario, Server, Session};

/// From keepalived's word, or the program's start, to the closed server.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Two checks, one second apart, and what they start.
const NEXT_CHECKS: Duration = Duration::from_secs(3);

const LOCK: &str = "LOCK TABLES lab.ledger WRITE";

/// A statement of this text runs or waits in the server.
fn wait_running(node: &Node, words: &str, state: &str) -> Result<()> {
    let count = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
         WHERE ID <> CONNECTION_ID() AND INFO LIKE '%{words}%' AND STATE LIKE '{state}'"
    );
    let runs = |node: &Node| Ok(node.query_local(&count)?[0].at(0) != "0");
    node.wait_until(&format!("{words} runs"), PATIENCE, runs)
        .map(drop)
}

/// Whether the server still has this session.
fn is_connected(node: &Node, id: u32) -> Result<bool> {
    let count = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {id}");
    Ok(node.query_local(&count)?[0].at(0) != "0")
}

/// What the receipts of both nodes say of their steps: several closers may be at work on one server, and whoever
/// disconnects a session names it.
fn notes(scenario: &Scenario) -> String {
    let mut all = String::new();
    for node in scenario.lab.nodes() {
        let history = fs::read_to_string(node.paths().history()).unwrap_or_default();
        let receipts = history
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        for receipt in receipts {
            for step in receipt["steps"].as_array().into_iter().flatten() {
                all.push_str(step["note"].as_str().unwrap_or_default());
                all.push('\n');
            }
        }
    }
    all
}

/// Named by number and user, as in the process list.
fn names(said: &str, id: u32) -> bool {
    let words = format!(" {said} ").replace(',', " ");
    words.contains(&format!(" {id} app@"))
}

#[test]
fn a_drained_node_disconnects_and_names_who_is_in_its_way() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let a = scenario.a();
    a.query_local(
        "CREATE TABLE lab.drafts (id INT PRIMARY KEY); CREATE TABLE lab.reports (id INT)",
    )?;
    let mut draft = Session::of_app(a)?;
    draft.run("BEGIN; INSERT INTO lab.drafts VALUES (1)")?;
    let report = Session::of_app(a)?;
    let report_id = report.id();
    let report = report.in_background("INSERT INTO lab.reports SELECT SLEEP(60)");
    wait_running(a, "INSERT INTO lab.reports", "User sleep")?;
    let mut holder = Session::of_app(a)?;
    holder.run(LOCK)?;

    a.drain(true)?;
    let took = a.wait_until("closed", AT_ONCE, Node::read_only)?;
    println!("closed within {took:.0?}");
    for id in [holder.id(), report_id] {
        a.wait_until("is named in a receipt", PATIENCE, |_| {
            Ok(names(&notes(&scenario).replace('\n', " "), id))
        })?;
        ensure!(!is_connected(a, id)?, "{id} is still connected");
    }
    ensure!(holder.run("SELECT 1").is_err(), "the lock holder goes on");
    let report = report.join().ok().context("the long writer panicked")?;
    ensure!(report.is_err(), "the long write ended well");
    ensure!(
        draft.run("COMMIT").is_err(),
        "the transaction was committed"
    );

    scenario.serves(NodeId::B)?;
    for node in scenario.lab.nodes() {
        let drafts = node.query_local("SELECT COUNT(*) FROM lab.drafts")?;
        ensure!(drafts[0].at(0) == "0", "{}: {drafts:?}", node.id());
    }
    // MySQL finishes the write whose SLEEP() was interrupted: before the server was closed, and on both.
    let [one, other] = scenario.lab.nodes();
    let reports = "SELECT COUNT(*) FROM lab.reports";
    ensure!(one.query_local(reports)? == other.query_local(reports)?);
    a.drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

/// Servers alone, node-a open, and an exempt account's session in the way of its closing.
fn behind_an_exempt_session() -> Result<Option<(Scenario, Session)>> {
    let options = LabOptions::default()
        .with_semi_sync()
        .toml("close.exempt_users", "[\"app\"]")
        .toml("close.timeout", "\"1s\"");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(None);
    };
    scenario.a().query_local("SET GLOBAL read_only=0")?;
    let mut holder = Session::of_app(scenario.a())?;
    holder.run(LOCK)?;
    Ok(Some((scenario, holder)))
}

/// The session goes on, and once it lets go the closer that was left behind closes.
fn closes_when_let(scenario: &Scenario, mut holder: Session) -> Result<()> {
    let a = scenario.a();
    wait_running(a, a.server().closing(), "%")?;
    ensure!(!a.read_only()?, "closed in spite of the lock");
    holder.run("UNLOCK TABLES")?;
    scenario.lab.note("the lock is released");
    a.wait_until("closed", PATIENCE, Node::read_only)?;
    let still = |node: &Node| node.read_only();
    scenario.remains("node-a is closed", AT_ONCE, || still(a))?;
    holder
        .run("SELECT 1")
        .context("an exempt session")
        .map(drop)
}

#[test]
fn a_fault_behind_an_exempt_session_says_so_and_closes_later() -> Result<()> {
    let Some((scenario, holder)) = behind_an_exempt_session()? else {
        return Ok(());
    };
    let begun = Instant::now();
    let (code, said) = scenario.by_hand(NodeId::A, "notify_fault", &["--record-intent"])?;
    let took = begun.elapsed();
    ensure!(took < 2 * AT_ONCE, "it took {took:?}");
    ensure!(code == 4, "{code}: {said}");
    let in_the_way = said.split_once("in the way: ").unwrap_or_default().1;
    ensure!(names(in_the_way, holder.id()), "not named: {said}");
    closes_when_let(&scenario, holder)
}

/// keepalived waits one second for its last hook.
#[test]
fn a_stop_behind_an_exempt_session_returns_in_time_and_closes_later() -> Result<()> {
    let Some((scenario, holder)) = behind_an_exempt_session()? else {
        return Ok(());
    };
    let begun = Instant::now();
    let (code, said) = scenario.by_hand(NodeId::A, "notify_stop", &["--record-intent"])?;
    let took = begun.elapsed();
    ensure!(took < AT_ONCE, "it took {took:?}");
    ensure!(code == 4, "{code}: {said}");
    closes_when_let(&scenario, holder)
}

/// What it writes down afterwards takes too long, as on a disk that hangs.
#[test]
fn a_stop_that_runs_out_of_time_leaves_a_closer_behind() -> Result<()> {
    let Some((scenario, holder)) = behind_an_exempt_session()? else {
        return Ok(());
    };
    scenario.a().pause_at("close.after")?;
    let begun = Instant::now();
    let (code, said) = scenario.by_hand(NodeId::A, "notify_stop", &["--record-intent"])?;
    let took = begun.elapsed();
    ensure!(took < AT_ONCE, "it took {took:?}");
    ensure!(code == 4, "{code}: {said}");
    scenario.a().release("close.after")?;
    closes_when_let(&scenario, holder)
}

/// Threads of replication and the suite's own sessions, by number.
fn to_be_spared(node: &Node) -> Result<Vec<String>> {
    let rows = node.query_local(
        "SELECT ID, USER FROM information_schema.PROCESSLIST \
         WHERE USER IN ('system user', 'repl', 'keepalived') ORDER BY ID",
    )?;
    Ok(rows
        .iter()
        .map(|row| format!("{} {}", row.at(0), row.at(1)))
        .collect())
}

/// Closes a node behind a lock: of its sessions only the application's is ended.
fn closing_spares_replication(scenario: &Scenario, node: &Node, of: &str) -> Result<()> {
    node.query_local("SET GLOBAL read_only=0")?;
    let mut own = Session::of_suite(node)?;
    let mut holder = Session::of_app(node)?;
    holder.run(LOCK)?;
    let before = to_be_spared(node)?;
    ensure!(
        before.iter().any(|line| line.ends_with(of)),
        "no session of {of}: {before:?}"
    );
    let (code, said) = scenario.by_hand(node.id(), "notify_fault", &["--record-intent"])?;
    ensure!(code == 0 && node.read_only()?, "{code}: {said}");
    let after = to_be_spared(node)?;
    ensure!(before == after, "{before:?} became {after:?}");
    own.run("SELECT 1").context("the suite's own session")?;
    ensure!(holder.run("SELECT 1").is_err(), "the lock holder goes on");
    Ok(())
}

#[test]
fn closing_spares_replication_and_the_suites_own_sessions() -> Result<()> {
    let Some(scenario) = Scenario::quiet(LabOptions::default())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    closing_spares_replication(&scenario, b, "system user")?;
    closing_spares_replication(&scenario, a, "repl")?;
    ensure!(b.follows(NodeId::A)?, "{:?}", b.replica_status()?);
    // Nobody writes on a MySQL that is closed, not even root.
    a.query_local("SET GLOBAL read_only=0; INSERT INTO lab.ledger VALUES (1, 0, 11, 0, NOW(6))")?;
    let arrived = |node: &Node| {
        let rows = node.query_local("SELECT COUNT(*) FROM lab.ledger")?;
        Ok(rows[0].at(0) == "1")
    };
    b.wait_until("the row arrives", PATIENCE, arrived).map(drop)
}

/// keepalived's first word has come, and what it started has ended.
fn hooks_are_done(node: &Node) -> Result<()> {
    let role = node.paths().run().join("suite/VI_1/role.json");
    let is_hook = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("notify_")
    };
    let done = |node: &Node| Ok(role.exists() && !node.netns().processes().iter().any(is_hook));
    node.wait_until("its hooks are done", PATIENCE, done)
        .map(drop)
}

#[test]
fn a_standby_that_somebody_opens_is_closed_by_the_next_checks() -> Result<()> {
    let Some(scenario) = Scenario::quiet(LabOptions::default())? else {
        return Ok(());
    };
    scenario.lab.start_keepalived()?;
    let b = scenario.b();
    hooks_are_done(b)?;
    scenario.lab.note("node-b: somebody opens it");
    b.query_local("SET GLOBAL read_only=0")?;
    let took = b.wait_until("closed", NEXT_CHECKS, Node::read_only)?;
    println!("closed within {took:.0?}");
    scenario.remains("only node-a serves", AT_ONCE, || {
        Ok(b.read_only()? && scenario.lab.open_nodes() == [NodeId::A])
    })?;
    b.wait_following(NodeId::A, PATIENCE)?;
    // Its own check closes it, or that of the node that serves.
    let by_a_check = |node: &Node, transition: &str| {
        let transition = format!("\"transition\":\"{transition}\"");
        let history = fs::read_to_string(node.paths().history()).unwrap_or_default();
        history
            .lines()
            .any(|line| line.contains(&transition) && line.contains("\"check_mysql\""))
    };
    let closed = by_a_check(b, "close") || by_a_check(scenario.a(), "fence");
    ensure!(closed, "no check says that it closed node-b");
    Ok(())
}

/// node-a's commits wait for node-b, for 30 s if need be.
fn semi_synchronous() -> Result<Option<Scenario>> {
    if let Some(why) = Mode::SemiSync.missing(Server::chosen()) {
        eprintln!("skipped: {why}");
        return Ok(None);
    }
    let options = LabOptions::default()
        .with_semi_sync()
        .my_cnf("rpl_semi_sync_slave_enabled = 1")
        .my_cnf("rpl_semi_sync_master_timeout = 30000")
        .my_cnf("rpl_semi_sync_master_wait_point = AFTER_SYNC");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(None);
    };
    let (a, b) = (scenario.a(), scenario.b());
    a.query_local("SET GLOBAL rpl_semi_sync_master_enabled=1; SET GLOBAL read_only=0")?;
    b.query_local("STOP SLAVE IO_THREAD; START SLAVE IO_THREAD")?;
    b.wait_following(NodeId::A, PATIENCE)?;
    let acknowledging = |node: &Node| {
        let rows = node.query_local("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")?;
        Ok(rows[0].at(1) == "1")
    };
    a.wait_until("has a semi-synchronous replica", PATIENCE, acknowledging)?;
    Ok(Some(scenario))
}

#[test]
fn a_commit_that_waits_for_a_replica_does_not_hold_up_the_closing() -> Result<()> {
    let Some(scenario) = semi_synchronous()? else {
        return Ok(());
    };
    let a = scenario.a();
    scenario.lab.cut(Host::A, Host::B, Direction::Both)?;
    let commit = Session::of_app(a)?;
    let commit = commit.in_background("INSERT INTO lab.ledger VALUES (1, 0, 11, 0, NOW(6))");
    wait_running(a, "INSERT INTO lab.ledger", "Waiting for semi-sync ACK%")?;
    let begun = Instant::now();
    let (code, said) = scenario.by_hand(NodeId::A, "notify_fault", &["--record-intent"])?;
    let took = begun.elapsed();
    println!("closed within {took:.0?}: {said}");
    ensure!(code == 0 && a.read_only()?, "{code}: {said}");
    ensure!(took < 2 * AT_ONCE, "it took {took:?}");
    let commit = commit.join().ok().context("the client panicked")?;
    ensure!(commit.is_err(), "the client was told that it is committed");
    waits_for_replicas(a)
}

fn waits_for_replicas(node: &Node) -> Result<()> {
    let enabled = node.query_local("SELECT @@global.rpl_semi_sync_master_enabled")?;
    ensure!(enabled[0].at(0) == "1", "semi-sync stays switched off");
    Ok(())
}

/// Long before it gives up it lets go whoever waits for a replica.
#[test]
fn a_closing_that_gives_up_leaves_semi_sync_switched_on() -> Result<()> {
    if let Some(why) = Mode::SemiSync.missing(Server::chosen()) {
        eprintln!("skipped: {why}");
        return Ok(());
    }
    let Some((scenario, holder)) = behind_an_exempt_session()? else {
        return Ok(());
    };
    let a = scenario.a();
    a.query_local("SET GLOBAL rpl_semi_sync_master_enabled=1")?;
    let (code, said) = scenario.by_hand(NodeId::A, "notify_fault", &["--record-intent"])?;
    ensure!(code == 4, "{code}: {said}");
    closes_when_let(&scenario, holder)?;
    waits_for_replicas(a)
}
