//! How many rows an event changes, and of which table.
//!
//! No value is looked at: only how long each is, by the type and the metadata that the table map
//! gives for its column (MySQL source, `log_event.cc`: `calc_field_size`).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::binlog::event::{RawEvent, kind, u16_at};
use crate::binlog::packed;

/// What happened to the rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Events whose rows could not be counted.
    #[serde(default)]
    pub uncounted_events: u64,
}

impl Changes {
    /// All rows that were counted.
    pub fn rows(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// One table as the log describes it.
#[derive(Debug, Clone)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    kind: u8,
    meta: [u8; 2],
}

/// Counts rows, by table.
#[derive(Debug, Default)]
pub struct Counter {
    maps: HashMap<u64, Table>,
    /// What was counted so far.
    pub tables: BTreeMap<String, Changes>,
}

/// What a rows event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Insert,
    Update,
    Delete,
}

/// The shape of a rows event.
#[derive(Debug, Clone, Copy)]
struct Shape {
    deed: Deed,
    /// Whether a length and further data stand before the columns.
    extra: bool,
    compressed: bool,
    /// Updates of parts of JSON documents.
    partial: bool,
}

impl Shape {
    fn of(kind: u8) -> Option<Self> {
        use kind::*;
        let (deed, extra, compressed) = match kind {
            WRITE_ROWS_V1 => (Deed::Insert, false, false),
            UPDATE_ROWS_V1 => (Deed::Update, false, false),
            DELETE_ROWS_V1 => (Deed::Delete, false, false),
            WRITE_ROWS => (Deed::Insert, true, false),
            UPDATE_ROWS | PARTIAL_UPDATE_ROWS => (Deed::Update, true, false),
            DELETE_ROWS => (Deed::Delete, true, false),
            MARIADB_WRITE_ROWS_COMPRESSED_V1 => (Deed::Insert, false, true),
            MARIADB_UPDATE_ROWS_COMPRESSED_V1 => (Deed::Update, false, true),
            MARIADB_DELETE_ROWS_COMPRESSED_V1 => (Deed::Delete, false, true),
            MARIADB_WRITE_ROWS_COMPRESSED => (Deed::Insert, true, true),
            MARIADB_UPDATE_ROWS_COMPRESSED => (Deed::Update, true, true),
            MARIADB_DELETE_ROWS_COMPRESSED => (Deed::Delete, true, true),
            _ => return None,
        };
        Some(Self {
            deed,
            extra,
            compressed,
            partial: kind == PARTIAL_UPDATE_ROWS,
        })
    }
}

impl Counter {
    /// Takes the next event of a transaction.
    pub fn take(&mut self, event: &RawEvent) {
        if event.kind() == kind::TABLE_MAP {
            if let Some((id, table)) = table(event.body()) {
                self.maps.insert(id, table);
            }
        } else if event.kind() == kind::TRANSACTION_PAYLOAD {
            if !packed::payload(event, &mut |inner| self.take(inner)) {
                self.uncounted("(compressed)");
            }
        } else if let Some(shape) = Shape::of(event.kind()) {
            self.rows(event.body(), shape);
        }
    }

    /// Table numbers mean nothing beyond the transaction that gave them.
    pub fn forget_tables(&mut self) {
        self.maps.clear();
    }

    fn uncounted(&mut self, table: &str) {
        self.tables
            .entry(table.to_owned())
            .or_default()
            .uncounted_events += 1;
    }

    fn rows(&mut self, body: &[u8], shape: Shape) {
        let mut bytes = Bytes(body);
        let Some(id) = bytes.number(6) else {
            return self.uncounted("(unreadable)");
        };
        let Some(table) = self.maps.get(&id).cloned() else {
            return self.uncounted("(table not described)");
        };
        let counted = count(&mut bytes, &table, shape);
        let changes = self.tables.entry(table.name).or_default();
        match (counted, shape.deed) {
            (None, _) => changes.uncounted_events += 1,
            (Some(rows), Deed::Insert) => changes.inserted += rows,
            (Some(rows), Deed::Update) => changes.updated += rows,
            (Some(rows), Deed::Delete) => changes.deleted += rows,
        }
    }
}

fn count(bytes: &mut Bytes<'_>, table: &Table, shape: Shape) -> Option<u64> {
    bytes.skip(2)?;
    if shape.extra {
        let extra = usize::from(u16_at(bytes.0, 0)?);
        bytes.skip(extra.max(2))?;
    }
    let width = usize::try_from(bytes.length()?).ok()?;
    let bitmap = width.div_ceil(8);
    let first = bytes.eat(bitmap)?;
    let second = match shape.deed {
        Deed::Update => bytes.eat(bitmap)?,
        _ => first,
    };
    let unpacked;
    let mut rows = Bytes(bytes.0);
    if shape.compressed {
        unpacked = packed::mariadb(bytes.0)?;
        rows = Bytes(&unpacked);
    }
    let mut counted = 0;
    while !rows.0.is_empty() {
        let before = rows.0.len();
        row(&mut rows, table, width, first)?;
        if shape.deed == Deed::Update {
            if shape.partial {
                json_parts(&mut rows, table)?;
            }
            row(&mut rows, table, width, second)?;
        }
        // A row of no bytes would be counted for ever.
        if rows.0.len() == before {
            return None;
        }
        counted += 1;
    }
    Some(counted)
}

/// What stands before the new image of a row whose JSON documents are changed in parts.
fn json_parts(rows: &mut Bytes<'_>, table: &Table) -> Option<()> {
    if rows.length()? & 1 == 0 {
        return Some(());
    }
    let json = table.columns.iter().filter(|c| c.kind == 245).count();
    rows.skip(json.div_ceil(8))
}

fn row(rows: &mut Bytes<'_>, table: &Table, width: usize, present: &[u8]) -> Option<()> {
    let there = |column: usize| bit(present, column);
    let count = (0..width).filter(|column| there(*column)).count();
    let nulls = rows.eat(count.div_ceil(8))?;
    for (at, column) in (0..width).filter(|column| there(*column)).enumerate() {
        if !bit(nulls, at) {
            let length = value_length(*table.columns.get(column)?, rows.0)?;
            rows.skip(length)?;
        }
    }
    Some(())
}

fn bit(bitmap: &[u8], at: usize) -> bool {
    bitmap
        .get(at / 8)
        .is_some_and(|byte| byte & (1 << (at % 8)) != 0)
}

/// Length in bytes of the value that begins at `rest`.
fn value_length(column: Column, rest: &[u8]) -> Option<usize> {
    let [low, high] = column.meta.map(usize::from);
    let fraction = low.div_ceil(2);
    Some(match column.kind {
        6 => 0,
        1 | 13 => 1,
        2 => 2,
        9 | 10 | 11 | 14 => 3,
        3 | 7 => 4,
        8 | 12 => 8,
        4 | 5 => low,
        17 => 4 + fraction,
        18 => 5 + fraction,
        19 => 3 + fraction,
        15 | 253 | 140 => with_prefix(rest, if low + (high << 8) > 255 { 2 } else { 1 })?,
        16 => high + usize::from(low > 0),
        246 => decimal(low, high)?,
        247 | 248 => high,
        254 => string(low, high, rest)?,
        242 | 245 | 249..=252 | 255 | 141 => with_prefix(rest, low)?,
        _ => return None,
    })
}

/// CHAR, and ENUM and SET, which hide behind it.
fn string(low: usize, high: usize, rest: &[u8]) -> Option<usize> {
    if low == 247 || low == 248 {
        return Some(high);
    }
    // The upper two bits of the length are hidden in the type, inverted.
    let longest = high + (((low & 0x30) ^ 0x30) << 4);
    with_prefix(rest, if longest > 255 { 2 } else { 1 })
}

fn with_prefix(rest: &[u8], bytes: usize) -> Option<usize> {
    if !(1..=4).contains(&bytes) {
        return None;
    }
    let length = Bytes(rest).number(bytes)?;
    usize::try_from(length).ok()?.checked_add(bytes)
}

/// Nine digits in four bytes, fewer in less (MySQL source, `decimal.cc`: `dig2bytes`).
fn decimal(precision: usize, scale: usize) -> Option<usize> {
    const LEFT_OVER: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let whole = precision.checked_sub(scale)?;
    let bytes = |digits: usize| (digits / 9) * 4 + LEFT_OVER[digits % 9];
    Some(bytes(whole) + bytes(scale))
}

/// Number and description of a table.
fn table(body: &[u8]) -> Option<(u64, Table)> {
    let mut bytes = Bytes(body);
    let id = bytes.number(6)?;
    bytes.skip(2)?;
    let mut name = || {
        let length = usize::try_from(bytes.number(1)?).ok()?;
        let name = String::from_utf8_lossy(bytes.eat(length)?).into_owned();
        bytes.skip(1)?;
        Some(name)
    };
    let name = format!("{}.{}", name()?, name()?);
    let width = usize::try_from(bytes.length()?).ok()?;
    let kinds = bytes.eat(width)?;
    let meta = usize::try_from(bytes.length()?).ok()?;
    let mut meta = Bytes(bytes.eat(meta)?);
    let mut columns = Vec::with_capacity(width);
    for &kind in kinds {
        let of = meta.eat(meta_length(kind))?;
        let at = |index: usize| of.get(index).copied().unwrap_or(0);
        let meta = [at(0), at(1)];
        columns.push(Column { kind, meta });
    }
    Some((id, Table { name, columns }))
}

fn meta_length(kind: u8) -> usize {
    match kind {
        4 | 5 | 17..=19 | 141 | 242 | 245 | 249..=252 | 255 => 1,
        0 | 15 | 16 | 140 | 246..=248 | 253 | 254 => 2,
        _ => 0,
    }
}

/// Bytes that are eaten from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn eat(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.eat(count).map(drop)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        let mut number = [0; 8];
        number.get_mut(..bytes)?.copy_from_slice(self.eat(bytes)?);
        Some(u64::from_le_bytes(number))
    }

    /// A number of the protocol's variable length.
    fn length(&mut self) -> Option<u64> {
        match self.number(1)? {
            small @ 0..=250 => Some(small),
            252 => self.number(2),
            253 => self.number(3),
            254 => self.number(8),
            _ => None,
        }
    }
}
