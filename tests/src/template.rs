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
use crate::sql::{self, Login, Target};
use crate::{exe, process, sh};

const SERVER: &str = "/usr/sbin/mariadbd";
const SHARE: &str = "/usr/share/mysql";
const SYSTEM: [&str; 3] = [
    "mysql_system_tables.sql",
    "mysql_system_tables_data.sql",
    "mysql_performance_tables.sql",
];
const LEDGER: &str = include_str!("template/ledger.sql");

/// Small files, and the same at every start.
const INNODB: [&str; 3] = [
    "--innodb-data-file-path=ibdata1:3M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-log-file-size=4M",
];

/// The template for this server and these statements, made if it is not there yet.
pub(crate) fn ready() -> Result<PathBuf> {
    let version = sh::run(Command::new(SERVER).arg("--version"))?.stdout;
    let statements = statements()?;
    let mut hasher = DefaultHasher::new();
    (&version, &statements, INNODB, 1).hash(&mut hasher);
    let cache = match std::env::var_os("LAB_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => exe::target_dir()?.join("lab-cache"),
    };
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("lock the lab's cache")?;
    let template = cache.join(format!("mariadb-{:016x}", hasher.finish()));
    if !template.is_dir() {
        make(&template, &statements)?;
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
fn statements() -> Result<String> {
    let example = exe::workspace().join("examples/grants/mariadb.sql");
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

fn make(template: &Path, statements: &str) -> Result<()> {
    let unfinished = template.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)?;
    bootstrap(&unfinished)?;
    fill(&unfinished, statements)?;
    for entry in fs::read_dir(&unfinished)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let own = ["binlog.", "ib_buffer_pool", "template."];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            fs::remove_file(path)?;
        }
    }
    fs::rename(&unfinished, template).context("finish the template")
}

fn bootstrap(data: &Path) -> Result<()> {
    let mut input = String::from(
        "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n",
    );
    for file in SYSTEM {
        let path = Path::new(SHARE).join(file);
        input.push_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
    }
    let mut command = Command::new(SERVER);
    command
        .args([
            "--no-defaults",
            "--user=root",
            "--bootstrap",
            "--silent-startup",
        ])
        .arg(format!("--datadir={}", data.display()))
        .args(INNODB)
        .args([
            "--enforce-storage-engine=",
            "--max_allowed_packet=8M",
            "--net_buffer_length=16K",
        ]);
    sh::feed(&mut command, &input)
        .context("bootstrap")
        .map(drop)
}

/// Starts a server without a network on the new folder, and gives it accounts and tables.
fn fill(data: &Path, statements: &str) -> Result<()> {
    // A socket's path is short by law, so it cannot lie in the cache.
    let short = tempfile::Builder::new().prefix("kml-template-").tempdir()?;
    let socket = short.path().join("sock");
    let mut server = Command::new(SERVER)
        .args([
            "--no-defaults",
            "--user=root",
            "--skip-networking",
            "--log-bin=binlog",
        ])
        .args([
            "--performance-schema=OFF",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
        ])
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--pid-file={}", short.path().join("pid").display()))
        .args(INNODB)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(data.join("template.log"))?)
        .spawn()?;
    let done = run_statements(Target::Socket(socket), statements);
    process::signal(i32::try_from(server.id())?, Signal::SIGTERM)?;
    let ended = wait_until(
        "the template's server ends",
        Duration::from_secs(30),
        || Ok(server.try_wait()?.is_some()),
    );
    if ended.is_err() {
        server.kill()?;
        server.wait()?;
    }
    done.and(ended.map(drop))
}

fn run_statements(target: Target, statements: &str) -> Result<()> {
    let limit = Duration::from_secs(30);
    wait_until("the template's server answers", limit, || {
        Ok(sql::open(&target, Login::ROOT, &[], limit).is_ok())
    })?;
    let mut conn = sql::open(&target, Login::ROOT, &["SET sql_log_bin=0"], limit)?;
    sql::rows(&mut conn, statements).context("accounts and schema")?;
    sql::rows(&mut conn, "RESET MASTER; SET GLOBAL innodb_fast_shutdown=0")?;
    Ok(())
}
