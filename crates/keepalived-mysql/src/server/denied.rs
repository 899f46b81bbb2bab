//! A refusal for want of a privilege, or of an account, said so that a DBA can mend it.

use std::fmt;

use super::dialect::{Dialect, Grant, quoted};

/// What a server would not let an account do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Which server.
    pub endpoint: String,
    /// `user@host` as the server knows the account; only the user where it let nobody in.
    pub account: String,
    /// The statement, without secrets; none where the account was not let in.
    pub statement: Option<String>,
    /// The server's error number.
    pub code: u16,
    /// SQLSTATE.
    pub state: String,
    /// The server's own words.
    pub message: String,
    /// What would have to be granted, where the table of privileges knows it.
    pub needs: Option<Grant>,
    /// The file with all grants for this server, if its product is known.
    pub grants_file: Option<&'static str>,
}

/// Codes for a missing privilege: on a schema, a table, a column or a routine, for an operation, for
/// another account's session (1095), or for writing into a closed server (1290). 1045 stands for a
/// missing SUPER when MySQL 5.6 and 5.7 stop or start replication.
const PRIVILEGE: [u16; 8] = [1044, 1045, 1095, 1142, 1143, 1227, 1290, 1370];

/// Codes for an account that is not let in: password, host, locked, expired, socket authentication.
const ACCOUNT: [u16; 8] = [1045, 1130, 1698, 1862, 2059, 3118, 3955, 4151];

impl Denied {
    /// Whether `code` says that a statement was refused for want of a privilege. Error 1290 also
    /// stands for other server options; only the read-only ones are about privileges.
    pub fn is_privilege(code: u16, message: &str) -> bool {
        PRIVILEGE.contains(&code) && (code != 1290 || message.contains("read-only"))
    }

    /// Whether `code` says that an account was not let in.
    pub fn is_account(code: u16) -> bool {
        ACCOUNT.contains(&code)
    }

    /// What went wrong, in one sentence.
    pub fn what(&self) -> String {
        match &self.statement {
            Some(statement) => format!(
                "{} may not run {statement} on {}",
                self.account, self.endpoint
            ),
            None => format!("{} does not let {} in", self.endpoint, self.account),
        }
    }

    /// The server's own words, and what the statement needs.
    pub fn detail(&self) -> String {
        let said = format!(
            "the server says error {} ({}): {}",
            self.code, self.state, self.message
        );
        match self.needs {
            Some(grant) => format!("{said}; the statement needs {}", grant.privilege),
            None => said,
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        let file = self.grants_file.unwrap_or("examples/grants");
        if self.statement.is_none() {
            return match self.code {
                1130 => format!("create the account for this host on that server, as {file} does"),
                1862 => "give the account a password that does not expire (ALTER USER ... PASSWORD EXPIRE NEVER)".into(),
                3118 | 4151 => "unlock the account (ALTER USER ... ACCOUNT UNLOCK)".into(),
                _ => format!("compare [accounts] of the configuration with the account on that server ({file})"),
            };
        }
        match self.needs {
            Some(Grant { privilege, on }) => {
                format!(
                    "GRANT {privilege} ON {on} TO {}",
                    sql_account(&self.account)
                )
            }
            None => format!("compare the account's grants with {file}"),
        }
    }

    /// The refusal of `statement` to `account`.
    pub fn statement(
        endpoint: &str,
        dialect: &Dialect,
        account: &str,
        statement: &str,
        (code, state, message): (u16, &str, &str),
    ) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            account: account.to_owned(),
            statement: Some(short(statement)),
            code,
            state: state.to_owned(),
            message: message.to_owned(),
            needs: dialect.needed(statement, code),
            grants_file: Some(dialect.grants_file()),
        }
    }

    /// The refusal to let `user` in.
    pub fn login(endpoint: &str, user: &str, (code, state, message): (u16, &str, &str)) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            account: user.to_owned(),
            statement: None,
            code,
            state: state.to_owned(),
            message: message.to_owned(),
            needs: None,
            grants_file: None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what(), self.detail(), self.hint())
    }
}

/// `user@host` as SQL; a user name may contain `@`, a host cannot.
fn sql_account(account: &str) -> String {
    match account.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quoted(user), quoted(host)),
        None => quoted(account),
    }
}

/// A statement as far as it says what is done, without secrets: to its first value or list.
fn short(statement: &str) -> String {
    let masked = super::masked::masked(statement.trim());
    let end = masked
        .find(" = (")
        .or_else(|| masked.find(" WHERE "))
        .or_else(|| masked.find(" TO "))
        .unwrap_or(masked.len());
    let mut text: String = masked[..end].chars().take(80).collect();
    if end > text.len() {
        text.push('…');
    }
    text
}

/// The statement of a text of several, by its place; the whole text if there is none there.
pub fn statement_at(sql: &str, index: usize) -> &str {
    let mut from = 0;
    let mut quote = None;
    let mut escaped = false;
    let mut count = 0;
    for (at, c) in sql.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, ';') if count == index => return sql[from..at].trim(),
            (None, ';') => {
                count += 1;
                from = at + 1;
            }
            _ => {}
        }
    }
    if count == index {
        sql[from..].trim()
    } else {
        sql.trim()
    }
}

#[cfg(test)]
mod tests;
