//! Signals that come at a bad moment, and the umask that keepalived gives its hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{End, LabOptions, Node, NodeId, PATIENCE, Scenario, ServerState, Session, What, process};
use nix::sys::signal::Signal;

/// What keepalived does to a hook that ends with it must not come a moment later.
const MOMENT: Duration = Duration::from_millis(500);

/// On node-b a person promotes: no hook and no repair does it.
fn promoted_by_hand() -> Result<Option<Scenario>> {
    let options = LabOptions::default().toml("check.repair", "false");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(None);
    };
    let path = scenario.b().paths().etc().join("keepalived.conf");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().map(|line| match line.trim().split_once(' ') {
        Some((key, _)) if key.starts_with("notify_master") => format!("    {key} /bin/true"),
        _ => line.to_owned(),
    });
    fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n")?;
    scenario.lab.start_keepalived()?;
    let scenario = scenario.with_writers()?;
    scenario.acks(100)?;
    Ok(Some(scenario))
}

/// node-b has the VIP, and its promotion gets SIGTERM while it waits at `step`.
fn terminated_at(scenario: &Scenario, step: &str) -> Result<(i32, String)> {
    let b = scenario.b();
    b.pause_at(step)?;
    scenario.a().drain(true)?;
    b.wait_until("has the VIP", PATIENCE, |b| Ok(b.has_vip()))?;
    thread::scope(|scope| {
        let promotion =
            scope.spawn(|| scenario.by_hand(NodeId::B, "notify_master", &["--record-intent"]));
        let pid = b.wait_reached(step, PATIENCE)?;
        scenario.lab.note(&format!("SIGTERM for process {pid}"));
        process::signal(pid, Signal::SIGTERM)?;
        b.release(step)?;
        promotion.join().ok().context("the promotion panicked")?
    })
}

/// What became of node-b's newest claim.
fn newest_claim(b: &Node) -> Result<String> {
    let rows = b.query_local(
        "SELECT state FROM keepalived_mysql.promotion WHERE node = 'node-b' ORDER BY epoch DESC LIMIT 1",
    )?;
    let row = rows.first().context("no claim")?;
    Ok(row.at(0).to_owned())
}

fn stops_at(step: &str) -> Result<()> {
    let Some(scenario) = promoted_by_hand()? else {
        return Ok(());
    };
    let (code, said) = terminated_at(&scenario, step)?;
    ensure!(code == 3, "{code}: {said}");
    let b = scenario.b();
    let claim = newest_claim(b)?;
    ensure!(claim == "withdrawn", "the claim is {claim}");
    b.wait_following(NodeId::A, PATIENCE)?;
    let opened = What::Server(NodeId::B, ServerState::Open);
    let events = scenario.lab.timeline().events();
    ensure!(
        b.read_only()? && events.iter().all(|event| event.what != opened),
        "node-b was opened"
    );
    let (code, said) = scenario.by_hand(NodeId::B, "notify_master", &["--record-intent"])?;
    ensure!(code == 0, "{code}: {said}");
    scenario.serves(NodeId::B)?;
    scenario.a().drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn a_promotion_that_is_terminated_while_it_drains_puts_everything_back() -> Result<()> {
    stops_at("drain.before")
}

/// Here the receiver is stopped already.
#[test]
fn a_promotion_that_is_terminated_before_it_stops_replication_puts_everything_back() -> Result<()> {
    stops_at("stop-replication.before")
}

fn opens_all_the_same(step: &str) -> Result<()> {
    let Some(scenario) = promoted_by_hand()? else {
        return Ok(());
    };
    let (code, said) = terminated_at(&scenario, step)?;
    ensure!(code == 0, "{code}: {said}");
    let b = scenario.b();
    ensure!(!b.read_only()?, "node-b is closed: {said}");
    let claim = newest_claim(b)?;
    ensure!(claim == "opened", "the record says {claim}");
    scenario.serves(NodeId::B)?;
    scenario.a().drain(false)?;
    scenario.finish(End::Follows).map(drop)
}

#[test]
fn a_signal_after_the_opening_was_recorded_is_held_back() -> Result<()> {
    opens_all_the_same("record-opening.after")
}

#[test]
fn a_signal_while_the_opening_is_sent_is_held_back() -> Result<()> {
    opens_all_the_same("open.send")
}

/// A closing statement waits in the server.
fn wait_queued(node: &Node) -> Result<()> {
    let queued = |node: &Node| {
        let rows = node.query_local(&format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE USER = 'keepalived' AND INFO LIKE '%{}%'",
            node.server().closing()
        ))?;
        Ok(rows[0].at(0) != "0")
    };
    node.wait_until("its closing waits", PATIENCE, queued)
        .map(drop)
}

/// keepalived asks the kernel to end its hooks with it; neither it nor a check nor node-b is there to help.
#[test]
fn a_closing_outlives_keepalived() -> Result<()> {
    let options = LabOptions::default()
        .toml("close.exempt_users", "[\"app\"]")
        .toml("check.repair", "false");
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(());
    };
    let a = scenario.a();
    a.start_keepalived()?;
    a.wait_serving(PATIENCE)?;
    let mut holder = Session::of_app(a)?;
    holder.run("LOCK TABLES lab.ledger WRITE")?;
    a.pause_at("close.before")?;
    a.drain(true)?;
    let pid = a.wait_reached("close.before", PATIENCE)?;
    a.release("close.before")?;
    wait_queued(a)?;
    a.kill_keepalived()?;
    scenario.remains("the hook goes on", MOMENT, || Ok(process::is_alive(pid)))?;
    ensure!(!a.read_only()?, "closed in spite of the lock");
    holder.run("UNLOCK TABLES")?;
    a.wait_until("closed", PATIENCE, Node::read_only)?;
    let history = || fs::read_to_string(a.paths().history()).unwrap_or_default();
    let receipt = format!("\"pid\":{pid}");
    let by_the_hook =
        |line: &str| line.contains(&receipt) && line.contains("\"outcome\":\"closed\"");
    a.wait_until("the hook keeps its receipt", PATIENCE, |_| {
        Ok(history().lines().any(by_the_hook))
    })
    .map(drop)
}

/// Everything below a folder, and the folder itself.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(below(&path)?);
        } else {
            all.push(path);
        }
    }
    Ok(all)
}

/// The copy of the configuration may hold a password.
fn wanted_mode(path: &Path) -> u32 {
    match path.file_name().and_then(|name| name.to_str()) {
        _ if path.is_dir() => 0o750,
        Some("last-good.toml") => 0o600,
        _ => 0o640,
    }
}

/// keepalived's own umask, unless it is configured.
#[test]
fn what_is_made_under_keepalived_s_umask_can_be_used() -> Result<()> {
    let options = LabOptions::default();
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(());
    };
    let a = scenario.a();
    let [state, run] = a.paths().suite_folders();
    fs::remove_dir_all(&state)?;
    a.query_local("SET GLOBAL read_only=0")?;
    for (program, args) in [
        ("notify_fault", "--record-intent"),
        ("check_mysql", ""),
        ("check_mysql", "--repair"),
        ("notify_stop", "--record-intent"),
    ] {
        let (bin, config) = (a.paths().bin().join(program), a.paths().config());
        let script = format!(
            "umask 0177; exec {} --config {} {args}",
            bin.display(),
            config.display()
        );
        let output = a.run_program("/bin/sh", &["-c", &script], &[])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code().is_some_and(|code| code < 2),
            "{program}: {said}"
        );
    }
    for path in below(&state)?.into_iter().chain(below(&run)?) {
        let mode = fs::metadata(&path)?.permissions().mode() & 0o7777;
        println!("{mode:04o} {}", path.display());
        ensure!(mode == wanted_mode(&path), "{mode:04o} {}", path.display());
    }
    for file in [a.paths().history(), a.paths().log().join("suite.log")] {
        let mode = fs::metadata(&file)?.permissions().mode() & 0o7777;
        ensure!(mode == 0o640, "{mode:04o} {}", file.display());
    }
    Ok(())
}
