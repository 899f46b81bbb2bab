//! Starts the servers that there are.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keepalived_mysql::config::{Tls, TlsMode};
use keepalived_mysql::deadline::{Deadline, Pauses};
use keepalived_mysql::node::Contact;
use keepalived_mysql::server::connection::{Endpoint, Row, ServerError, Target};
use keepalived_mysql::server::dialect::{Source, Start};
use keepalived_mysql::server::source_tls::{Offered, SourceTls};
use tempfile::TempDir;

#[path = "../common/fetched.rs"]
mod fetched;

/// Long enough for a busy machine; nothing waits for it in a good run.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The passwords of the example grants.
pub const PASSWORD: &str = "CHANGE-ME-keepalived";
pub const REPL_PASSWORD: &str = "CHANGE-ME-repl";

static NO_TLS: Tls = Tls {
    mode: TlsMode::Disabled,
    ca: None,
    cert: None,
    key: None,
    replication_ca: None,
    replication_cert: None,
    replication_key: None,
};

/// A source on this machine, with the examples' replication account.
pub fn source(port: u16, start: Start) -> Source<'static> {
    Source {
        host: "127.0.0.1",
        port,
        user: "repl",
        password: REPL_PASSWORD,
        connect_retry: 1,
        retry_count: 86400,
        heartbeat: 2.0,
        start,
        tls: SourceTls::new(&NO_TLS, Offered::Tls),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    MariaDb,
    MySql56,
    MySql,
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub struct Kind {
    pub name: &'static str,
    pub family: Family,
    /// The file of examples/grants for it.
    pub grants: &'static str,
    program: PathBuf,
    base: PathBuf,
    share: PathBuf,
}

const ALL: [(&str, Family, &str); 5] = [
    ("mysql-5.6", Family::MySql56, "mysql-5.6.sql"),
    ("mysql-9.7", Family::MySql, "mysql-8.sql"),
    ("mariadb-10.5", Family::MariaDb, "mariadb.sql"),
    ("mariadb-10.11", Family::MariaDb, "mariadb.sql"),
    ("mariadb-11.8", Family::MariaDb, "mariadb.sql"),
];

/// The servers that are on this machine; the others are named on standard error.
pub fn found() -> Vec<Kind> {
    let kinds: Vec<Kind> = ALL.into_iter().filter_map(kind).collect();
    for (name, ..) in ALL {
        if !kinds.iter().any(|kind| kind.name == name) {
            eprintln!("SKIPPED: no {name} on this machine; tests/servers/fetch gets it");
        }
    }
    kinds
}

/// One of them, by name.
pub fn one(name: &str) -> Option<Kind> {
    found().into_iter().find(|kind| kind.name == name)
}

fn kind((name, family, grants): (&'static str, Family, &'static str)) -> Option<Kind> {
    let fetched = fetched::folder().join(name);
    let (program, base) = match family {
        Family::MySql56 => (fetched.join("server/mysqld"), fetched.join("server")),
        Family::MySql => (fetched.join("usr/sbin/mysqld"), fetched.join("usr")),
        // The installed one, if it is the release that is meant.
        Family::MariaDb if !fetched.exists() => ("/usr/sbin/mariadbd".into(), "/usr".into()),
        Family::MariaDb => (fetched.join("usr/sbin/mariadbd"), fetched.join("usr")),
    };
    let release = name.split_once('-')?.1;
    let said = Command::new(&program).arg("--version").output().ok()?;
    let version = format!("Ver {release}.");
    String::from_utf8_lossy(&said.stdout)
        .contains(&version)
        .then_some(())?;
    let shares = [
        base.join("share"),
        base.join("share/mysql"),
        base.join("share/mariadb"),
    ];
    let share = shares.into_iter().find(|s| s.join("english").is_dir())?;
    Some(Kind {
        name,
        family,
        grants,
        program,
        base,
        share,
    })
}

impl Kind {
    /// What it makes of an option file: all values, or a complaint.
    pub fn explain(&self, file: &Path) -> std::process::Output {
        Command::new(&self.program)
            .arg(format!("--defaults-file={}", file.display()))
            .arg(format!("--basedir={}", self.base.display()))
            .arg(format!("--lc-messages-dir={}", self.share.display()))
            .args(["--user=root", "--verbose", "--help"])
            .output()
            .unwrap()
    }

    fn command(&self, data: &Path) -> Command {
        // Whatever becomes of the test, its servers end with it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program);
        command
            .args(["--no-defaults", "--user=root"])
            .arg(format!("--basedir={}", self.base.display()))
            .arg(format!("--lc-messages-dir={}", self.share.display()))
            .arg(format!("--datadir={}", data.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.args(match self.family {
            Family::MySql56 => &[
                "--innodb-data-file-path=ibdata1:12M:autoextend",
                "--innodb-log-file-size=4M",
            ][..],
            Family::MySql => &[
                "--innodb-data-file-path=ibdata1:5M:autoextend",
                "--innodb-redo-log-capacity=8M",
                "--innodb-doublewrite=OFF",
                "--secure-file-priv=NULL",
            ],
            Family::MariaDb => &[
                "--innodb-data-file-path=ibdata1:3M:autoextend",
                "--innodb-log-file-size=4M",
            ],
        });
        if self.name == "mariadb-11.8" {
            command.arg("--innodb-undo-tablespaces=0");
        }
        command
    }

    /// Fills a new data folder: by `--initialize` where the server has it, else by its own SQL files.
    fn initialise(&self, data: &Path, log: File) {
        let mut command = self.command(data);
        command.stderr(log);
        if self.family == Family::MySql {
            assert!(
                command
                    .arg("--initialize-insecure")
                    .status()
                    .unwrap()
                    .success()
            );
            return;
        }
        let names: &[&str] = match self.family {
            Family::MariaDb => &[
                "system_tables.sql",
                "system_tables_data.sql",
                "performance_tables.sql",
            ],
            _ => &["system_tables.sql", "system_tables_data.sql"],
        };
        let mut sql = String::from("use mysql;\n");
        if self.family == Family::MariaDb {
            sql = "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n"
                .into();
        }
        for name in names {
            let file = ["mariadb_", "mysql_"]
                .map(|prefix| self.share.join(format!("{prefix}{name}")))
                .into_iter()
                .find(|file| file.exists())
                .unwrap_or_else(|| panic!("no {name} in {}", self.share.display()));
            sql.push_str(&fs::read_to_string(file).unwrap());
        }
        let script = data.with_extension("sql");
        fs::write(&script, sql).unwrap();
        if self.family == Family::MySql56 {
            fs::create_dir_all(data.join("mysql")).unwrap();
            fs::create_dir_all(data.join("performance_schema")).unwrap();
        }
        command
            .arg("--bootstrap")
            .stdin(File::open(&script).unwrap());
        assert!(
            command.status().unwrap().success(),
            "{}: bootstrap",
            self.name
        );
    }

    /// An initialised data folder, made once and kept under target/tmp.
    fn template(&self) -> PathBuf {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = File::create(cache.join(format!("{}.lock", self.name))).unwrap();
        lock.lock().unwrap();
        let template = cache.join(format!("{}-template", self.name));
        if !template.exists() {
            let unfinished = cache.join(format!("{}-unfinished", self.name));
            let _ = fs::remove_dir_all(&unfinished);
            fs::create_dir_all(&unfinished).unwrap();
            let log = cache.join(format!("{}.log", self.name));
            self.initialise(&unfinished, File::create(log).unwrap());
            fs::rename(&unfinished, &template).unwrap();
        }
        template
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    pub kind: Kind,
    pub socket: PathBuf,
    /// Where it listens on 127.0.0.1; 0: nowhere.
    pub port: u16,
    process: Child,
    _folder: TempDir,
}

impl Server {
    /// A server that listens on its socket only.
    pub fn start(kind: &Kind) -> Self {
        Self::launch(kind, 0, &[])
    }

    /// A server that listens on 127.0.0.1 too.
    pub fn listening(kind: &Kind, options: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::launch(kind, port, options)
    }

    fn launch(kind: &Kind, port: u16, options: &[&str]) -> Self {
        // A socket's path is short by law.
        let folder = tempfile::Builder::new()
            .prefix("kms-")
            .tempdir_in("/tmp")
            .unwrap();
        let data = folder.path().join("data");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(kind.template())
            .arg(&data)
            .status();
        assert!(copied.unwrap().success());
        let _ = fs::remove_file(data.join("auto.cnf"));
        let socket = folder.path().join("s");
        let mut command = kind.command(&data);
        command
            .arg(format!("--socket={}", socket.display()))
            // A starting MariaDB deletes the temporary tables of every other one in the same folder.
            .arg(format!("--tmpdir={}", folder.path().display()))
            .arg(format!(
                "--pid-file={}",
                folder.path().join("pid").display()
            ))
            .arg(format!(
                "--log-error={}",
                folder.path().join("log").display()
            ))
            .arg(format!("--server-id={}", u32::from(port).max(1)))
            .args([
                "--log-bin=binlog",
                "--relay-log=relay",
                "--skip-name-resolve",
                "--performance-schema=OFF",
            ])
            .args(["--binlog-format=ROW", "--innodb-buffer-pool-size=16M"])
            .stderr(Stdio::null());
        command.args(match kind.family {
            Family::MySql56 => &[
                "--gtid-mode=ON",
                "--enforce-gtid-consistency",
                "--log-slave-updates",
                "--innodb-use-native-aio=0",
            ][..],
            Family::MySql => &[
                "--gtid-mode=ON",
                "--enforce-gtid-consistency=ON",
                "--mysqlx=OFF",
            ],
            Family::MariaDb => &["--log-slave-updates", "--innodb-use-native-aio=0"],
        });
        if kind.family == Family::MySql {
            command.arg(format!(
                "--plugin-dir={}",
                kind.base.join("lib/mysql/plugin").display()
            ));
        }
        if port == 0 {
            command.arg("--skip-networking");
        } else {
            command.args([format!("--port={port}"), "--bind-address=127.0.0.1".into()]);
        }
        command.args(options);
        let process = command.spawn().unwrap();
        let mut server = Self {
            kind: kind.clone(),
            socket,
            port,
            process,
            _folder: folder,
        };
        server.wait_until_it_answers();
        server
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Deadline::after(PATIENCE);
        let mut pauses = Pauses::up_to(Duration::from_millis(50));
        while let Err(error) = Contact::open(&self.target("root", None), Deadline::after(PATIENCE))
        {
            let log = || fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
            assert!(
                self.process.try_wait().unwrap().is_none(),
                "{} ended: {}",
                self.kind.name,
                log()
            );
            assert!(
                pauses.wait(deadline),
                "{} does not answer: {error}: {}",
                self.kind.name,
                log()
            );
        }
    }

    pub fn target(&self, user: &str, password: Option<&str>) -> Target {
        Target {
            endpoint: Endpoint::Socket(self.socket.clone()),
            user: user.into(),
            password: password.map(|text| serde_json::from_value(text.into()).unwrap()),
            encryption: None,
        }
    }

    /// The suite's account, over the socket.
    pub fn local(&self) -> Target {
        self.target("keepalived", Some(PASSWORD))
    }

    /// The suite's account, over TCP as another node has it.
    pub fn peer(&self) -> Target {
        Target {
            endpoint: Endpoint::Tcp("127.0.0.1".parse().unwrap(), self.port),
            ..self.local()
        }
    }

    pub fn root(&self) -> Contact {
        connect(&self.target("root", None))
    }

    /// Accounts and tables as the examples make them.
    pub fn grant(&self) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/grants")
            .join(self.kind.grants);
        let sql = fs::read_to_string(file).unwrap();
        run(&mut self.root(), &sql).unwrap_or_else(|error| panic!("{}: {error}", self.kind.name));
    }

    /// An application's account without privileges of its own over the schema `shop`.
    pub fn application(&self) -> Target {
        let make = match self.kind.family {
            Family::MySql56 => "GRANT ALL ON shop.* TO app@localhost IDENTIFIED BY 'app'",
            _ => {
                "CREATE USER app@localhost IDENTIFIED BY 'app'; GRANT ALL ON shop.* TO app@localhost"
            }
        };
        let sql = format!("SET SESSION sql_log_bin = 0; {make}");
        run(&mut self.root(), &sql).unwrap();
        run(
            &mut self.root(),
            "CREATE DATABASE shop; CREATE TABLE shop.t (a INT PRIMARY KEY) ENGINE = InnoDB",
        )
        .unwrap();
        self.target("app", Some("app"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The pid is ours until it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn connect(target: &Target) -> Contact {
    Contact::open(target, Deadline::after(PATIENCE)).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs one or more statements.
pub fn run(contact: &mut Contact, sql: &str) -> Result<(), ServerError> {
    contact
        .session
        .run(sql, Deadline::after(PATIENCE))
        .map(drop)
}

pub fn rows(contact: &mut Contact, sql: &str) -> Vec<Row> {
    contact
        .session
        .rows(sql, Deadline::after(PATIENCE))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The first cell of the last statement's answer.
pub fn cell(contact: &mut Contact, sql: &str) -> Option<String> {
    rows(contact, sql).first()?.at(0).map(str::to_owned)
}

/// Waits until `holds`; `what` tells what it waited for.
pub fn wait_until<T: std::fmt::Display>(what: impl Fn() -> T, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::after(PATIENCE);
    let mut pauses = Pauses::up_to(Duration::from_millis(20));
    while !holds() {
        assert!(pauses.wait(deadline), "not in {PATIENCE:?}: {}", what());
    }
}
