//! Every SQL statement that differs by server and version, in one place.
//!
//! Nothing outside this room spells a statement or a variable that one of the supported servers does
//! not know: MySQL 5.6, 5.7, 8.0, 8.4 and 9.x, MariaDB 10.5 and newer. [`words`] is the table, by
//! purpose, product and version; the other files fill it in. What a server can be asked for, by
//! [`Dialect::ASK`], is asked and not guessed from its version.

mod access;
pub mod events;
mod known;
mod privileges;
mod questions;
mod replication;
mod semi_sync;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use known::Known;
pub use privileges::Grant;
pub use replication::{Source, Start};
use words::{Purpose, TABLE};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// MariaDB Server.
    MariaDb,
    /// Oracle's or Percona's MySQL.
    MySql,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// The words that one server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Whose server it is.
    pub product: Product,
    /// Major, minor and patch number.
    pub version: (u16, u16, u16),
    /// Which of the variables that not every server has it knows.
    pub known: Known,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        write!(f, "{} {major}.{minor}.{patch}", self.product)
    }
}

impl Dialect {
    /// What is assumed in a printed plan for a server that cannot be asked.
    pub const UNKNOWN: Self = Self {
        product: Product::MariaDb,
        version: (10, 11, 0),
        known: Known::MARIADB,
    };

    /// What a session of ours begins with, in one round trip: settings that a server may have
    /// otherwise, then what [`Dialect::parse`] reads. With `autocommit = 0` every look would stay in
    /// one old snapshot, and `NO_BACKSLASH_ESCAPES` would change what our literals mean.
    /// `CURRENT_USER()` is the account that the server matched, for messages about its privileges.
    pub const ASK: &'static str = "SET SESSION autocommit = 1, SESSION sql_mode = 'STRICT_ALL_TABLES'; \
         SELECT VERSION(), @@version_comment, CURRENT_USER(); \
         SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'super_read_only', \
         'log_replica_updates', 'replica_net_timeout', 'offline_mode', \
         'rpl_semi_sync_master_enabled', 'rpl_semi_sync_source_enabled')";

    /// Reads `VERSION()` and `@@version_comment`. None for a version that is not three numbers.
    ///
    /// The handshake is no use here: MariaDB before 11 says `5.5.5-` in it.
    pub fn parse(version: &str, comment: &str, known: Known) -> Option<Self> {
        let mut numbers = version
            .split(['.', '-'])
            .map(|part| part.parse::<u16>().ok());
        let version_numbers = (numbers.next()??, numbers.next()??, numbers.next()??);
        let text = format!("{version} {comment}").to_ascii_lowercase();
        let product = if text.contains("mariadb") {
            Product::MariaDb
        } else {
            Product::MySql
        };
        Some(Self {
            product,
            version: version_numbers,
            known,
        })
    }

    /// The file of `examples/grants` that makes accounts and tables for this server.
    pub fn grants_file(&self) -> &'static str {
        self.words(Purpose::GrantsFile)
    }

    fn mariadb(&self) -> bool {
        self.product == Product::MariaDb
    }

    /// The first line of the table for `purpose` that this server is in; empty if it is in none.
    fn words(&self, purpose: Purpose) -> &'static str {
        TABLE
            .iter()
            .filter(|(of, _)| *of == purpose)
            .flat_map(|(_, lines)| *lines)
            .find(|(servers, _)| servers.include(self))
            .map_or("", |(_, words)| *words)
    }

    /// The words for `purpose`, about `channel`.
    ///
    /// On MySQL the default channel is named too: without a name STOP, START and RESET are about all
    /// channels, and CHANGE is refused where there are several (error 3079; tests/real_servers,
    /// `ours_is_stopped_and_forgotten_and_the_other_one_runs_on`). On MariaDB no name is the default.
    fn about(&self, purpose: Purpose, channel: &str) -> String {
        self.filled(purpose, channel, "")
    }

    /// The same with options. Only the table's own text is searched for places to fill.
    fn filled(&self, purpose: Purpose, channel: &str, options: &str) -> String {
        let named = match (self.mariadb(), self.has_channels()) {
            (true, _) if channel.is_empty() => String::new(),
            (true, _) => format!(" {}", quoted(channel)),
            (false, false) => String::new(),
            (false, true) => format!(" FOR CHANNEL {}", quoted(channel)),
        };
        let parts: Vec<String> = self
            .words(purpose)
            .split("{channel}")
            .map(|part| part.replace("{options}", options))
            .collect();
        parts.join(&named)
    }
}

/// A text as an SQL string literal.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests;
