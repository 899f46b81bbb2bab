//! One event: nineteen bytes of header, a body, and often a checksum.

use crate::replication::gtid::{MariadbGtid, MysqlGtidSet};

/// Length of the header of every event (MySQL source, `binlog_event.h`: `LOG_EVENT_HEADER_LEN`).
pub const HEADER: usize = 19;
/// The flag of an event that the server made up for the stream (`LOG_EVENT_ARTIFICIAL_F`).
const ARTIFICIAL: u16 = 0x20;
/// MariaDB, `log_event.h`: the transaction is one event and no COMMIT follows it.
const STANDALONE: u8 = 1;

/// Numbers of event types, MySQL's `Log_event_type` and, from 160 on, MariaDB's own.
#[allow(missing_docs, reason = "the names are the servers' own")]
pub mod kind {
    pub const QUERY: u8 = 2;
    pub const STOP: u8 = 3;
    pub const ROTATE: u8 = 4;
    pub const FORMAT_DESCRIPTION: u8 = 15;
    pub const XID: u8 = 16;
    pub const EXECUTE_LOAD_QUERY: u8 = 18;
    pub const TABLE_MAP: u8 = 19;
    pub const WRITE_ROWS_V1: u8 = 23;
    pub const UPDATE_ROWS_V1: u8 = 24;
    pub const DELETE_ROWS_V1: u8 = 25;
    pub const INCIDENT: u8 = 26;
    pub const HEARTBEAT: u8 = 27;
    pub const IGNORABLE: u8 = 28;
    pub const WRITE_ROWS: u8 = 30;
    pub const UPDATE_ROWS: u8 = 31;
    pub const DELETE_ROWS: u8 = 32;
    pub const GTID: u8 = 33;
    pub const ANONYMOUS_GTID: u8 = 34;
    pub const PREVIOUS_GTIDS: u8 = 35;
    pub const XA_PREPARE: u8 = 38;
    pub const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub const TRANSACTION_PAYLOAD: u8 = 40;
    pub const HEARTBEAT_V2: u8 = 41;
    pub const GTID_TAGGED: u8 = 42;
    pub const MARIADB_BINLOG_CHECKPOINT: u8 = 161;
    pub const MARIADB_GTID: u8 = 162;
    pub const MARIADB_GTID_LIST: u8 = 163;
    pub const MARIADB_START_ENCRYPTION: u8 = 164;
    pub const MARIADB_QUERY_COMPRESSED: u8 = 165;
    pub const MARIADB_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub const MARIADB_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub const MARIADB_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub const MARIADB_WRITE_ROWS_COMPRESSED: u8 = 169;
    pub const MARIADB_UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub const MARIADB_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// An event, byte by byte as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    bytes: Vec<u8>,
    checksum: usize,
}

/// Who committed a transaction, and under which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gtid {
    /// None: file and position alone tell it.
    None,
    /// MariaDB's.
    MariaDb(MariadbGtid),
    /// MySQL's, as a set of one.
    MySql(MysqlGtidSet),
}

impl RawEvent {
    /// An event from its bytes; none if they cannot be one. `checksum` says whether the last four
    /// bytes are a checksum.
    pub fn new(bytes: Vec<u8>, checksum: bool) -> Option<Self> {
        let checksum = if checksum { 4 } else { 0 };
        let size = u32::from_le_bytes(bytes.get(9..13)?.try_into().ok()?);
        let whole = u32::try_from(bytes.len()).ok()? == size && bytes.len() >= HEADER + checksum;
        whole.then_some(Self { bytes, checksum })
    }

    /// Everything, header and checksum included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What stands between header and checksum.
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER..self.bytes.len() - self.checksum]
    }

    /// The event without its checksum, and with its length put right.
    pub fn bare(&self) -> Vec<u8> {
        let mut bytes = self.bytes[..self.bytes.len() - self.checksum].to_vec();
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[9..13].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    fn header_u32(&self, at: usize) -> u32 {
        u32_at(&self.bytes, at).unwrap_or(0)
    }

    /// When it was written, in seconds since 1970; 0 in events that the server made up.
    pub fn time(&self) -> u32 {
        self.header_u32(0)
    }

    /// Its type, one of [`kind`].
    pub fn kind(&self) -> u8 {
        self.bytes[4]
    }

    /// The server that first wrote it.
    pub fn server_id(&self) -> u32 {
        self.header_u32(5)
    }

    /// The lower 32 bits of where the next event begins; 0 where the server does not tell.
    pub fn end(&self) -> u32 {
        self.header_u32(13)
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the server made it up for the stream, so that it stands in no file.
    pub fn artificial(&self) -> bool {
        let flags = u16_at(&self.bytes, 17).unwrap_or(0);
        flags & ARTIFICIAL != 0
            || matches!(self.kind(), kind::HEARTBEAT | kind::HEARTBEAT_V2)
            || (self.kind() == kind::ROTATE && self.time() == 0)
    }

    /// Whether the server wrote it on its own account, between transactions.
    pub fn bookkeeping(&self) -> bool {
        matches!(
            self.kind(),
            kind::STOP
                | kind::ROTATE
                | kind::FORMAT_DESCRIPTION
                | kind::HEARTBEAT
                | kind::HEARTBEAT_V2
                | kind::IGNORABLE
                | kind::PREVIOUS_GTIDS
                | kind::MARIADB_BINLOG_CHECKPOINT
                | kind::MARIADB_GTID_LIST
                | kind::MARIADB_START_ENCRYPTION
        )
    }

    /// The number of the transaction that begins here; none if this event begins none by number.
    pub fn gtid(&self) -> Option<Gtid> {
        match self.kind() {
            kind::ANONYMOUS_GTID => Some(Gtid::None),
            kind::GTID => mysql_gtid(self.body()),
            kind::GTID_TAGGED => crate::binlog::packed::tagged_gtid(self),
            kind::MARIADB_GTID => {
                let body = self.body();
                Some(Gtid::MariaDb(MariadbGtid {
                    domain: u32_at(body, 8)?,
                    server_id: self.server_id(),
                    sequence: u64::from_le_bytes(body.get(..8)?.try_into().ok()?),
                }))
            }
            _ => None,
        }
    }

    /// Whether MariaDB's number says that no COMMIT follows.
    pub fn standalone(&self) -> bool {
        self.kind() == kind::MARIADB_GTID
            && self
                .body()
                .get(12)
                .is_some_and(|flags| flags & STANDALONE != 0)
    }

    /// Whether MariaDB's number opens a transaction without a BEGIN of its own.
    pub fn opens(&self) -> bool {
        self.kind() == kind::MARIADB_GTID && !self.standalone()
    }

    /// The text of a statement; none if it is no statement or cannot be read.
    pub fn statement(&self) -> Option<String> {
        let (_, text) = self.query()?;
        let text = match self.kind() {
            kind::MARIADB_QUERY_COMPRESSED => crate::binlog::packed::mariadb(text)?,
            _ => text.to_vec(),
        };
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// The database that a statement was run in, and the bytes of the statement.
    fn query(&self) -> Option<(String, &[u8])> {
        if !matches!(
            self.kind(),
            kind::QUERY | kind::MARIADB_QUERY_COMPRESSED | kind::EXECUTE_LOAD_QUERY
        ) {
            return None;
        }
        // thread 4, seconds 4, length of the database's name 1, error 2, length of the status 2.
        const FIXED: usize = 13;
        // What LOAD DATA has besides: file id 4, two offsets 4 each, duplicates 1.
        const LOAD: usize = 13;
        let body = self.body();
        let database = usize::from(*body.get(8)?);
        let status = usize::from(u16_at(body, 11)?);
        let load = if self.kind() == kind::EXECUTE_LOAD_QUERY {
            LOAD
        } else {
            0
        };
        let name = FIXED + load + status;
        let text = body.get(name + database + 1..)?;
        let name = String::from_utf8_lossy(body.get(name..name + database)?).into_owned();
        Some((name, text))
    }

    /// The database that a statement was run in; empty if in none.
    pub fn database(&self) -> String {
        self.query().map(|(name, _)| name).unwrap_or_default()
    }

    /// Which file comes next, and where in it reading begins. MariaDB glues four bytes of checksum to
    /// the name in a made-up event, so the names that exist are needed.
    pub fn rotate(&self, files: &[String]) -> Option<(String, u64)> {
        let body = self.body();
        let offset = u64::from_le_bytes(body.get(..8)?.try_into().ok()?);
        let name = body.get(8..)?;
        let shorter = &name[..name.len().saturating_sub(4)];
        let known = [name, shorter]
            .into_iter()
            .find(|name| files.iter().any(|file| file.as_bytes() == *name));
        let name = String::from_utf8_lossy(known.unwrap_or(name)).into_owned();
        Some((name, offset))
    }
}

/// Flags 1, UUID 16, number 8 (MySQL manual, "Gtid_event").
fn mysql_gtid(body: &[u8]) -> Option<Gtid> {
    let number = u64::from_le_bytes(body.get(17..25)?.try_into().ok()?);
    one_of(body.get(1..17)?, "", number)
}

/// MySQL's number as a set of one.
pub(super) fn one_of(uuid: &[u8], tag: &str, number: u64) -> Option<Gtid> {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = if tag.is_empty() {
        String::new()
    } else {
        format!("{tag}:")
    };
    let text = format!(
        "{}-{}-{}-{}-{}:{tag}{number}",
        hex.get(..8)?,
        hex.get(8..12)?,
        hex.get(12..16)?,
        hex.get(16..20)?,
        hex.get(20..)?
    );
    text.parse().ok().map(Gtid::MySql)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
