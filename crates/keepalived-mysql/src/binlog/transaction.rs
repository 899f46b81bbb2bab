//! Where a transaction begins and where it is whole.

use crate::binlog::event::{Gtid, RawEvent, kind};

/// How a transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub gtid: Gtid,
    /// The server that committed it first.
    pub server_id: u32,
    /// When, in seconds since 1970.
    pub time: u32,
}

/// What one event is to the transactions around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// A transaction that was under way ended here without being whole.
    pub broken: bool,
    /// What the event itself is.
    pub place: Place,
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Between transactions: the server's own bookkeeping.
    Outside,
    /// In one.
    Inside {
        /// The transaction, if this is its first event.
        begins: Option<Head>,
        /// Whether this is its last one.
        ends: bool,
    },
}

/// What is still due before a transaction is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing has begun.
    Nothing,
    /// A statement: BEGIN, or one that stands alone.
    Statement,
    /// Its COMMIT.
    Commit,
}

/// Cuts a stream of events into transactions.
///
/// A transaction ends with its Xid, its COMMIT or ROLLBACK, its XA PREPARE, MySQL's compressed
/// payload, or, where it has no BEGIN, with its one statement (DDL, XA COMMIT, XA ROLLBACK).
#[derive(Debug)]
pub struct Splitter(Due);

impl Default for Splitter {
    fn default() -> Self {
        Self(Due::Nothing)
    }
}

impl Splitter {
    /// Takes the next event of the log.
    pub fn next(&mut self, event: &RawEvent) -> Part {
        let under_way = self.0 != Due::Nothing;
        if event.artificial() {
            return outside(false);
        }
        if event.bookkeeping() {
            self.0 = Due::Nothing;
            return outside(under_way);
        }
        let gtid = event.gtid();
        let numbered = gtid.is_some();
        let begins = (numbered || !under_way).then(|| Head {
            gtid: gtid.unwrap_or(Gtid::None),
            server_id: event.server_id(),
            time: event.time(),
        });
        if begins.is_some() {
            self.0 = match event.opens() {
                true => Due::Commit,
                false => Due::Statement,
            };
        }
        let ends = !numbered && self.ends(event);
        if ends {
            self.0 = Due::Nothing;
        }
        Part {
            broken: numbered && under_way,
            place: Place::Inside { begins, ends },
        }
    }

    /// Whether a transaction is under way.
    pub fn under_way(&self) -> bool {
        self.0 != Due::Nothing
    }

    fn ends(&mut self, event: &RawEvent) -> bool {
        match event.kind() {
            kind::XID | kind::XA_PREPARE | kind::TRANSACTION_PAYLOAD | kind::INCIDENT => true,
            kind::MARIADB_QUERY_COMPRESSED | kind::EXECUTE_LOAD_QUERY => self.0 == Due::Statement,
            kind::QUERY => self.ends_with(&event.statement().unwrap_or_default()),
            // Rows without a BEGIN before them: a COMMIT must come all the same.
            kind::TABLE_MAP => {
                self.0 = Due::Commit;
                false
            }
            _ => false,
        }
    }

    fn ends_with(&mut self, statement: &str) -> bool {
        let text = statement.trim().to_ascii_uppercase();
        if text == "BEGIN" || text.starts_with("XA START") {
            self.0 = Due::Commit;
            return false;
        }
        let whole = ["XA COMMIT", "XA ROLLBACK"];
        self.0 == Due::Statement
            || text == "COMMIT"
            || text == "ROLLBACK"
            || whole.iter().any(|words| text.starts_with(words))
    }
}

fn outside(broken: bool) -> Part {
    Part {
        broken,
        place: Place::Outside,
    }
}
