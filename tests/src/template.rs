//! A data folder that is initialised once, and copied for every node.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::clock::wait_until;
use crate::config::password;
use crate::server::Server;
use crate::sql::{self, Login, Target};
use crate::{exe, process, sh};

/// Counts the ways in which templates were made.
const FORMAT: u32 = 2;

const LEDGER: &str = include_str!("template/ledger.sql");

/// The template for this server and these statements, made if it is not there yet.
pub(crate) fn ready(server: Server) -> Result<PathBuf> {
    let version = sh::run(Command::new(server.program()).arg("--version"))?.stdout;
    let statements = statements(server)?;
    let mut hasher = DefaultHasher::new();
    (&version, &statements, server.innodb(), FORMAT).hash(&mut hasher);
    let cache = match std::env::var_os("LAB_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => exe::target_dir()?.join("lab-cache"),
    };
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("lock the lab's cache")?;
    let template = cache.join(format!("{server}-{:016x}", hasher.finish()));
    if !template.is_dir() {
        make(server, &template, &statements)?;
    }
    Ok(template)
}

/// Copies a template to a node's data folder.
pub(crate) fn copy(template: &Path, data: &Path) -> Result<()> {
    let source = template.join(".");
    sh::run(
        Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(source)
            .arg(data),
    )
    .map(drop)
}

/// The accounts and the schema: those of the examples folder, and the lab's own.
fn statements(server: Server) -> Result<String> {
    let example = exe::workspace()
        .join("examples/grants")
        .join(server.grants());
    let suite = fs::read_to_string(&example)
        .with_context(|| example.display().to_string())?
        .replace("CHANGE-ME-keepalived", password::KEEPALIVED)
        .replace("CHANGE-ME-repl", password::REPL);
    if suite.contains("CHANGE-ME") {
        bail!(
            "{}: a password that the lab does not know",
            example.display()
        );
    }
    Ok(format!("{suite}\n{LEDGER}"))
}

fn make(server: Server, template: &Path, statements: &str) -> Result<()> {
    let unfinished = template.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)?;
    match server {
        Server::MySql97 => initialize(server, &unfinished)?,
        _ => bootstrap(server, &unfinished)?,
    }
    fill(server, &unfinished, statements)?;
    for entry in fs::read_dir(&unfinished)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // Two nodes with one auto.cnf would be one server for replication.
        let own = ["binlog.", "ib_buffer_pool", "template.", "auto.cnf"];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            fs::remove_file(path)?;
        }
    }
    fs::rename(&unfinished, template).context("finish the template")
}

/// MySQL's own way.
fn initialize(server: Server, data: &Path) -> Result<()> {
    let mut command = program(server, data);
    command.args(["--initialize-insecure", "--innodb-doublewrite=OFF"]);
    sh::run(&mut command).context("initialize").map(drop)
}

/// The system tables from their SQL files: faster than the install scripts, and it needs none of them.
fn bootstrap(server: Server, data: &Path) -> Result<()> {
    let mut input = String::new();
    if server.is_mariadb() {
        input.push_str(
            "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n",
        );
    } else {
        fs::create_dir(data.join("mysql"))?;
        fs::create_dir(data.join("performance_schema"))?;
        input.push_str("use mysql;\n");
    }
    for file in server.system_tables() {
        let path = server.share().join(file);
        input.push_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
    }
    let mut command = program(server, data);
    command.arg("--bootstrap");
    if server.is_mariadb() {
        command.args(["--silent-startup", "--enforce-storage-engine="]);
    } else {
        input.push_str("delete from user where user = '';\n");
    }
    command.args(["--max_allowed_packet=8M", "--net_buffer_length=16K"]);
    sh::feed(&mut command, &input)
        .context("bootstrap")
        .map(drop)
}

/// The server with nobody's options.
fn program(server: Server, data: &Path) -> Command {
    let mut command = Command::new(server.program());
    command
        .args(["--no-defaults", "--user=root"])
        .arg(format!("--datadir={}", data.display()));
    for option in server.places().iter().chain(&server.innodb()) {
        command.arg(format!("--{option}"));
    }
    command
}

/// Starts a server without a network on the new folder, and gives it accounts and tables.
fn fill(server: Server, data: &Path, statements: &str) -> Result<()> {
    // A socket's path is short by law, so it cannot lie in the cache.
    let short = tempfile::Builder::new().prefix("kml-template-").tempdir()?;
    let socket = short.path().join("sock");
    let log = File::create(data.join("template.log"))?;
    let mut running = program(server, data)
        .args(["--skip-networking", "--log-bin=binlog", "--server-id=1"])
        .args([
            "--performance-schema=OFF",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
        ])
        .args(server.quiet())
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--pid-file={}", short.path().join("pid").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let done = run_statements(server, Target::Socket(socket), statements);
    process::signal(i32::try_from(running.id())?, Signal::SIGTERM)?;
    let ended = wait_until(
        "the template's server ends",
        Duration::from_secs(30),
        || Ok(running.try_wait()?.is_some()),
    );
    if ended.is_err() {
        running.kill()?;
        running.wait()?;
    }
    done.and(ended.map(drop))
}

fn run_statements(server: Server, target: Target, statements: &str) -> Result<()> {
    let limit = Duration::from_secs(30);
    wait_until("the template's server answers", limit, || {
        Ok(sql::open(&target, Login::ROOT, &[], limit).is_ok())
    })?;
    let mut conn = sql::open(&target, Login::ROOT, &["SET sql_log_bin=0"], limit)?;
    sql::rows(&mut conn, statements).context("accounts and schema")?;
    let end = server.words("RESET MASTER; SET GLOBAL innodb_fast_shutdown=0");
    sql::rows(&mut conn, &end)?;
    Ok(())
}
