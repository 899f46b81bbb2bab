//! The database accounts and their secrets.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{ConfigError, ConfigErrorKind};
use super::option_file::parse_client;
use super::source::Source;
use crate::message::Message;
use crate::sys;

/// A password. No way of printing it shows it; [`Secret::expose`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keep `text` secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Only for the connection or the statement that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of a value, because serde's own type error would repeat it.
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a password must be a text in quotes")),
        }
    }
}

/// A database account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// User name, not empty.
    pub user: String,
    /// Password; `None` = socket authentication, for the local account only.
    pub password: Option<Secret>,
}

/// `[accounts]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// For this node's own server, over its socket.
    pub local: Account,
    /// For the other nodes' servers, over TCP. Default: as `local`.
    pub peer: Account,
    /// What `CHANGE ... SOURCE` is given.
    pub replication: Account,
}

/// Who may read the configuration file itself.
#[derive(Clone, Copy)]
pub(super) struct FileMode {
    mode: u32,
    gid: u32,
}

impl FileMode {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            mode: metadata.mode(),
            gid: metadata.gid(),
        }
    }

    /// Whether a password in the file is open to others. The group root may read it.
    fn open_to_others(self) -> bool {
        self.mode & 0o004 != 0 || (self.mode & 0o040 != 0 && self.gid != 0)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccounts {
    local: RawAccount,
    peer: Option<RawAccount>,
    replication: RawAccount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    defaults_file: Option<PathBuf>,
}

impl RawAccounts {
    /// Read the password files.
    ///
    /// # Errors
    /// When one cannot be read or is open to others, or when an account that is used over TCP has
    /// no password.
    pub(super) fn resolve(
        self,
        source: &Source<'_>,
        mode: FileMode,
    ) -> Result<Accounts, ConfigError> {
        let reader = Reader { source, mode };
        let local = reader.account("local", self.local)?;
        let peer = match self.peer {
            Some(raw) => reader.with_password("peer", raw)?,
            None if local.password.is_none() => return Err(reader.peer_missing()),
            None => local.clone(),
        };
        let replication = reader.with_password("replication", self.replication)?;
        Ok(Accounts {
            local,
            peer,
            replication,
        })
    }
}

/// # Errors
/// When anybody but its owner can read or write the file at `path`; `at` is where it is named.
pub(super) fn refuse_open_secret(
    at: &str,
    path: &Path,
    metadata: &Metadata,
) -> Result<(), ConfigError> {
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let error = format!("{at}: others can read {}", path.display());
    let message = Message::new(error)
        .detail(format!("its mode is {mode:04o}"))
        .hint(format!("chmod 0600 {}", path.display()));
    Err(ConfigError::new(ConfigErrorKind::Permissions, message))
}

struct Reader<'a> {
    source: &'a Source<'a>,
    mode: FileMode,
}

impl Reader<'_> {
    fn account(&self, name: &str, raw: RawAccount) -> Result<Account, ConfigError> {
        self.refuse_two_forms(name, &raw)?;
        let (file_user, password) = self.password(name, &raw)?;
        let user = raw.user.or(file_user).unwrap_or_default();
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(self.rule(name, "user", "needs a user", "set 'user'"));
        }
        Ok(Account { user, password })
    }

    fn with_password(&self, name: &str, raw: RawAccount) -> Result<Account, ConfigError> {
        let account = self.account(name, raw)?;
        if account.password.is_some() {
            return Ok(account);
        }
        Err(self.rule(
            name,
            "user",
            "needs a password: it is used over TCP, where socket authentication cannot work",
            "set 'password_file'",
        ))
    }

    fn refuse_two_forms(&self, name: &str, raw: &RawAccount) -> Result<(), ConfigError> {
        let forms = [
            raw.password.is_some(),
            raw.password_file.is_some(),
            raw.defaults_file.is_some(),
        ];
        if forms.into_iter().filter(|given| *given).count() < 2 {
            return Ok(());
        }
        Err(self.rule(
            name,
            "password",
            "has more than one of 'password', 'password_file' and 'defaults_file'",
            "keep one of them",
        ))
    }

    /// The user, if the option file names one, and the password, if there is one.
    fn password(
        &self,
        name: &str,
        raw: &RawAccount,
    ) -> Result<(Option<String>, Option<Secret>), ConfigError> {
        if let Some(secret) = &raw.password {
            self.refuse_open_config(name)?;
            self.refuse_empty(name, "password", secret.expose())?;
            return Ok((None, Some(secret.clone())));
        }
        if let Some(path) = &raw.password_file {
            let text = self.read_secret(name, "password_file", path)?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.refuse_empty(name, "password_file", line)?;
            return Ok((None, Some(Secret::new(line))));
        }
        if let Some(path) = &raw.defaults_file {
            let client = parse_client(&self.read_secret(name, "defaults_file", path)?);
            let password = client.password.unwrap_or_default();
            self.refuse_empty(name, "defaults_file", &password)?;
            return Ok((client.user, Some(Secret::new(password))));
        }
        Ok((None, None))
    }

    fn refuse_empty(&self, name: &str, key: &str, password: &str) -> Result<(), ConfigError> {
        let (what, hint) = if password.is_empty() {
            ("gives no password", "write the password into it")
        } else if password.chars().any(|c| matches!(c, '\n' | '\r' | '\0')) {
            (
                "gives a password of more than one line",
                "the file holds the password on one line and nothing else",
            )
        } else {
            return Ok(());
        };
        Err(self.rule(name, key, &format!("'{key}' {what}"), hint))
    }

    fn refuse_open_config(&self, name: &str) -> Result<(), ConfigError> {
        if !self.mode.open_to_others() {
            return Ok(());
        }
        let path = self.source.path.display();
        let error = format!(
            "{}: the file holds a password and others can read it",
            self.source.at(&format!("accounts.{name}.password"))
        );
        let message = Message::new(error)
            .detail(format!("its mode is {:04o}", self.mode.mode & 0o7777))
            .hint(format!("chmod 0600 {path}, or use 'password_file'"));
        Err(ConfigError::new(ConfigErrorKind::Permissions, message))
    }

    fn read_secret(&self, name: &str, key: &str, path: &Path) -> Result<String, ConfigError> {
        let at = self.source.at(&format!("accounts.{name}.{key}"));
        if !path.is_absolute() {
            let problem = format!("'{key}' is not an absolute path");
            return Err(self.rule(name, key, &problem, "write the whole path"));
        }
        let read = sys::read_regular(path, 64 * 1024);
        let (text, metadata) = read.map_err(|why| {
            let what = format!("the '{key}' of accounts.{name} ({at}):");
            let hint = "the programs run as keepalived's script_user: check that the file exists and this user can read it";
            ConfigError::unreadable(&what, path, &why, hint)
        })?;
        refuse_open_secret(&at, path, &metadata)?;
        Ok(text)
    }

    fn rule(&self, name: &str, key: &str, problem: &str, hint: &str) -> ConfigError {
        let at = self.source.at(&format!("accounts.{name}.{key}"));
        let message = Message::new(format!("{at}: accounts.{name} {problem}")).hint(hint);
        ConfigError::rule(message)
    }

    fn peer_missing(&self) -> ConfigError {
        let at = self.source.at("accounts.peer");
        let error = format!(
            "{at}: accounts.peer is missing: accounts.local uses socket authentication, which cannot reach another node"
        );
        let hint = "add [accounts.peer] with a user and a password_file";
        ConfigError::rule(Message::new(error).hint(hint))
    }
}
