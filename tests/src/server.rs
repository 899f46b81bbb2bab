//! The database servers that a lab can be made of: where they lie, and which words they understand.

mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};

/// Names the server that labs are made of when nothing else is said.
const CHOICE: &str = "LAB_SERVER";
/// The folder of `tests/servers/fetch`.
const FETCHED: &str = "LAB_SERVERS";

/// One of the servers that the suite is proven on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// Debian 12's own, installed.
    MariaDb1011,
    /// Debian 13's, fetched.
    MariaDb118,
    /// Debian 11's, fetched.
    MariaDb105,
    /// Debian unstable's, fetched.
    MySql97,
    /// From the npm registry, fetched.
    MySql56,
}

impl Server {
    /// All of them, the most used first.
    pub const ALL: [Self; 5] = [
        Self::MariaDb1011,
        Self::MySql97,
        Self::MariaDb118,
        Self::MariaDb105,
        Self::MySql56,
    ];

    /// The server of `LAB_SERVER`, else the installed one.
    ///
    /// # Panics
    /// When the variable names none: a test that ran on another server than asked for would show nothing.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(CHOICE) {
            Ok(name) => match name.parse() {
                Ok(server) => server,
                Err(error) => panic!("{CHOICE}: {error}"),
            },
            Err(_) => Self::MariaDb1011,
        }
    }

    /// As `--server` and the fetched folders name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb1011 => "mariadb-10.11",
            Self::MariaDb118 => "mariadb-11.8",
            Self::MariaDb105 => "mariadb-10.5",
            Self::MySql97 => "mysql-9.7",
            Self::MySql56 => "mysql-5.6",
        }
    }

    /// Whether it is a MariaDB.
    #[must_use]
    pub fn is_mariadb(self) -> bool {
        !matches!(self, Self::MySql97 | Self::MySql56)
    }

    /// The server's program.
    #[must_use]
    pub fn program(self) -> PathBuf {
        match self {
            Self::MariaDb1011 => "/usr/sbin/mariadbd".into(),
            Self::MariaDb118 | Self::MariaDb105 => self.root().join("usr/sbin/mariadbd"),
            Self::MySql97 => self.root().join("usr/sbin/mysqld"),
            Self::MySql56 => self.root().join("server/mysqld"),
        }
    }

    /// The tool that decodes its binary log: 10.11's reads neither 11.8's nor 9.7's, and 5.6's
    /// package has none of its own.
    #[must_use]
    pub fn binlog_tool(self) -> PathBuf {
        match self {
            Self::MariaDb1011 | Self::MariaDb105 | Self::MySql56 => {
                "/usr/bin/mariadb-binlog".into()
            }
            Self::MariaDb118 => self.root().join("usr/bin/mariadb-binlog"),
            Self::MySql97 => self.root().join("usr/bin/mysqlbinlog"),
        }
    }

    /// Why no lab can be made of it here, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let programs = [self.program(), self.binlog_tool()];
        let absent = programs.iter().find(|path| !path.exists())?;
        let remedy = match self {
            Self::MariaDb1011 => "run make setup".to_owned(),
            _ => format!("run tests/servers/fetch {self}"),
        };
        Some(format!("{} is missing: {remedy}", absent.display()))
    }

    /// The unpacked packages.
    fn root(self) -> PathBuf {
        let folder = std::env::var_os(FETCHED).map_or_else(
            || {
                let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
                let cache = std::env::var_os("XDG_CACHE_HOME")
                    .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
                cache.join("keepalived-mysql/servers")
            },
            PathBuf::from,
        );
        folder.join(self.name())
    }

    /// Messages and SQL files.
    pub(crate) fn share(self) -> PathBuf {
        match self {
            Self::MariaDb1011 => "/usr/share/mysql".into(),
            Self::MariaDb118 => self.root().join("usr/share/mariadb"),
            Self::MariaDb105 | Self::MySql97 => self.root().join("usr/share/mysql"),
            Self::MySql56 => self.root().join("server/share"),
        }
    }

    /// Where its plugins lie; 5.6's package has none.
    #[must_use]
    pub fn plugins(self) -> Option<PathBuf> {
        match self {
            Self::MariaDb1011 => Some("/usr/lib/mysql/plugin".into()),
            Self::MySql56 => None,
            _ => Some(self.root().join("usr/lib/mysql/plugin")),
        }
    }

    /// The options without which the program does not find its own files.
    pub(crate) fn places(self) -> Vec<String> {
        let mut all = vec![format!("lc_messages_dir={}", self.share().display())];
        if let Some(plugins) = self.plugins() {
            all.push(format!("plugin_dir={}", plugins.display()));
        }
        match self {
            Self::MariaDb1011 => all.clear(),
            Self::MySql56 => all.push(format!("basedir={}", self.root().join("server").display())),
            _ => all.push(format!("basedir={}", self.root().join("usr").display())),
        }
        if self == Self::MySql97 {
            all.push("secure_file_priv=NULL".to_owned());
        }
        all
    }

    /// The file of `examples/grants` with its accounts.
    pub(crate) fn grants(self) -> &'static str {
        match self {
            Self::MySql97 => "mysql-8.sql",
            Self::MySql56 => "mysql-5.6.sql",
            Self::MariaDb105 => "mariadb-10.5.sql",
            _ => "mariadb.sql",
        }
    }

    /// The SQL files that make its system tables.
    pub(crate) fn system_tables(self) -> &'static [&'static str] {
        match self {
            Self::MySql97 => &[],
            Self::MySql56 => &["mysql_system_tables.sql", "mysql_system_tables_data.sql"],
            Self::MariaDb118 => &[
                "mariadb_system_tables.sql",
                "mariadb_system_tables_data.sql",
                "mariadb_performance_tables.sql",
            ],
            _ => &[
                "mysql_system_tables.sql",
                "mysql_system_tables_data.sql",
                "mysql_performance_tables.sql",
            ],
        }
    }

    /// What it would otherwise start beside the database.
    pub(crate) fn quiet(self) -> &'static [&'static str] {
        match self {
            Self::MySql97 => &["--mysqlx=OFF"],
            _ => &[],
        }
    }

    /// The lines of my.cnf that give it semi-synchronous replication, switched off.
    pub(crate) fn semi_sync_options(self) -> Vec<String> {
        match self {
            Self::MySql97 => vec![
                "plugin_load_add = semisync_source.so".to_owned(),
                "plugin_load_add = semisync_replica.so".to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// Small files. The shape of the tablespace must be the same at every start.
    pub(crate) fn innodb(self) -> Vec<String> {
        let (space, log) = match self {
            Self::MySql97 => ("5M", "innodb_redo_log_capacity=8M"),
            Self::MySql56 => ("12M", "innodb_log_file_size=4M"),
            _ => ("3M", "innodb_log_file_size=4M"),
        };
        let mut all = vec![
            format!("innodb_data_file_path=ibdata1:{space}:autoextend"),
            "innodb_autoextend_increment=1".to_owned(),
            log.to_owned(),
        ];
        if self == Self::MariaDb118 {
            all.push("innodb_undo_tablespaces=0".to_owned());
        }
        all
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|server| server.name() == text) {
            Some(server) => Ok(server),
            None => {
                let known: Vec<&str> = Self::ALL.iter().map(|server| server.name()).collect();
                bail!("no server is called {text:?}; known: {}", known.join(", "))
            }
        }
    }
}
