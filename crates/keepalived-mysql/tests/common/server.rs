//! A real server with a data folder of its own, reached over its socket alone.
#![allow(dead_code)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keepalived_mysql::server::connection::{Endpoint, Target};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

#[path = "fetched.rs"]
mod fetched;

/// A server that may be there.
pub struct Kind {
    /// As the lab calls it.
    pub name: &'static str,
    program: &'static str,
    share: &'static str,
    /// Decodes its binary log.
    pub tool: &'static str,
    /// What it needs besides.
    options: &'static [&'static str],
}

/// Paths are below the folder that tests/servers/fetch fills, unless they begin with a slash.
pub const KINDS: [Kind; 5] = [
    Kind {
        name: "mariadb-10.11",
        program: "/usr/sbin/mariadbd",
        share: "/usr/share/mysql",
        tool: "/usr/bin/mariadb-binlog",
        options: &["innodb_log_file_size=4M"],
    },
    Kind {
        name: "mysql-9.7",
        program: "usr/sbin/mysqld",
        share: "usr/share/mysql",
        tool: "usr/bin/mysqlbinlog",
        options: &[
            "innodb_redo_log_capacity=8M",
            "mysqlx=OFF",
            "secure_file_priv=NULL",
        ],
    },
    Kind {
        name: "mariadb-11.8",
        program: "usr/sbin/mariadbd",
        share: "usr/share/mariadb",
        tool: "usr/bin/mariadb-binlog",
        options: &["innodb_log_file_size=4M", "innodb_undo_tablespaces=0"],
    },
    Kind {
        name: "mariadb-10.5",
        program: "usr/sbin/mariadbd",
        share: "usr/share/mysql",
        tool: "/usr/bin/mariadb-binlog",
        options: &["innodb_log_file_size=4M"],
    },
    Kind {
        name: "mysql-5.6",
        program: "server/mysqld",
        share: "server/share",
        tool: "/usr/bin/mariadb-binlog",
        options: &["innodb_log_file_size=4M"],
    },
];

impl Kind {
    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn root(&self) -> PathBuf {
        fetched::folder().join(self.name)
    }

    pub fn is_mariadb(&self) -> bool {
        self.name.starts_with("mariadb")
    }

    /// Whether it can be run here; says so loudly if not.
    pub fn there(&self) -> bool {
        let there = self.path(self.program).exists() && self.path(self.tool).exists();
        if !there {
            eprintln!("skipped: {} is missing: run tests/servers/fetch", self.name);
        }
        there
    }

    /// The tool that decodes its binary log.
    pub fn tool(&self) -> Command {
        let mut command = Command::new(self.path(self.tool));
        command.arg("--no-defaults");
        command
    }

    /// Where a client program of it is.
    pub fn client(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(self.path(self.program));
        command
            .args(["--no-defaults", "--user=root"])
            .arg(format!("--datadir={}", data.display()))
            // Two servers with one pid, in two namespaces, would take each other's temporary tables.
            .arg(format!("--tmpdir={}", data.with_file_name("tmp").display()))
            .arg(format!(
                "--lc-messages-dir={}",
                self.path(self.share).display()
            ))
            .args(["--innodb_data_file_path=ibdata1:12M:autoextend"]);
        if self.program.starts_with("usr") {
            command
                .arg(format!("--basedir={}", self.path("usr").display()))
                .arg(format!(
                    "--plugin-dir={}",
                    self.path("usr/lib/mysql/plugin").display()
                ));
        } else if self.program.starts_with("server") {
            command.arg(format!("--basedir={}", self.path("server").display()));
        }
        for option in self.options {
            command.arg(format!("--{option}"));
        }
        command
    }
}

/// A running server; killed, with its folder removed, when it goes.
pub struct Server {
    pub kind: &'static Kind,
    pub folder: tempfile::TempDir,
    options: Vec<String>,
    child: Child,
}

impl Server {
    /// Initialises and starts one with a binary log called `binlog` and these options besides.
    pub fn start(kind: &'static Kind, options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("kms-").tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        initialise(kind, &data);
        let options: Vec<String> = options.iter().map(|o| format!("--{o}")).collect();
        let child = run(kind, folder.path(), &options);
        let server = Self {
            kind,
            folder,
            options,
            child,
        };
        server.wait();
        server
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn target(&self) -> Target {
        Target {
            endpoint: Endpoint::Socket(self.socket()),
            user: "root".into(),
            password: None,
            encryption: None,
        }
    }

    pub fn connect(&self) -> mysql::Result<Conn> {
        Conn::new(
            OptsBuilder::new()
                .user(Some("root"))
                .prefer_socket(false)
                .socket(Some(self.socket().to_string_lossy().into_owned())),
        )
    }

    pub fn run(&self, statements: &[&str]) {
        let mut connection = self.connect().unwrap();
        for statement in statements {
            connection
                .query_drop(statement)
                .unwrap_or_else(|error| panic!("{}: {statement}: {error}", self.kind.name));
        }
    }

    /// The first column of the first row.
    pub fn one(&self, query: &str) -> String {
        let row: Option<mysql::Row> = self.connect().unwrap().query_first(query).unwrap();
        row.unwrap().get::<String, _>(0).unwrap()
    }

    /// kill -9, and again.
    pub fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = run(self.kind, self.folder.path(), &self.options);
        self.wait();
    }

    fn wait(&self) {
        let begun = Instant::now();
        while self.connect().is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{}: {}",
                self.kind.name,
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(kind: &Kind, folder: &Path, options: &[String]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    kind.command(&folder.join("data"))
        .args(["--skip-networking", "--log-bin=binlog", "--server-id=11"])
        .args(["--performance-schema=OFF", "--binlog-format=ROW"])
        .arg(format!("--socket={}", folder.join("sock").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .args(options)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn initialise(kind: &Kind, data: &Path) {
    if kind.name == "mysql-9.7" {
        let done = kind
            .command(data)
            .arg("--initialize-insecure")
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        return;
    }
    let mut sql = String::new();
    let prefix = if kind.name == "mariadb-11.8" {
        "mariadb"
    } else {
        "mysql"
    };
    let mut files = vec!["system_tables", "system_tables_data"];
    if kind.is_mariadb() {
        sql.push_str(
            "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n",
        );
        files.push("performance_tables");
    } else {
        fs::create_dir(data.join("mysql")).unwrap();
        fs::create_dir(data.join("performance_schema")).unwrap();
        sql.push_str("use mysql;\n");
    }
    for file in files {
        let path = kind.path(kind.share).join(format!("{prefix}_{file}.sql"));
        sql.push_str(&fs::read_to_string(&path).unwrap());
    }
    let mut child = kind
        .command(data)
        .args([
            "--bootstrap",
            "--max_allowed_packet=8M",
            "--net_buffer_length=16K",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(sql.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
