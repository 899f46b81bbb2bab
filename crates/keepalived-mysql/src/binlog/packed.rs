//! What is packed: MariaDB's compressed events, MySQL's transaction payloads and tagged numbers.

use std::io::Read;

use mysql::binlog::BinlogVersion;
use mysql::binlog::events::{
    Event, FormatDescriptionEvent, GtidEvent, TransactionPayloadEvent, TransactionPayloadReader,
};

use crate::binlog::event::{Gtid, HEADER, RawEvent, one_of, u32_at};

/// More than this is not unpacked to count rows.
const LARGEST: u64 = 256 << 20;

/// Unpacks one of MariaDB's compressed blocks: a byte with the algorithm and the length of the
/// length, the length, and zlib's stream (MariaDB source, `log_event.cc`: `binlog_buf_uncompress`).
pub fn mariadb(block: &[u8]) -> Option<Vec<u8>> {
    let head = *block.first()?;
    let of_length = usize::from(head & 0x07);
    if head & 0x80 == 0 || (head & 0x70) != 0 {
        return None;
    }
    let packed = block.get(1 + of_length..)?;
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(LARGEST)
        .read_to_end(&mut plain)
        .ok()?;
    Some(plain)
}

/// The number in MySQL's tagged event (8.3 and newer).
pub fn tagged_gtid(event: &RawEvent) -> Option<Gtid> {
    let event = parsed(event)?;
    let gtid: GtidEvent = event.read_event().ok()?;
    let tag = gtid.tag().map(ToString::to_string).unwrap_or_default();
    one_of(&gtid.sid(), &tag, gtid.gno())
}

/// Hands each event inside MySQL's compressed transaction to `each`. False if not all could be read.
pub fn payload(event: &RawEvent, each: &mut dyn FnMut(&RawEvent)) -> bool {
    let Some(event) = parsed(event) else {
        return false;
    };
    let Ok(payload) = event.read_event::<TransactionPayloadEvent<'_>>() else {
        return false;
    };
    let Ok(mut events) = payload.decompressed() else {
        return false;
    };
    loop {
        match events.has_data_left() {
            Ok(false) => return true,
            Err(_) => return false,
            Ok(true) => {}
        }
        let Some(inner) = inner(&mut events) else {
            return false;
        };
        each(&inner);
    }
}

fn inner(events: &mut TransactionPayloadReader<'_>) -> Option<RawEvent> {
    let mut bytes = vec![0; HEADER];
    events.read_exact(&mut bytes).ok()?;
    let size = u64::from(u32_at(&bytes, 9)?);
    let rest = size.checked_sub(HEADER as u64).filter(|r| *r <= LARGEST)?;
    let read = events.take(rest).read_to_end(&mut bytes).ok()?;
    (read as u64 == rest).then(|| RawEvent::new(bytes, false))?
}

/// The event as the `mysql` crate sees it.
fn parsed(event: &RawEvent) -> Option<Event> {
    let format = FormatDescriptionEvent::new(BinlogVersion::Version4);
    Event::read(&format, event.bare().as_slice()).ok()
}
