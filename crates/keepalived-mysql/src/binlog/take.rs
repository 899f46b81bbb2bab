//! Takes lost transactions out of a stream of events, and counts what is in them.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use crate::binlog::event::{Gtid, RawEvent, kind};
use crate::binlog::file::BinlogFile;
use crate::binlog::rows::{Changes, Counter};
use crate::binlog::stream::Read;
use crate::binlog::summary::{Stamp, Taken};
use crate::binlog::transaction::{Head, Place, Splitter};
use crate::replication::evidence::Lost;
use crate::replication::gtid::MysqlGtidSet;
use crate::replication::position::BinlogPosition;
use crate::server::masked::masked;

/// More statements than this are counted and not shown.
const STATEMENTS: usize = 50;
/// More transactions than this are counted and not listed.
const LISTED: usize = 200;
/// A statement is shown up to here.
const SHOWN: usize = 200;

/// Takes the events of a log, one after the other, from [`Taker::new`]'s place to its end.
#[derive(Debug)]
pub struct Taker<'a> {
    lost: &'a Lost,
    files: &'a [String],
    /// Where the next event begins.
    place: BinlogPosition,
    splitter: Splitter,
    open: Option<Open>,
    file: &'a mut BinlogFile,
    taken: Taken,
    found_mysql: MysqlGtidSet,
    /// First and last number by domain and server.
    found_mariadb: BTreeMap<(u32, u32), (u64, u64)>,
}

/// A transaction that is wanted and not whole yet.
#[derive(Debug)]
struct Open {
    head: Head,
    at: BinlogPosition,
    counter: Counter,
    statements: Vec<String>,
    prepared: bool,
}

impl<'a> Taker<'a> {
    /// Begins at `start`; `files` are the names of the log's files.
    pub fn new(
        lost: &'a Lost,
        start: &BinlogPosition,
        files: &'a [String],
        file: &'a mut BinlogFile,
    ) -> Self {
        Self {
            lost,
            files,
            place: start.clone(),
            splitter: Splitter::default(),
            open: None,
            file,
            taken: Taken::default(),
            found_mysql: MysqlGtidSet::default(),
            found_mariadb: BTreeMap::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, read: &Read) -> io::Result<()> {
        let event = &read.event;
        if event.artificial() && event.kind() == kind::ROTATE {
            if let Some((file, offset)) = event.rotate(self.files) {
                // The request for a place beyond 4 GiB was one for the head of its file.
                self.place = BinlogPosition { file, offset };
            }
            return Ok(());
        }
        let at = self.advance(event);
        if event.kind() == kind::FORMAT_DESCRIPTION {
            self.file.describe(event);
        }
        let part = self.splitter.next(event);
        if part.broken {
            self.break_off()?;
        }
        let Place::Inside { begins, ends } = part.place else {
            return Ok(());
        };
        if let Some(head) = begins
            && self.wants(&head, &at)
        {
            self.file.begin()?;
            self.open = Some(Open::of(head, at));
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        self.file.put(event)?;
        self.taken.damaged_events += u64::from(!read.sound);
        open.take(event);
        if ends && let Some(open) = self.open.take() {
            self.whole(open);
        }
        Ok(())
    }

    /// The log has ended.
    ///
    /// # Errors
    /// When what is not whole cannot be taken back.
    pub fn end(mut self) -> io::Result<Taken> {
        self.break_off()?;
        self.taken.bytes = self.file.length();
        self.taken.scanned_to = Some(self.place.clone());
        self.taken.not_found = self.not_found();
        self.taken.found = self.found();
        Ok(self.taken)
    }

    /// Where the event begins; goes on to its end. The server leaves out some events, so that only its
    /// own word says where the others are; MariaDB 11.8 gives none inside a transaction.
    fn advance(&mut self, event: &RawEvent) -> BinlogPosition {
        let mut at = self.place.clone();
        let made_up = event.kind() == kind::FORMAT_DESCRIPTION && at.offset > 4;
        if event.artificial() || made_up {
            return at;
        }
        let end = u64::from(event.end());
        if end == 0 {
            self.place.offset = at.offset.saturating_add(event.size());
            return at;
        }
        // The header holds 32 bits of an offset that may be longer.
        let mut whole = (at.offset & !u64::from(u32::MAX)) | end;
        if whole < at.offset {
            whole += 1 << 32;
        }
        self.place.offset = whole;
        at.offset = whole.saturating_sub(event.size());
        at
    }

    fn wants(&self, head: &Head, at: &BinlogPosition) -> bool {
        match (self.lost, &head.gtid) {
            (Lost::Position { from, server_id }, _) => head.server_id == *server_id && at >= from,
            (Lost::MySql { gtids }, Gtid::MySql(gtid)) => gtids.contains(gtid),
            (Lost::MariaDb { ranges }, Gtid::MariaDb(gtid)) => ranges.iter().any(|range| {
                range.domain == gtid.domain
                    && range.server_id == gtid.server_id
                    && (range.from..=range.to).contains(&gtid.sequence)
            }),
            _ => false,
        }
    }

    fn break_off(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.taken.left_out.push(format!(
            "a transaction that begins at {} and was never finished (its end is not in the log)",
            open.at
        ));
        self.file.take_back()
    }

    fn whole(&mut self, open: Open) {
        let taken = &mut self.taken;
        let rows: u64 = open.counter.tables.values().map(Changes::rows).sum();
        let stamp = Stamp {
            at: open.at,
            time: time(open.head.time),
            gtid: name(&open.head.gtid),
            rows,
            statements: open.statements.len() as u64,
        };
        taken.transactions += 1;
        taken.prepared += u64::from(open.prepared);
        taken.first.get_or_insert_with(|| stamp.clone());
        taken.last = Some(stamp.clone());
        if taken.list.len() < LISTED {
            taken.list.push(stamp);
        }
        for (table, changes) in open.counter.tables {
            let all = taken.tables.entry(table).or_default();
            all.inserted += changes.inserted;
            all.updated += changes.updated;
            all.deleted += changes.deleted;
            all.uncounted_events += changes.uncounted_events;
        }
        taken.statements_in_all += open.statements.len() as u64;
        let room = STATEMENTS.saturating_sub(taken.statements.len());
        taken
            .statements
            .extend(open.statements.into_iter().take(room));
        match &open.head.gtid {
            Gtid::MySql(gtid) => self.found_mysql = self.found_mysql.union(gtid),
            Gtid::MariaDb(gtid) => {
                let stream = (gtid.domain, gtid.server_id);
                let ends = self.found_mariadb.entry(stream);
                ends.or_insert((gtid.sequence, gtid.sequence)).1 = gtid.sequence;
            }
            Gtid::None => {}
        }
    }

    fn found(&self) -> String {
        let mariadb = self.found_mariadb.iter();
        let mut all: Vec<String> = mariadb
            .map(|((domain, server), (first, last))| match first == last {
                true => format!("{domain}-{server}-{last}"),
                false => format!("{domain}-{server}-{first}..{last}"),
            })
            .collect();
        if !self.found_mysql.is_empty() {
            all.push(self.found_mysql.to_string());
        }
        all.join(", ")
    }

    /// What should have been in the log and was not.
    fn not_found(&self) -> Vec<String> {
        match self.lost {
            Lost::Position { .. } => Vec::new(),
            Lost::MySql { gtids } => {
                let missing = gtids.subtract(&self.found_mysql);
                match missing.is_empty() {
                    true => Vec::new(),
                    false => vec![missing.to_string()],
                }
            }
            Lost::MariaDb { ranges } => ranges
                .iter()
                .filter_map(|range| {
                    let found = self.found_mariadb.get(&(range.domain, range.server_id));
                    match found {
                        Some((_, last)) if *last >= range.to => None,
                        Some((_, last)) => {
                            let from = last.saturating_add(1);
                            Some(
                                crate::replication::gtid::MariadbGtidRange { from, ..*range }
                                    .to_string(),
                            )
                        }
                        None => Some(range.to_string()),
                    }
                })
                .collect(),
        }
    }
}

impl Open {
    fn of(head: Head, at: BinlogPosition) -> Self {
        Self {
            head,
            at,
            counter: Counter::default(),
            statements: Vec::new(),
            prepared: false,
        }
    }

    fn take(&mut self, event: &RawEvent) {
        self.counter.take(event);
        // The first byte says whether the transaction was prepared and committed at once.
        self.prepared |= event.kind() == kind::XA_PREPARE && event.body().first() == Some(&0);
        let statement = event.statement().filter(|text| tells(text));
        if let Some(text) = statement {
            self.statements.push(shown(&event.database(), &text));
        }
    }
}

/// Whether a statement changes something, and is not just the frame of a transaction.
fn tells(statement: &str) -> bool {
    let text = statement.trim().to_ascii_uppercase();
    let frame = ["XA START", "XA END", "SAVEPOINT", "ROLLBACK TO", "# DUMMY"];
    !matches!(text.as_str(), "BEGIN" | "COMMIT" | "ROLLBACK")
        && !frame.iter().any(|words| text.starts_with(words))
}

/// A statement on one line, without its passwords.
fn shown(database: &str, statement: &str) -> String {
    let masked = masked(statement);
    let flat: Vec<&str> = masked.split_whitespace().collect();
    let flat = flat.join(" ");
    let mut text: String = flat.chars().take(SHOWN).collect();
    if flat.chars().count() > SHOWN {
        text.push('…');
    }
    match database {
        "" => text,
        database => format!("{database}: {text}"),
    }
}

fn name(gtid: &Gtid) -> String {
    match gtid {
        Gtid::None => String::new(),
        Gtid::MariaDb(gtid) => gtid.to_string(),
        Gtid::MySql(gtid) => gtid.to_string(),
    }
}

fn time(seconds: u32) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(u64::from(seconds));
    humantime::format_rfc3339_seconds(time).to_string()
}
