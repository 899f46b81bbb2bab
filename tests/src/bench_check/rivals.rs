//! Who is measured, and how it is had.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;

use super::numbers::Figures;
use crate::exe;
use crate::node::Node;
use crate::sh;

pub(super) const OURS: &str = "check_mysql";
pub(super) const ADMIN: &str = "mariadb-admin ping";
pub(super) const SHELL: &str = "bash and mariadb";
pub(super) const FLOOR: &str = "C, SELECT 1";
const FLOOR_ALL: &str = "C, much the same questions";
const PYTHON: &str = "python and pymysql";

/// An account without a password: it costs the rivals nothing to prove who they are.
const USER: &str = "bench";

/// The size of our own question, in the words of MariaDB.
const QUESTIONS: &str = "SELECT VERSION(), @@version_comment; \
     SELECT @@global.read_only, @@server_uid, @@datadir, @@pid_file, @@global.gtid_binlog_state, \
     @@global.gtid_slave_pos, @@global.gtid_binlog_pos, @@global.sync_binlog; SHOW ALL SLAVES STATUS; \
     SELECT * FROM keepalived_mysql.fence WHERE id = 1; \
     SELECT * FROM keepalived_mysql.promotion WHERE state IN ('opening', 'opened') \
     ORDER BY epoch DESC, node DESC LIMIT 1000; \
     SELECT * FROM keepalived_mysql.promotion WHERE state IN ('claim', 'withdrawn') \
     ORDER BY epoch DESC, node DESC LIMIT 16";

/// A program that is measured.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
}

/// A program that is not, and why.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Skipped {
    pub(super) name: &'static str,
    pub(super) why: String,
}

/// What could be had on this machine.
#[derive(Debug)]
pub(super) struct Tools {
    folder: PathBuf,
    floor: Option<PathBuf>,
    peak: Option<PathBuf>,
    python: bool,
    pub(super) skipped: Vec<Skipped>,
}

/// Compiles the two C programs and looks for the others.
pub(super) fn build(into: &Path) -> Result<Tools> {
    let folder = exe::workspace().join("tests/bench");
    let mut skipped = Vec::new();
    let mut skip = |name, why: String| skipped.push(Skipped { name, why });
    let compile = |name: &str| -> Result<PathBuf> {
        let program = into.join(name);
        let mut command = Command::new("cc");
        command.args(["-O2", "-static", "-o"]).arg(&program);
        sh::run(command.arg(folder.join(format!("{name}.c"))))?;
        Ok(program)
    };
    let floor = compile("floor")
        .map_err(|why| skip(FLOOR, format!("{why:#}")))
        .ok();
    let peak = compile("peak")
        .map_err(|why| skip("peak memory", format!("{why:#}")))
        .ok();
    let pymysql = sh::run(Command::new("python3").args(["-c", "import pymysql"]));
    let python = pymysql.map_err(|why| {
        let why = why.to_string();
        skip(PYTHON, why.lines().last().unwrap_or_default().to_owned());
    });
    Ok(Tools {
        folder,
        floor,
        peak,
        python: python.is_ok(),
        skipped,
    })
}

/// The rivals' account on a node, not replicated.
pub(super) fn make_account(node: &Node) -> Result<()> {
    let sql = format!(
        "SET SESSION sql_log_bin = 0; CREATE USER IF NOT EXISTS {USER}@localhost; \
         GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO {USER}@localhost; \
         GRANT SELECT ON keepalived_mysql.* TO {USER}@localhost"
    );
    node.query_local(&sql).map(drop)
}

impl Tools {
    /// Everybody, on one node.
    pub(super) fn all(&self, node: &Node) -> Vec<Rival> {
        let socket = node.paths().socket().display().to_string();
        let own = |name: &str| self.folder.join(name).display().to_string();
        let check = node.paths().bin().join("check_mysql").display().to_string();
        let config = node.paths().config().display().to_string();
        let mut all = Vec::new();
        let mut add = |name, words: &[&str]| {
            let command = words.iter().map(|&word| word.to_owned()).collect();
            all.push(Rival { name, command });
        };
        add(OURS, &[&check, "--config", &config]);
        let admin = [
            "mariadb-admin",
            "--no-defaults",
            "-u",
            USER,
            "-S",
            &socket,
            "ping",
        ];
        add(ADMIN, &admin);
        add(SHELL, &["bash", &own("check.sh"), &socket, USER]);
        if self.python {
            add(PYTHON, &["python3", &own("check.py"), &socket, USER]);
        }
        if let Some(floor) = &self.floor {
            let floor = floor.display().to_string();
            add(FLOOR, &[&floor, &socket, USER, "SELECT 1"]);
            add(FLOOR_ALL, &[&floor, &socket, USER, QUESTIONS]);
        }
        all
    }
}

/// Adds each program's peak of memory, where it can be had.
pub(super) fn with_memory(
    tools: &Tools,
    node: &Node,
    rivals: &[Rival],
    mut figures: Vec<Figures>,
) -> Result<Vec<Figures>> {
    let Some(peak) = &tools.peak else {
        return Ok(figures);
    };
    let peaks = node.netns().within(|| {
        let all = rivals.iter().map(|rival| peak_of(peak, &rival.command));
        all.collect::<Result<Vec<_>>>()
    })?;
    for (figures, kib) in figures.iter_mut().zip(peaks) {
        figures.peak_kib = Some(kib);
    }
    Ok(figures)
}

fn peak_of(peak: &Path, command: &[String]) -> Result<u64> {
    let output = sh::run(Command::new(peak).args(command).stdout(Stdio::null()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().last().context("peak said nothing")?;
    last.trim().parse().context(said.clone())
}
