//! Where in the binary log the lost transactions begin.

use crate::act::failure::Failure;
use crate::act::servers::SHORT;
use crate::deadline::Deadline;
use crate::node::Contact;
use crate::replication::evidence::Lost;
use crate::replication::position::BinlogPosition;
use crate::server::connection::ServerError;

/// The event that says which transactions stand before a file is among the first ones.
const HEAD: u32 = 4;

/// Where reading begins.
#[derive(Debug)]
pub(super) struct Start {
    /// The place.
    pub(super) place: BinlogPosition,
    /// The files of the log, oldest first.
    pub(super) files: Vec<String>,
    /// Bytes from there to the end, where all of them are wanted.
    pub(super) at_most: Option<u64>,
    /// Said of transactions that stood in files which are gone.
    pub(super) gone: Option<String>,
}

/// By position it is the position itself; by number the newest file that begins before all of them.
pub(super) fn find(contact: &mut Contact, lost: &Lost) -> Result<Start, Failure> {
    let failed = |error: &ServerError| Failure::server("looking at this node's binary log", error);
    let sql = contact.dialect.binlog_files();
    let rows = contact
        .session
        .rows(sql, Deadline::after(SHORT))
        .map_err(|error| failed(&error))?;
    let files: Vec<(String, u64)> = rows
        .iter()
        .filter_map(|row| Some((row.at(0)?.to_owned(), row.at(1)?.parse().ok()?)))
        .collect();
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    if let Lost::Position { from, .. } = lost {
        let after = files
            .iter()
            .filter(|(name, _)| BinlogPosition::new(name.as_str(), 4) > *from);
        let own = files.iter().filter(|(name, _)| *name == from.file);
        let rest: u64 = own
            .map(|(_, size)| size.saturating_sub(from.offset))
            .chain(after.map(|(_, size)| *size))
            .sum();
        return Ok(Start {
            place: from.clone(),
            files: names,
            at_most: Some(rest),
            gone: None,
        });
    }
    for name in names.iter().rev() {
        let place = BinlogPosition::new(name.as_str(), 4);
        if head(contact, &place)
            .map_err(|error| failed(&error))?
            .is_some_and(|head| lost.all_after(&head))
        {
            return Ok(Start {
                place,
                files: names,
                at_most: None,
                gone: None,
            });
        }
    }
    let oldest = names
        .first()
        .ok_or_else(|| Failure::Failed("this server has no binary log".into()))?;
    Ok(Start {
        place: BinlogPosition::new(oldest.as_str(), 4),
        gone: Some(format!(
            "what stood in files before {oldest}, which are gone"
        )),
        files: names,
        at_most: None,
    })
}

/// What a file says of the files before it.
fn head(contact: &mut Contact, place: &BinlogPosition) -> Result<Option<String>, ServerError> {
    let sql = contact.dialect.binlog_events(place, HEAD);
    let rows = contact.session.rows(&sql, Deadline::after(SHORT))?;
    let is_head = |kind: &str| {
        kind.eq_ignore_ascii_case("Previous_gtids") || kind.eq_ignore_ascii_case("Gtid_list")
    };
    Ok(rows
        .iter()
        .find(|row| row.get("Event_type").is_some_and(is_head))
        .map(|row| row.get("Info").unwrap_or_default().to_owned()))
}
