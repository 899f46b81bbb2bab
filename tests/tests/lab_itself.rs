//! The lab tested by itself, without the programs: do-nothing hooks, and faults whose outcome is known.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{Direction, Host, Lab, LabOptions, NodeId, ServerState, Via, What, process, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// False where no lab can be had.
fn possible() -> bool {
    let why = Lab::unavailable(lab::Server::chosen());
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

fn leftovers(id: &str) -> Result<Vec<String>> {
    let list = Command::new("ip").args(["netns", "list"]).output()?.stdout;
    let names = String::from_utf8_lossy(&list)
        .lines()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let mut left: Vec<String> = names
        .into_iter()
        .filter(|name| name.contains(&format!("kml-{id}-")))
        .collect();
    let folder = format!("/tmp/kml-{id}");
    if Path::new(&folder).exists() {
        left.push(folder.clone());
    }
    let processes = Command::new("ps")
        .args(["-eo", "pid,args"])
        .output()?
        .stdout;
    let of_lab = |line: &&str| line.contains(&folder) || line.contains(&format!("kml-{id}-"));
    left.extend(
        String::from_utf8_lossy(&processes)
            .lines()
            .filter(of_lab)
            .map(str::to_owned),
    );
    Ok(left)
}

#[test]
fn a_killed_server_moves_the_vip_and_nothing_is_left_behind() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor())?;
    lab.start_keepalived()?;
    let writers = lab.write(&[Via::Vip(200), Via::FreshVip(200)])?;
    writers.wait_for_acks(50, PATIENCE)?;
    let fault = lab.a().kill_server()?;
    lab.b().wait_serving(PATIENCE)?;
    writers.wait_for_acks(50, PATIENCE)?;
    ensure!(lab.b().has_vip() && !lab.a().has_vip());
    let ledger = writers.stop();
    for writer in &ledger.writers {
        let gap = writer.gap_after(fault).context("no gap")?;
        println!(
            "gap of the bare take-over, {}: {:.1} ms",
            writer.name,
            gap.ms()
        );
        ensure!(gap.ms() < 1000.0, "{gap:?}");
    }
    let events = lab.timeline().events();
    for expected in [
        What::Vip(NodeId::B, true),
        What::Server(NodeId::A, ServerState::Down),
    ] {
        ensure!(
            events.iter().any(|event| event.what == expected),
            "{expected:?} is missing: {events:?}"
        );
    }
    let (id, begun) = (lab.id().to_owned(), Instant::now());
    drop(lab);
    println!("removed in {:?}", begun.elapsed());
    ensure!(leftovers(&id)?.is_empty(), "{:?}", leftovers(&id)?);
    Ok(())
}

#[test]
fn a_killed_runner_leaves_nothing() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut runner = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["up", "--floor"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(runner.stdout.as_mut().context("stdout")?).read_line(&mut line)?;
    let id = line.split(' ').nth(1).context("no id")?.to_owned();
    ensure!(leftovers(&id)?.len() > 8, "{:?}", leftovers(&id)?);
    runner.kill()?;
    runner.wait()?;
    let took = wait_until("everything is gone", PATIENCE, || {
        Ok(leftovers(&id)?.is_empty())
    })?;
    println!("gone {took:?} after SIGKILL");
    Ok(())
}

#[test]
fn links_break_and_heal() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor())?;
    lab.start_keepalived()?;
    let reaches = |from: Host, to: NodeId| {
        let ask = format!("SELECT 1; -- {}", to.address());
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            lab.netns(from).name(),
            "mariadb",
            "-uapp",
            "-plab-app",
        ]);
        command.args([
            "--connect-timeout=1",
            "-h",
            &to.address().to_string(),
            "-e",
            &ask,
        ]);
        command.output().is_ok_and(|output| output.status.success())
    };
    ensure!(reaches(Host::Client, NodeId::A) && reaches(Host::A, NodeId::B));
    // What node-b sends to the client is lost: its answers too.
    lab.cut(Host::B, Host::Client, Direction::OneWay)?;
    ensure!(!reaches(Host::Client, NodeId::B) && reaches(Host::Client, NodeId::A));
    lab.heal()?;
    // The client's neighbour table asks for a lost address once a second only.
    wait_until("healed", PATIENCE, || Ok(reaches(Host::Client, NodeId::B)))?;
    lab.cut_vrrp(Host::A, Host::B, Direction::Both)?;
    wait_until("both have the VIP", PATIENCE, || {
        Ok(lab.a().has_vip() && lab.b().has_vip())
    })?;
    ensure!(reaches(Host::A, NodeId::B), "only VRRP is cut");
    lab.heal()?;
    wait_until("one has the VIP", PATIENCE, || {
        Ok(lab.a().has_vip() && !lab.b().has_vip())
    })?;
    lab.a().carrier_down()?;
    wait_until("node-b has the VIP", PATIENCE, || {
        Ok(lab.b().has_vip() && !lab.a().has_vip())
    })?;
    lab.a().carrier_up()?;
    Ok(())
}

#[test]
fn keepalived_dies_in_every_way() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor())?;
    lab.start_keepalived()?;
    lab.a().kill_keepalived()?;
    wait_until("node-b has the VIP", PATIENCE, || Ok(lab.b().has_vip()))?;
    ensure!(lab.a().has_vip(), "the VIP of a killed keepalived stays");
    lab.a().start_keepalived()?;
    wait_until("the stale VIP is removed", PATIENCE, || {
        Ok(!lab.a().has_vip())
    })?;
    lab.b().term_keepalived()?;
    wait_until("node-a has the VIP", PATIENCE, || Ok(lab.a().has_vip()))?;
    lab.b().start_keepalived()?;
    lab.a().drain(true)?;
    wait_until("drained", PATIENCE, || {
        Ok(lab.b().has_vip() && !lab.a().has_vip())
    })?;
    Ok(())
}

#[test]
fn power_fails_and_returns() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor())?;
    lab.start_keepalived()?;
    let before = lab.a().environment();
    lab.a().power_off()?;
    ensure!(lab.a().netns().processes().is_empty() && !lab.a().has_vip());
    wait_until("node-b has the VIP", PATIENCE, || Ok(lab.b().has_vip()))?;
    lab.a().power_on()?;
    ensure!(lab.a().environment() != before, "the boot id is new");
    lab.a().start_server()?;
    ensure!(lab.a().read_only()?, "servers boot closed");
    lab.a().start_keepalived()?;
    lab.b().wait_following(NodeId::A, PATIENCE)?;
    lab.b().freeze_server()?;
    ensure!(
        lab.b().read_only().is_err(),
        "a frozen server does not answer"
    );
    lab.b().thaw_server()?;
    lab.b()
        .wait_until("thawed", PATIENCE, |b| b.read_only().map(|closed| !closed))?;
    Ok(())
}

#[test]
fn programs_run_inside_the_node() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions::floor().without(&["fence", "gate"]))?;
    let script = "ip -4 -o addr show dev eth0; echo $KEEPALIVED_MYSQL_TEST_OFF; \
                  echo $$ > $KEEPALIVED_MYSQL_TEST_PAUSE_DIR/drain.reached";
    lab.b().pause_at("drain")?;
    let output = lab.b().run_program("/bin/sh", &["-c", script], &[])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        text.contains("10.77.0.12/24") && text.contains("fence,gate"),
        "{text}"
    );
    ensure!(lab.b().wait_reached("drain", PATIENCE)? > 1);
    lab.b().release("drain")?;
    ensure!(process::start_time(1).is_some());
    Ok(())
}

#[test]
fn disks_fill_up_and_binlogs_lose_their_end() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::start(LabOptions {
        data_size: Some("100m".to_owned()),
        ..LabOptions::floor()
    })?;
    lab.b().fill_disk()?;
    ensure!(
        std::fs::write(lab.b().paths().data().join("x"), "x").is_err(),
        "full is full"
    );
    lab.b().free_disk()?;
    lab.a()
        .query_local("INSERT INTO lab.ledger VALUES (1, 0, 11, 0, NOW(6))")?;
    lab.b().wait_until("the row arrives", PATIENCE, |b| {
        Ok(b.query_local("SELECT id FROM lab.ledger")?.len() == 1)
    })?;
    lab.a().kill_server()?;
    let before = lab.a().last_binlog()?.metadata()?.len();
    lab.a().truncate_binlog(31)?;
    ensure!(lab.a().last_binlog()?.metadata()?.len() == before - 31);
    let id = lab.id().to_owned();
    drop(lab);
    ensure!(leftovers(&id)?.is_empty(), "{:?}", leftovers(&id)?);
    Ok(())
}
