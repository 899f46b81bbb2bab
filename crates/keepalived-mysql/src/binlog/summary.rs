//! What was salvaged, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::binlog::rows::Changes;
use crate::epoch::Epoch;
use crate::replication::evidence::Lost;
use crate::replication::position::BinlogPosition;
use crate::server::dialect::Product;

/// The file with the transactions.
pub const FILE: &str = "binlog.000001";

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Where it begins in the server's own log.
    pub at: BinlogPosition,
    /// When it was written, in UTC.
    pub time: String,
    /// Its number; empty if it has none.
    pub gtid: String,
    /// Rows that it changed, as far as they could be counted.
    pub rows: u64,
    /// Statements in it beside rows.
    pub statements: u64,
}

/// What was taken out of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Whole transactions.
    pub transactions: u64,
    /// Their numbers, in the server's notation.
    pub found: String,
    /// The first.
    pub first: Option<Stamp>,
    /// The last.
    pub last: Option<Stamp>,
    /// Rows by table.
    pub tables: BTreeMap<String, Changes>,
    /// Statements (DDL, and all if the log is by statement); the first ones, passwords masked.
    pub statements: Vec<String>,
    /// How many there are.
    pub statements_in_all: u64,
    /// XA transactions that were prepared: each changes something only with its XA COMMIT.
    pub prepared: u64,
    /// Numbers that the log should hold and does not.
    pub not_found: Vec<String>,
    /// What was not taken, and why.
    pub left_out: Vec<String>,
    /// Events whose checksum is wrong; they are in the file as they are.
    pub damaged_events: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Up to where the log was read.
    pub scanned_to: Option<BinlogPosition>,
    /// The first transactions, one by one.
    pub list: Vec<Stamp>,
}

/// `summary.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// When it was taken, in UTC.
    pub taken_at: String,
    /// The group.
    pub group: String,
    /// The node that held the transactions.
    pub node: String,
    /// The node that never received them.
    pub source: String,
    /// The epoch under which they were committed.
    pub epoch: Epoch,
    /// Product and version.
    pub server: String,
    /// Whose tools decode the file.
    pub product: Product,
    /// The server's identity.
    pub identity: String,
    /// Its `server_id`.
    pub server_id: u32,
    /// Which transactions were looked for.
    pub lost: Lost,
    /// Where reading began.
    pub scanned_from: BinlogPosition,
    /// What was found.
    #[serde(flatten)]
    pub taken: Taken,
}

impl Taken {
    /// `3 transactions (12 rows in lab.ledger)`.
    pub fn in_short(&self) -> String {
        let plural =
            |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let rows: u64 = self.tables.values().map(Changes::rows).sum();
        let mut what = Vec::new();
        match self.tables.keys().next() {
            Some(table) if self.tables.len() == 1 => {
                what.push(format!("{} in {table}", plural(rows, "row")));
            }
            Some(_) => what.push(format!(
                "{} in {} tables",
                plural(rows, "row"),
                self.tables.len()
            )),
            None => {}
        }
        if self.statements_in_all > 0 {
            what.push(plural(self.statements_in_all, "statement"));
        }
        let what = match what.is_empty() {
            true => String::new(),
            false => format!(" ({})", what.join(", ")),
        };
        format!("{}{what}", plural(self.transactions, "transaction"))
    }

    /// Whether something that is lost is not in the file.
    pub fn complete(&self) -> bool {
        self.not_found.is_empty() && self.damaged_events == 0
    }
}

impl Summary {
    /// Shows the transactions, rows in words.
    pub fn decode(&self, folder: &str) -> String {
        let file = format!("{folder}/{FILE}");
        match self.product {
            Product::MariaDb => {
                format!("mariadb-binlog --no-defaults --base64-output=decode-rows -vv {file}")
            }
            Product::MySql => {
                format!("mysqlbinlog --no-defaults --base64-output=decode-rows -vv {file}")
            }
        }
    }

    /// Commits them again on another server, under new numbers.
    pub fn apply(&self, folder: &str) -> String {
        let file = format!("{folder}/{FILE}");
        match self.product {
            // MariaDB's tool has no option for it; with the old numbers a server with gtid_strict_mode
            // refuses them (error 1950).
            Product::MariaDb => format!(
                "mariadb-binlog --no-defaults {file} | sed '/gtid_seq_no=/d;/SET @@session.server_id=/d' | mariadb"
            ),
            Product::MySql => {
                format!("mysqlbinlog --no-defaults --skip-gtids {file} | mysql")
            }
        }
    }

    /// `summary.txt`.
    pub fn text(&self, folder: &str) -> String {
        let taken = &self.taken;
        let mut out = format!(
            "Transactions that {} committed and {} never received\n\n\
             {} of group {}, taken at {}, committed under epoch {}\n\
             server: {}, server_id {}, {}\n",
            self.node,
            self.source,
            taken.in_short(),
            self.group,
            self.taken_at,
            self.epoch,
            self.server,
            self.server_id,
            self.identity,
        );
        let _ = writeln!(out, "looked for: {}", self.lost);
        let to = taken.scanned_to.as_ref().map(ToString::to_string);
        let to = to.unwrap_or_default();
        let _ = writeln!(out, "read: {} to {to}", self.scanned_from);
        for (word, stamp) in [("first", &taken.first), ("last", &taken.last)] {
            if let Some(stamp) = stamp {
                let _ = writeln!(out, "{word}: {} at {} {}", stamp.time, stamp.at, stamp.gtid);
            }
        }
        if !taken.found.is_empty() {
            let _ = writeln!(out, "numbers: {}", taken.found);
        }
        self.warnings(&mut out);
        self.contents(&mut out);
        self.what_to_do(&mut out, folder);
        out
    }

    fn warnings(&self, out: &mut String) {
        let taken = &self.taken;
        for missing in &taken.not_found {
            let _ = writeln!(
                out,
                "NOT FOUND: {missing}: the binary log of this server does not hold it (any more)"
            );
        }
        for left in &taken.left_out {
            let _ = writeln!(out, "LEFT OUT: {left}");
        }
        if taken.damaged_events > 0 {
            let _ = writeln!(
                out,
                "DAMAGED: {} events have a wrong checksum; they are in the file as they are on the disk",
                taken.damaged_events
            );
        }
        if taken.prepared > 0 {
            let _ = writeln!(
                out,
                "XA: {} transactions were prepared; each changes something only with its XA COMMIT, which is among the statements if it came",
                taken.prepared
            );
        }
    }

    fn contents(&self, out: &mut String) {
        let taken = &self.taken;
        if !taken.tables.is_empty() {
            let _ = writeln!(out, "\nRows by table: inserted, updated, deleted");
        }
        for (table, changes) in &taken.tables {
            let Changes {
                inserted,
                updated,
                deleted,
                uncounted_events,
            } = changes;
            let _ = write!(out, "  {table}: {inserted}, {updated}, {deleted}");
            let _ = match uncounted_events {
                0 => writeln!(out),
                more => writeln!(out, ", and {more} events whose rows could not be counted"),
            };
        }
        if taken.statements_in_all > 0 {
            let _ = writeln!(out, "\nStatements: {}", taken.statements_in_all);
        }
        for statement in &taken.statements {
            let _ = writeln!(out, "  {statement}");
        }
        let _ = writeln!(out, "\nTransactions: {}", taken.transactions);
        for stamp in &taken.list {
            let Stamp {
                at,
                time,
                gtid,
                rows,
                statements,
            } = stamp;
            let _ = writeln!(
                out,
                "  {time} {at} {gtid} rows: {rows}, statements: {statements}"
            );
        }
        let listed = taken.list.len() as u64;
        if taken.transactions > listed {
            let _ = writeln!(out, "  and {} more", taken.transactions - listed);
        }
    }

    fn what_to_do(&self, out: &mut String, folder: &str) {
        let _ = write!(
            out,
            "\nWhat to do\n\
             1. Read them:\n\
             \x20    {}\n\
             2. Decide with the owners of the data which of them are to be done again on {source}. Rows may\n\
             \x20  have been changed there since, so all of them at once is rarely right. If it is, copy this\n\
             \x20  folder there and run, as root of that server:\n\
             \x20    {}\n\
             \x20  They get new numbers there. Statements and rows are repeated as they were.\n\
             3. Replace this node: docs/operations.md, \"Replace a node\". It stays closed until then, and\n\
             \x20  nothing deletes this folder.\n",
            self.decode(folder),
            self.apply(folder),
            source = self.source,
        );
    }
}
