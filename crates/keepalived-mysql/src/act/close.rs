//! Closing this node: before any lock, idempotent, and recorded.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::receipt::Receipt;
use crate::act::servers::described;
use crate::deadline::{Deadline, Pauses};
use crate::decide::plan::Step;
use crate::ledger::files::Durability;
use crate::ledger::record::Coordinates;
use crate::node::{Contact, local_target};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::ReplicaStatus;
use crate::server::access::{self, Closed};
use crate::server::connection::ServerError;
use crate::sys::utc_now;

/// Reading positions after closing is worth this much of a hook's time, and no more.
const RECORDING: Duration = Duration::from_millis(300);

/// Where this node stood when it was closed.
#[derive(Debug, Clone, Serialize)]
struct Stood {
    at: String,
    /// `server`, or `files` if the server was down.
    told_by: &'static str,
    coordinates: Coordinates,
    channels: Vec<ReplicaStatus>,
}

/// Closes the local server. A server that is down is closed.
pub fn close_server(here: &Here, timeout: Duration) -> Result<Closed, Failure> {
    let target = local_target(&here.config, &here.node);
    let deadline = Deadline::after(timeout);
    let mut pauses = Pauses::up_to(Duration::from_millis(50));
    loop {
        if here.master_again() {
            return Err(Failure::Superseded);
        }
        let error = match access::close(&here.ladder(&target, deadline)) {
            Ok(closed) => return Ok(closed),
            Err(ServerError::NotListening { .. }) => {
                return Ok(Closed {
                    already: true,
                    ..Closed::default()
                });
            }
            Err(error) => error,
        };
        // A connection that ends half way is what a dying server looks like; a moment later it is
        // known to be down, which is closed. Too many connections may be fewer then.
        let passing = matches!(error, ServerError::Lost { .. }) || error.code() == Some(1040);
        if !passing || !pauses.wait(deadline) {
            return Err(Failure::Incomplete(format!(
                "this node may still accept writes: {error}"
            )));
        }
    }
}

/// Closes the local server, notes where it stood and keeps a receipt of it.
pub fn close_local(here: &Here, why: &str, timeout: Duration) -> Result<Closed, Failure> {
    let mut receipt = Receipt::begin(here, "close", format!("close {}: {why}", here.node.name));
    crate::switches::reached("close.before");
    let result = receipt.time(&Step::Close, || {
        close_server(here, timeout).map(|closed| {
            let note = described(&closed);
            (closed, note)
        })
    });
    crate::switches::reached("close.after");
    here.forget_opened();
    if result.is_ok() {
        // Best effort: a node that is closed is safe whether or not its position was noted.
        let _ = receipt.time(&Step::RecordPosition, || Ok(((), record_position(here))));
    }
    // A node that was closed before is no event: hooks come in bursts and history is for people.
    match &result {
        Ok(closed) if closed.already => {}
        Ok(_) => {
            receipt.finish(here, "closed");
        }
        Err(failure) => {
            receipt.finish(here, failure.to_string());
        }
    }
    result
}

fn record_position(here: &Here) -> String {
    let stood = match ask_server(here) {
        Ok(stood) => stood,
        Err(error) => {
            log::info!("asking the binary log's files instead of the server: {error}");
            from_files(here)
        }
    };
    match here.keep("last-position.json", &stood, Durability::Cache) {
        Ok(()) => format!("told by the {}", stood.told_by),
        Err(error) => format!("not written: {error}"),
    }
}

fn ask_server(here: &Here) -> Result<Stood, ServerError> {
    let deadline = Deadline::after(RECORDING);
    let mut contact = Contact::open(&local_target(&here.config, &here.node), deadline)?;
    let mut facts = contact.facts(deadline)?;
    facts.binlog_end = contact.binlog_end(deadline)?;
    here.note_binlog_base(facts.binlog_base.as_deref());
    Ok(Stood {
        at: utc_now(),
        told_by: "server",
        coordinates: facts.coordinates(),
        channels: facts.channels,
    })
}

/// With the server dead, the index of its binary log and the size of the last file tell the end.
fn from_files(here: &Here) -> Stood {
    let position = here
        .binlog_base()
        .and_then(|base| end_of_files(Path::new(&base)));
    Stood {
        at: utc_now(),
        told_by: "files",
        coordinates: Coordinates {
            position,
            ..Coordinates::default()
        },
        channels: Vec::new(),
    }
}

fn end_of_files(base: &Path) -> Option<BinlogPosition> {
    let index = std::fs::read_to_string(base.with_extension("index")).ok()?;
    let last = index.lines().rfind(|line| !line.trim().is_empty())?;
    let file = Path::new(last.trim()).file_name()?;
    let offset = std::fs::metadata(base.with_file_name(file)).ok()?.len();
    Some(BinlogPosition {
        file: file.to_string_lossy().into_owned(),
        offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_of_the_index_tells_the_end() {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder.path().join("binlog");
        std::fs::write(
            base.with_extension("index"),
            "./binlog.000001\n./binlog.000002\n",
        )
        .expect("index");
        std::fs::write(folder.path().join("binlog.000002"), vec![0; 1234]).expect("log");
        let end = end_of_files(&base).expect("end");
        assert_eq!((end.file.as_str(), end.offset), ("binlog.000002", 1234));
    }
}
