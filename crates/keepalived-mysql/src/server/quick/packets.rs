//! The packets of one answer: frames out of a stream, rows out of frames. No I/O here.
//!
//! MySQL's client/server protocol, "Protocol::Packet" and "COM_QUERY Response: Text Resultset", with
//! EOF packets (we do not ask for CLIENT_DEPRECATE_EOF).

use std::sync::Arc;

use crate::server::connection::{Answer, Row};

/// More than any answer to a check; whoever sends more is asked in the ordinary way.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// SERVER_MORE_RESULTS_EXISTS in the status flags.
const MORE: u16 = 0x0008;

/// What was read and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// Where to read into: never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < 8 * 1024 {
            self.bytes.resize(self.end + 16 * 1024, 0);
        }
        &mut self.bytes[self.end..]
    }

    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next whole packet, with its sequence number; none while it is not all here.
    pub(super) fn packet(&mut self) -> Result<Option<(u8, Vec<u8>)>, &'static str> {
        let waiting = &self.bytes[self.start..self.end];
        let Some(([a, b, c, sequence], rest)) = waiting.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        if length >= MOST_BYTES - 1 {
            return Err("an answer of many megabytes");
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let found = (*sequence, payload.to_vec());
        self.start += 4 + length;
        Ok(Some(found))
    }
}

/// The answers to one command, packet by packet.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// What is complete.
    pub(super) answers: Vec<Answer>,
    stage: Stage,
    bytes: usize,
}

#[derive(Debug, Default)]
enum Stage {
    /// A statement's first packet comes next.
    #[default]
    Begin,
    /// Columns come, this many more, then an EOF.
    Columns { left: u64, names: Vec<String> },
    /// Rows come, then an EOF.
    Rows {
        names: Arc<[String]>,
        rows: Vec<Row>,
    },
}

impl Reply {
    /// Takes the next packet. True once the last answer is complete.
    pub(super) fn take(&mut self, packet: &[u8]) -> Result<bool, &'static str> {
        const BAD: &str = "an answer that cannot be read";
        self.bytes += packet.len();
        if self.bytes > MOST_BYTES {
            return Err("an answer of many megabytes");
        }
        if packet.first() == Some(&0xFF) {
            return Err("an error of the server");
        }
        let ended = packet.first() == Some(&0xFE) && packet.len() < 9;
        match std::mem::take(&mut self.stage) {
            Stage::Begin => self.begin(packet).ok_or(BAD),
            Stage::Columns { left: 0, names } if ended => {
                let (names, rows) = (names.into(), Vec::new());
                self.stage = Stage::Rows { names, rows };
                Ok(false)
            }
            Stage::Columns { left, mut names } => {
                let left = left.checked_sub(1).ok_or(BAD)?;
                names.push(column_name(packet).ok_or(BAD)?);
                self.stage = Stage::Columns { left, names };
                Ok(false)
            }
            Stage::Rows { rows, .. } if ended => {
                self.answers.push(Answer { rows, affected: 0 });
                let status = packet.get(3..5).ok_or(BAD)?;
                Ok(!more(status))
            }
            Stage::Rows { names, mut rows } => {
                rows.push(row(packet, &names).ok_or(BAD)?);
                self.stage = Stage::Rows { names, rows };
                Ok(false)
            }
        }
    }

    fn begin(&mut self, packet: &[u8]) -> Option<bool> {
        let mut rest = packet;
        let count = number(&mut rest)??;
        if count > 0 {
            let names = Vec::new();
            self.stage = Stage::Columns { left: count, names };
            return Some(false);
        }
        // OK: 0x00, affected rows, last inserted id, status, warnings.
        let affected = number(&mut rest)??;
        number(&mut rest)??;
        let rows = Vec::new();
        self.answers.push(Answer { rows, affected });
        Some(!more(rest.get(..2)?))
    }
}

fn more(status: &[u8]) -> bool {
    matches!(status, [low, high] if u16::from_le_bytes([*low, *high]) & MORE != 0)
}

/// Catalog, schema, table, original table, and then the name.
fn column_name(packet: &[u8]) -> Option<String> {
    let mut rest = packet;
    for _ in 0..4 {
        text(&mut rest)?;
    }
    text(&mut rest)?
}

fn row(packet: &[u8], names: &Arc<[String]>) -> Option<Row> {
    let mut rest = packet;
    let values = names
        .iter()
        .map(|_| text(&mut rest))
        .collect::<Option<_>>()?;
    rest.is_empty().then(|| Row::new(Arc::clone(names), values))
}

/// A length-encoded text, or NULL.
#[allow(clippy::option_option)]
fn text(rest: &mut &[u8]) -> Option<Option<String>> {
    let Some(length) = number(rest)? else {
        return Some(None);
    };
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// A length-encoded number; NULL is 0xFB.
#[allow(clippy::option_option)]
fn number(rest: &mut &[u8]) -> Option<Option<u64>> {
    let (first, after) = rest.split_first()?;
    let width = match first {
        0xFB => {
            *rest = after;
            return Some(None);
        }
        0xFC => 2,
        0xFD => 3,
        0xFE => 8,
        0xFF => return None,
        small => {
            *rest = after;
            return Some(Some(u64::from(*small)));
        }
    };
    let (bytes, after) = after.split_at_checked(width)?;
    *rest = after;
    let mut all = [0; 8];
    all[..width].copy_from_slice(bytes);
    Some(Some(u64::from_le_bytes(all)))
}
