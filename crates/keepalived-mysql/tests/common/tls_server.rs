//! One real server on 127.0.0.1, in a folder of its own.
#![allow(dead_code)]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keepalived_mysql::config::{Secret, TlsMode};
use keepalived_mysql::deadline::{Deadline, Pauses};
use keepalived_mysql::server::connection::{Endpoint, ServerError, Session, Target};
use tempfile::TempDir;

#[path = "fetched.rs"]
mod fetched;

/// Every way in which a connection may be encrypted.
pub const MODES: [TlsMode; 5] = [
    TlsMode::Disabled,
    TlsMode::Preferred,
    TlsMode::Required,
    TlsMode::VerifyCa,
    TlsMode::VerifyIdentity,
];

/// What the tests call a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The installed MariaDB.
    MariaDb,
    /// MariaDB 10.5, if `tests/servers/fetch` brought it.
    MariaDb105,
    /// MariaDB 11.8, if `tests/servers/fetch` brought it.
    MariaDb118,
    /// MySQL 9.7, if `tests/servers/fetch` brought it.
    MySql97,
    /// MySQL 5.6, if `tests/servers/fetch` brought it.
    MySql56,
}

impl Kind {
    fn root(self) -> PathBuf {
        let cache = fetched::folder();
        match self {
            Self::MariaDb => PathBuf::from("/"),
            Self::MariaDb105 => cache.join("mariadb-10.5"),
            Self::MariaDb118 => cache.join("mariadb-11.8"),
            Self::MySql97 => cache.join("mysql-9.7"),
            Self::MySql56 => cache.join("mysql-5.6/server"),
        }
    }

    fn program(self) -> PathBuf {
        self.root().join(match self {
            Self::MariaDb | Self::MariaDb105 | Self::MariaDb118 => "usr/sbin/mariadbd",
            Self::MySql97 => "usr/sbin/mysqld",
            Self::MySql56 => "mysqld",
        })
    }

    fn share(self) -> PathBuf {
        self.root().join(match self {
            Self::MariaDb | Self::MariaDb105 | Self::MySql97 => "usr/share/mysql",
            Self::MariaDb118 => "usr/share/mariadb",
            Self::MySql56 => "share",
        })
    }

    /// The folder of its plugins, where it is not the one that the server was built with.
    fn plugins(self) -> PathBuf {
        self.root().join(match self {
            Self::MySql56 => "lib/plugin",
            _ => "usr/lib/mysql/plugin",
        })
    }

    /// Whether it is MariaDB.
    pub fn is_mariadb(self) -> bool {
        matches!(self, Self::MariaDb | Self::MariaDb105 | Self::MariaDb118)
    }

    /// The flag of a server without TLS.
    pub fn no_tls(self) -> String {
        match self {
            Self::MySql97 => "--tls-version=".to_owned(),
            _ => "--skip-ssl".to_owned(),
        }
    }

    /// The flags of every start, the first included.
    fn flags(self) -> Vec<String> {
        let mut flags = vec![
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            "--performance-schema=OFF".to_owned(),
            format!("--lc-messages-dir={}", self.share().display()),
        ];
        let small: &[&str] = match self {
            Self::MySql97 => &[
                "--innodb-redo-log-capacity=8M",
                "--innodb-buffer-pool-size=16M",
                "--innodb-data-file-path=ibdata1:5M:autoextend",
                "--innodb-autoextend-increment=1",
                "--innodb-doublewrite=OFF",
                "--mysqlx=OFF",
                "--secure-file-priv=",
            ],
            Self::MySql56 => &[
                "--innodb-data-file-path=ibdata1:12M:autoextend",
                "--innodb-log-file-size=4M",
                "--innodb-use-native-aio=0",
            ],
            Self::MariaDb | Self::MariaDb105 => &[
                "--innodb-data-file-path=ibdata1:3M:autoextend",
                "--innodb-log-file-size=4M",
                "--innodb-use-native-aio=0",
            ],
            Self::MariaDb118 => &[
                "--innodb-data-file-path=ibdata1:3M:autoextend",
                "--innodb-log-file-size=4M",
                "--innodb-use-native-aio=0",
                "--innodb-undo-tablespaces=0",
            ],
        };
        flags.extend(small.iter().map(|flag| (*flag).to_owned()));
        if self != Self::MariaDb {
            let base = if self == Self::MySql56 { "" } else { "usr" };
            flags.push(format!("--basedir={}", self.root().join(base).display()));
            flags.push(format!("--plugin-dir={}", self.plugins().display()));
        }
        flags
    }

    /// The statements that make the system tables, where the server does not make them itself.
    fn system_tables(self) -> Option<String> {
        let files: &[&str] = match self {
            Self::MySql97 => return None,
            Self::MySql56 => &["mysql_system_tables.sql", "mysql_system_tables_data.sql"],
            Self::MariaDb | Self::MariaDb105 => &[
                "mysql_system_tables.sql",
                "mysql_system_tables_data.sql",
                "mysql_performance_tables.sql",
            ],
            Self::MariaDb118 => &[
                "mariadb_system_tables.sql",
                "mariadb_system_tables_data.sql",
                "mariadb_performance_tables.sql",
            ],
        };
        let mut sql = String::from(
            "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n",
        );
        if self == Self::MySql56 {
            sql = "use mysql;\n".to_owned();
        }
        for file in files {
            sql.push_str(&fs::read_to_string(self.share().join(file)).expect(file));
        }
        Some(sql)
    }
}

/// A data folder and, while it runs, the server on it. Dropped, nothing of it is left.
pub struct Server {
    kind: Kind,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Makes a data folder; none, with the reason printed, where this server is not to be had.
    pub fn new(kind: Kind) -> Option<Self> {
        if !kind.program().exists() {
            eprintln!(
                "SKIPPED: {} is missing; tests/servers/fetch brings it",
                kind.program().display()
            );
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("kmt-")
            .tempdir()
            .expect("folder");
        let mut server = Self {
            kind,
            folder,
            port: 0,
            child: None,
        };
        server.initialise();
        Some(server)
    }

    fn initialise(&mut self) {
        let data = self.data();
        fs::create_dir(&data).expect("data");
        fs::create_dir(self.path("tmp")).expect("tmp");
        let mut command = Command::new(self.kind.program());
        command.args(self.kind.flags());
        command.args(self.folders());
        let log = self.path("initialise.log");
        let errors = File::create(&log).expect("log");
        command
            .stdout(errors.try_clone().expect("log"))
            .stderr(errors);
        if let Some(sql) = self.kind.system_tables() {
            if self.kind == Kind::MySql56 {
                for folder in ["mysql", "performance_schema"] {
                    fs::create_dir(data.join(folder)).expect(folder);
                }
            }
            let input = self.path("initialise.sql");
            fs::write(&input, sql).expect("statements");
            command.args([
                "--bootstrap",
                "--max_allowed_packet=8M",
                "--net_buffer_length=16K",
            ]);
            command.stdin(File::open(input).expect("statements"));
        } else {
            command.arg("--initialize-insecure").stdin(Stdio::null());
        }
        let status = command.status().expect("initialise");
        assert!(
            status.success(),
            "{}",
            fs::read_to_string(log).unwrap_or_default()
        );
    }

    /// A path in the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder for temporary tables too: a server that starts removes those of others in it.
    fn folders(&self) -> [String; 2] {
        [
            format!("--datadir={}", self.data().display()),
            format!("--tmpdir={}", self.path("tmp").display()),
        ]
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.path("sock")
    }

    /// Its TCP port, while it runs.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// (Re)starts it with these flags besides, and waits until it answers.
    pub fn start(&mut self, flags: &[String]) {
        self.stop();
        self.port = free_port();
        let log = File::create(self.path("server.log")).expect("log");
        // The kernel ends the server with the test, however that ends.
        let mut command = Command::new("/usr/bin/setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.kind.program());
        command
            .args(self.kind.flags())
            .args(self.folders())
            .args([
                format!("--socket={}", self.socket().display()),
                format!("--pid-file={}", self.path("pid").display()),
                format!("--port={}", self.port),
                "--bind-address=127.0.0.1".to_owned(),
                "--skip-name-resolve".to_owned(),
            ])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log);
        self.child = Some(command.spawn().expect("start the server"));
        let deadline = Deadline::after(Duration::from_secs(60));
        let mut pauses = Pauses::up_to(Duration::from_millis(50));
        while self.try_root("SELECT 1").is_err() {
            let ended = self
                .child
                .as_mut()
                .expect("child")
                .try_wait()
                .expect("wait");
            assert!(
                ended.is_none() && pauses.wait(deadline),
                "the server does not start: {}",
                self.log()
            );
        }
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it logged since it started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    fn try_root(&self, sql: &str) -> Result<String, ServerError> {
        let deadline = Deadline::after(Duration::from_secs(20));
        let mut session = Session::connect(&self.root_target(), deadline)?;
        let answers = session.run(sql, deadline)?;
        let last = answers.last().and_then(|answer| answer.rows.first());
        let value = last.and_then(|row| row.at(0)).unwrap_or_default();
        Ok(value.to_owned())
    }

    /// As root over the socket.
    pub fn root_target(&self) -> Target {
        Target {
            endpoint: Endpoint::Socket(self.socket()),
            user: "root".into(),
            password: None,
            encryption: None,
        }
    }

    /// A session as root over the socket.
    pub fn session(&self) -> Session {
        let deadline = Deadline::after(Duration::from_secs(20));
        Session::connect(&self.root_target(), deadline).expect("a session of root")
    }

    /// Statements as root over the socket: the first value of the last one.
    pub fn root(&self, sql: &str) -> String {
        self.try_root(sql).expect(sql)
    }

    /// Over TCP, as an account with the password "secret", in clear text.
    pub fn target(&self, user: &str) -> Target {
        Target {
            endpoint: Endpoint::Tcp([127, 0, 0, 1].into(), self.port),
            user: user.into(),
            password: Some(Secret::new("secret")),
            encryption: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        self.stop();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("address").port()
}
