//! Events run on the node that serves, with their own definers, and nowhere else.

use anyhow::{Context, Result, ensure};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Scenario, Server};

/// What the examples' grants have as a comment.
fn grants(server: Server) -> &'static str {
    match server {
        Server::MySql97 => "EVENT, SET_ANY_DEFINER, SYSTEM_USER",
        Server::MySql56 => "EVENT, SUPER",
        _ => "EVENT, SET USER",
    }
}

/// Changes grants on this node alone. Under `super_read_only` not even root may.
fn as_root(node: &Node, statement: &str) -> Result<()> {
    let closed = node.server() == Server::MySql97 && node.read_only()?;
    let sql = if closed {
        format!(
            "SET sql_log_bin=0; SET GLOBAL super_read_only=0; {statement}; SET GLOBAL super_read_only=1"
        )
    } else {
        format!("SET sql_log_bin=0; {statement}")
    };
    node.query_local(&sql).map(drop)
}

fn start() -> Result<Option<Scenario>> {
    let options = LabOptions {
        sync_binlog: 1,
        flush_log_at_trx_commit: 1,
        ..LabOptions::default()
    };
    let options = options
        .toml("promote.enable_events", "true")
        .my_cnf("event_scheduler = ON");
    let Some(scenario) = Scenario::start(options)? else {
        return Ok(None);
    };
    for node in scenario.lab.nodes() {
        for host in ["localhost", "%"] {
            let privileges = grants(node.server());
            as_root(
                node,
                &format!("GRANT {privileges} ON *.* TO 'keepalived'@'{host}'"),
            )?;
        }
    }
    scenario.a().query_local(
        "CREATE TABLE lab.ran (at DATETIME(6), who VARCHAR(80), at_server INT); \
         SET NAMES latin1; \
         CREATE DEFINER = 'app'@'localhost' EVENT lab.`the ``purge` ON SCHEDULE EVERY 1 SECOND \
         DO INSERT INTO lab.ran VALUES (NOW(6), CURRENT_USER(), @@server_id); \
         CREATE EVENT lab.by_root ON SCHEDULE EVERY 1 DAY DO SELECT 1; \
         CREATE EVENT lab.parked ON SCHEDULE EVERY 1 SECOND DISABLE \
         DO INSERT INTO lab.ran VALUES (NOW(6), 'parked', @@server_id)",
    )?;
    Ok(Some(scenario))
}

/// Name, definer, status and character set of each event.
fn events(node: &Node) -> Result<Vec<[String; 4]>> {
    let rows = node.query_local(
        "SELECT EVENT_NAME, DEFINER, STATUS, CHARACTER_SET_CLIENT FROM information_schema.EVENTS \
         WHERE EVENT_SCHEMA = 'lab' ORDER BY EVENT_NAME",
    )?;
    let all = rows
        .iter()
        .map(|row| [0, 1, 2, 3].map(|n| row.at(n).to_owned()));
    Ok(all.collect())
}

fn statuses(node: &Node) -> Result<Vec<String>> {
    let all = events(node)?.into_iter().map(|[_, _, status, _]| status);
    Ok(all
        .map(|status| status.replace("REPLICA_SIDE", "SLAVESIDE"))
        .collect())
}

const SERVING: [&str; 3] = ["ENABLED", "SLAVESIDE_DISABLED", "ENABLED"];
const STANDBY: [&str; 3] = ["SLAVESIDE_DISABLED"; 3];

fn wait_statuses(node: &Node, wanted: [&str; 3]) -> Result<()> {
    let what = format!("its events are {wanted:?}");
    node.wait_until(&what, PATIENCE, |node| Ok(statuses(node)? == wanted))
        .map(drop)
}

/// The standby has noted which events run on the node that serves.
fn wait_noted(node: &Node) -> Result<()> {
    let file = node.paths().state().join("VI_1/events.json");
    let noted = |_: &Node| Ok(std::fs::read_to_string(&file).is_ok_and(|t| t.contains("by_root")));
    node.wait_until("knows which events run", PATIENCE, noted)
        .map(drop)
}

/// Who ran the event on a server.
fn ran_by(node: &Node, server: NodeId) -> Result<Vec<String>> {
    let rows = node.query_local(&format!(
        "SELECT DISTINCT who FROM lab.ran WHERE at_server = {}",
        server.server_id()
    ))?;
    Ok(rows.iter().map(|row| row.at(0).to_owned()).collect())
}

#[test]
fn events_move_with_the_service() -> Result<()> {
    let Some(scenario) = start()? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_statuses(b, STANDBY)?;
    wait_noted(b)?;
    let before = events(a)?;
    a.drain(true)?;
    scenario.serves(NodeId::B)?;
    wait_statuses(b, SERVING)?;
    for event in events(b)? {
        let [name, definer, _, charset] = &event;
        let old = before
            .iter()
            .find(|[old, ..]| old == name)
            .context("an event more")?;
        ensure!(definer == &old[1], "another definer: {event:?}, {old:?}");
        ensure!(
            charset == &old[3],
            "another character set: {event:?}, {old:?}"
        );
    }
    b.wait_until("its event has run", PATIENCE, |b| {
        Ok(ran_by(b, NodeId::B)? == ["app@localhost"])
    })?;
    // node-a's own status of the one that its owner had parked is none of ours.
    a.wait_until("runs none", PATIENCE, |a| {
        Ok(!statuses(a)?.contains(&"ENABLED".to_owned()))
    })?;
    // And back again, with what each has noted of the other.
    a.drain(false)?;
    a.wait_following(NodeId::B, PATIENCE)?;
    b.drain(true)?;
    scenario.serves(NodeId::A)?;
    a.wait_until("runs the same two", PATIENCE, |a| {
        let all = statuses(a)?;
        Ok(all.iter().filter(|status| *status == "ENABLED").count() == 2)
    })?;
    wait_statuses(b, STANDBY)?;
    b.drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn after_a_crash_the_old_master_runs_no_events() -> Result<()> {
    let Some(scenario) = start()? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_statuses(b, STANDBY)?;
    wait_noted(b)?;
    a.kill_server()?;
    scenario.serves(NodeId::B)?;
    wait_statuses(b, SERVING)?;
    a.start_server()?;
    a.wait_until("runs none", PATIENCE, |a| {
        Ok(!statuses(a)?.contains(&"ENABLED".to_owned()))
    })?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

/// A missing privilege stops neither the opening nor the other events.
#[test]
fn events_that_cannot_be_enabled_do_not_stop_the_opening() -> Result<()> {
    let Some(scenario) = start()? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    wait_noted(b)?;
    let server = b.server();
    let denied = match server {
        Server::MySql97 => "SET_ANY_DEFINER",
        Server::MySql56 => return scenario.finish(End::Follows).map(drop),
        _ => "SET USER, SUPER",
    };
    as_root(
        b,
        &format!("REVOKE {denied} ON *.* FROM 'keepalived'@'localhost'"),
    )?;
    a.drain(true)?;
    scenario.serves(NodeId::B)?;
    ensure!(statuses(b)? == STANDBY, "{:?}", events(b)?);
    as_root(
        b,
        &format!("GRANT {denied} ON *.* TO 'keepalived'@'localhost'"),
    )?;
    wait_statuses(b, SERVING)?;
    a.drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn without_the_option_events_are_left_alone() -> Result<()> {
    let Some(scenario) = Scenario::start(LabOptions::default())? else {
        return Ok(());
    };
    let (a, b) = (scenario.a(), scenario.b());
    a.query_local("CREATE EVENT lab.daily ON SCHEDULE EVERY 1 DAY DO SELECT 1")?;
    b.wait_until("has the event", PATIENCE, |b| {
        Ok(statuses(b)? == ["SLAVESIDE_DISABLED"])
    })?;
    a.drain(true)?;
    scenario.serves(NodeId::B)?;
    a.drain(false)?;
    a.wait_following(NodeId::B, PATIENCE)?;
    ensure!(statuses(b)? == ["SLAVESIDE_DISABLED"] && statuses(a)? == ["ENABLED"]);
    scenario.finish(End::Follows).map(drop)
}
