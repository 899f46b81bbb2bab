//! A place in a server's binary log: file and byte offset, ordered.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in a binary log: the file's name and the offset in bytes of the next event in it.
///
/// Both come from `SHOW BINARY LOG STATUS` (`File`, `Position`) or from a replica's status. The text form
/// is `file:offset`.
///
/// The order is that of writing: first the number at the end of the file's name, then the offset. The
/// number is compared as a number, because after `binlog.999999` the server writes `binlog.1000000`. The base
/// name does not take part, except to tell two otherwise equal places apart; positions of two servers are not
/// comparable, and [`same_base`](Self::same_base) catches the mistakes that a name can show.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// Name of the file, without a folder: `binlog.000042`.
    pub file: String,
    /// Offset in bytes. The first event of a file is at 4.
    pub offset: u64,
}

/// A text that is not a binary log position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// There is no colon between file and offset, or nothing before it.
    #[error("{0:?} is not a binary log position: expected FILE:OFFSET")]
    Shape(String),
    /// What stands behind the last colon is not a number of bytes.
    #[error("{0:?} is not a binary log position: the offset is not a number")]
    Offset(String),
}

impl BinlogPosition {
    /// A position from its two parts.
    pub fn new(file: impl Into<String>, offset: u64) -> Self {
        Self {
            file: file.into(),
            offset,
        }
    }

    /// The number at the end of the file's name, or `None` if there is none (`binlog.index`).
    pub fn sequence(&self) -> Option<u64> {
        let (_, suffix) = self.file.rsplit_once('.')?;
        if suffix.bytes().all(|b| b.is_ascii_digit()) {
            suffix.parse().ok()
        } else {
            None
        }
    }

    /// The file's name without its number: `binlog` of `binlog.000042`.
    pub fn base(&self) -> &str {
        self.file
            .rsplit_once('.')
            .map_or(self.file.as_str(), |(base, _)| base)
    }

    /// Whether both names belong to one series of files. If not, comparing the two means nothing.
    pub fn same_base(&self, other: &Self) -> bool {
        self.base() == other.base()
    }

    /// Bytes from `earlier` to here; `None` if they are in different files or `earlier` is later.
    pub fn bytes_since(&self, earlier: &Self) -> Option<u64> {
        if self.file != earlier.file {
            return None;
        }
        self.offset.checked_sub(earlier.offset)
    }
}

impl Ord for BinlogPosition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sequence()
            .cmp(&other.sequence())
            .then(self.offset.cmp(&other.offset))
            // Only to agree with `Eq`, which does see the name.
            .then_with(|| self.file.cmp(&other.file))
    }
}

impl PartialOrd for BinlogPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for BinlogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

impl FromStr for BinlogPosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, offset) = text
            .trim()
            .rsplit_once(':')
            .filter(|(file, _)| !file.is_empty())
            .ok_or_else(|| PositionError::Shape(text.to_owned()))?;
        let offset = offset
            .parse()
            .map_err(|_| PositionError::Offset(text.to_owned()))?;
        Ok(Self::new(file, offset))
    }
}
