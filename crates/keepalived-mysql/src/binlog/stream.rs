//! The events of the local server's binary log, through the protocol.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use mysql::binlog::BinlogChecksumAlg;
use mysql::binlog::events::Event;
use mysql::prelude::Queryable;
use mysql::{BinlogDumpFlags, BinlogRequest, Conn, OptsBuilder};

use crate::binlog::event::{RawEvent, kind};
use crate::deadline::Deadline;
use crate::replication::position::BinlogPosition;
use crate::server::connection::handshake::{classify, options};
use crate::server::connection::{ServerError, Target};
use crate::server::dialect::Product;

/// The stream's number as a replica: none that a person would give to a server, because a server ends
/// an older stream with the same number.
const SERVER_ID: u32 = u32::MAX - 0x4B4D;

/// The largest that the protocol knows; one event may hold a whole BLOB.
const LARGEST_PACKET: usize = 1 << 30;

/// Events that wait for whoever reads them.
const AHEAD: usize = 64;

/// After this long without an event the server counts as silent.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An event with what its checksum says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The event.
    pub event: RawEvent,
    /// False if its checksum does not fit: the log is damaged here.
    pub sound: bool,
}

/// Events from one place to the end of the log.
#[derive(Debug)]
pub struct Stream {
    endpoint: String,
    events: Receiver<Next>,
}

/// What the thread sends: events, and at the end that it is the end.
type Next = Result<Option<Read>, ServerError>;

impl Stream {
    /// Asks for everything from `start` to what is the end when it is reached. Offsets beyond 4 GiB,
    /// which the request cannot hold, begin at the head of the file.
    ///
    /// # Errors
    /// When no thread can be started; everything else comes with the first event.
    pub fn open(
        target: &Target,
        product: Product,
        start: &BinlogPosition,
    ) -> Result<Self, ServerError> {
        let endpoint = target.endpoint.to_string();
        let (sender, events) = sync_channel(AHEAD);
        let options = options(target, PATIENCE)
            .max_allowed_packet(Some(LARGEST_PACKET))
            .read_timeout(Some(PATIENCE));
        let (name, start) = (endpoint.clone(), start.clone());
        std::thread::Builder::new()
            .name("binlog".into())
            .spawn(move || read(options, product, &start, &name, &sender))
            .map_err(|error| lost(&endpoint, format!("no thread for the stream: {error}")))?;
        Ok(Self { endpoint, events })
    }

    /// The next event; none at the end of the log.
    ///
    /// # Errors
    /// When the server refuses, ends the stream, or sends nothing until `deadline`.
    pub fn next(&mut self, deadline: Deadline) -> Result<Option<Read>, ServerError> {
        let waited = deadline.at_most(PATIENCE).remaining();
        match self.events.recv_timeout(waited) {
            Ok(next) => next,
            Err(RecvTimeoutError::Disconnected) => {
                Err(lost(&self.endpoint, "the stream broke off".into()))
            }
            Err(RecvTimeoutError::Timeout) => Err(ServerError::Silent {
                endpoint: self.endpoint.clone(),
                waited,
                doing: "reading the binary log".into(),
            }),
        }
    }
}

fn lost(endpoint: &str, detail: String) -> ServerError {
    ServerError::Lost {
        endpoint: endpoint.to_owned(),
        detail,
    }
}

fn read(
    options: OptsBuilder,
    product: Product,
    start: &BinlogPosition,
    endpoint: &str,
    events: &SyncSender<Next>,
) {
    let stream = match request(options, product, start) {
        Ok(stream) => stream,
        Err(error) => {
            // A reader that has walked away does not want the error either.
            let _ = events.send(Err(classify(endpoint, &error)));
            return;
        }
    };
    for event in stream {
        let read = match event {
            Ok(event) => raw(&event)
                .ok_or_else(|| lost(endpoint, "an event that is not as long as it says".into())),
            Err(error) => Err(classify(endpoint, &error)),
        };
        let failed = read.is_err();
        if events.send(read.map(Some)).is_err() || failed {
            return;
        }
    }
    let _ = events.send(Ok(None));
}

fn request(
    options: OptsBuilder,
    product: Product,
    start: &BinlogPosition,
) -> mysql::Result<mysql::BinlogStream> {
    let mut connection = Conn::new(options)?;
    if product == Product::MariaDb {
        // Without it MariaDB sends made-up events in the place of its transaction numbers.
        connection.query_drop("SET @mariadb_slave_capability = 4")?;
    }
    let offset = match u32::try_from(start.offset) {
        Ok(_) => start.offset,
        Err(_) => 4,
    };
    connection.get_binlog_stream(
        BinlogRequest::new(SERVER_ID)
            .with_filename(start.file.as_bytes())
            .with_pos(offset)
            .with_flags(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK),
    )
}

/// The event as it came: the crate takes it apart and keeps every byte.
fn raw(event: &Event) -> Option<Read> {
    let header = event.header();
    let mut bytes = Vec::with_capacity(event.data().len() + 24);
    bytes.extend(header.timestamp().to_le_bytes());
    bytes.push(header.event_type_raw());
    bytes.extend(header.server_id().to_le_bytes());
    bytes.extend(header.event_size().to_le_bytes());
    bytes.extend(header.log_pos().to_le_bytes());
    bytes.extend(header.flags_raw().to_le_bytes());
    bytes.extend(event.data());
    let algorithm = event.footer().get_checksum_alg().ok()?;
    if let (Some(algorithm), kind::FORMAT_DESCRIPTION) = (algorithm, header.event_type_raw()) {
        bytes.push(algorithm as u8);
    }
    let checksum = event.checksum();
    let sound = match (checksum, algorithm) {
        (Some(sum), Some(algorithm @ BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32)) => {
            event.calc_checksum(algorithm) == u32::from_le_bytes(sum)
        }
        _ => true,
    };
    bytes.extend(checksum.iter().flatten());
    let event = RawEvent::new(bytes, checksum.is_some())?;
    Some(Read { event, sound })
}
