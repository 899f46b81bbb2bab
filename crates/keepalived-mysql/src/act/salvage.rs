//! Salvage: what an old master alone committed is copied before anything else touches it.
//!
//! `state_dir/GROUP/salvage/TIME-NODE-EPOCH/` holds the transactions as a binary log and a summary.
//! It appears whole or not at all: everything is written and synced in a folder whose name begins
//! with a dot, which is then renamed. What a killed run leaves behind the next one removes. Nothing
//! here deletes or changes a finished salvage.

mod folder;
mod start;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::rejoin::wanted;
use crate::binlog::file::{BinlogFile, RESERVE, free};
use crate::binlog::stream::Stream;
use crate::binlog::summary::{FILE, Summary, Taken};
use crate::binlog::take::Taker;
use crate::deadline::Deadline;
use crate::node::Contact;
use crate::replication::evidence::Lost;
use crate::server::connection::ServerError;
use crate::sys::utc_now;
use crate::view::{Facts, NodeView};

pub use folder::{Kept, kept, kept_text};

use folder::Salvages;
use start::Start;

/// One run may take this long. A run that does not finish begins anew with the next repair.
const LONGEST: Duration = Duration::from_secs(1800);

/// How often a run looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A salvage that is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salvaged {
    /// Its folder.
    pub folder: PathBuf,
    /// Whole transactions in it.
    pub transactions: u64,
    /// What it holds, and what it lacks, in a few words.
    pub what: String,
}

impl Salvaged {
    fn of(folder: PathBuf, taken: &Taken) -> Self {
        let mut what = taken.in_short();
        if !taken.complete() {
            what.push_str(", NOT all that was lost");
        }
        Self {
            folder,
            transactions: taken.transactions,
            what,
        }
    }

    /// For the mark, the verdict and the receipt.
    pub fn words(&self) -> String {
        format!(
            "{} salvaged to {}; summary.txt there says what to do",
            self.what,
            self.folder.display()
        )
    }
}

/// The salvage of `lost`, if it has been taken before and nothing was written since.
pub fn known(here: &Here, me: &NodeView, lost: &Lost) -> Option<Salvaged> {
    let facts = me.facts.as_ref()?;
    let (folder, summary) = Salvages::open(here).ok()?.find(facts, lost)?;
    let end = facts.binlog_end.as_ref();
    let unchanged = match lost {
        // The numbers say all; a position is the beginning of something that may have grown.
        Lost::MySql { .. } | Lost::MariaDb { .. } => true,
        Lost::Position { .. } => {
            summary.taken.scanned_to.as_ref() == end || here.salvage_seen(&folder).as_ref() == end
        }
    };
    (end.is_some() && unchanged).then(|| Salvaged::of(folder, &summary.taken))
}

/// Copies the lost transactions of this node's own binary log. The caller holds the transition lock.
///
/// # Errors
/// When there is no room, the log cannot be read, or a newer intent has come. Nothing is left behind.
pub fn salvage(
    here: &Here,
    contact: &mut Contact,
    me: &NodeView,
    lost: &Lost,
    source: &str,
) -> Result<Salvaged, Failure> {
    let facts = me
        .facts
        .as_ref()
        .ok_or_else(|| Failure::NoServer(me.why.clone()))?;
    let salvages = Salvages::open(here)?;
    salvages.sweep();
    let start = start::find(contact, lost)?;
    room(&salvages, &start)?;
    let partial = salvages.partial()?;
    let path = partial.path().join(FILE);
    let mut file = BinlogFile::create(&path).map_err(|error| disk(&salvages, &error))?;
    let mut taken = take(here, contact, lost, &start, &mut file, &salvages)?;
    file.finish().map_err(|error| disk(&salvages, &error))?;
    taken.not_found.extend(start.gone.clone());
    taken.not_found.extend(unread(lost, facts, &taken));
    if let Some((folder, before)) = salvages.find(facts, lost)
        && before.taken.last == taken.last
        && before.taken.transactions == taken.transactions
    {
        here.note_salvage_seen(&folder, taken.scanned_to.as_ref());
        return Ok(Salvaged::of(folder, &before.taken));
    }
    let summary = summary(here, facts, lost, source, &start, taken);
    let folder = salvages.complete(partial, &summary)?;
    log::warn!(
        "{} salvaged to {}",
        summary.taken.in_short(),
        folder.display()
    );
    Ok(Salvaged::of(folder, &summary.taken))
}

fn take(
    here: &Here,
    contact: &Contact,
    lost: &Lost,
    start: &Start,
    file: &mut BinlogFile,
    salvages: &Salvages,
) -> Result<Taken, Failure> {
    let deadline = Deadline::after(LONGEST);
    let target = here.target(&here.node);
    let mut stream =
        Stream::open(&target, contact.dialect.product, &start.place).map_err(|e| refused(&e))?;
    let mut taker = Taker::new(lost, &start.place, &start.files, file);
    let mut look = Deadline::after(LOOK_EVERY);
    while let Some(read) = stream.next(deadline).map_err(|error| refused(&error))? {
        if look.expired() {
            wanted(here)?;
            if deadline.expired() {
                return Err(Failure::Failed(format!(
                    "the salvage was not done within {LONGEST:?}"
                )));
            }
            look = Deadline::after(LOOK_EVERY);
        }
        taker.event(&read).map_err(|error| disk(salvages, &error))?;
    }
    taker.end().map_err(|error| disk(salvages, &error))
}

/// By position nothing counts the transactions: a stream that ended before the log's end, as it was when
/// the divergence was seen, lacks some.
fn unread(lost: &Lost, facts: &Facts, taken: &Taken) -> Option<String> {
    let end = facts.binlog_end.as_ref()?;
    let reached = taken.scanned_to.as_ref();
    let short =
        matches!(lost, Lost::Position { .. }) && reached.is_none_or(|reached| reached < end);
    short.then(|| match reached {
        Some(reached) => format!("the log from {reached} to {end}"),
        None => format!("the log up to {end}"),
    })
}

fn summary(
    here: &Here,
    facts: &Facts,
    lost: &Lost,
    source: &str,
    start: &Start,
    taken: Taken,
) -> Summary {
    Summary {
        taken_at: utc_now(),
        group: here.config.group.clone(),
        node: here.node.name.clone(),
        source: source.to_owned(),
        epoch: facts.own_epoch(),
        server: facts.dialect.to_string(),
        product: facts.dialect.product,
        identity: facts.identity.clone(),
        server_id: facts.server_id,
        lost: lost.clone(),
        scanned_from: start.place.clone(),
        taken,
    }
}

/// No more is written than the log holds from its beginning on; by number it is mostly far less, and
/// the file looks at the room itself while it grows.
fn room(salvages: &Salvages, start: &Start) -> Result<(), Failure> {
    let needed = RESERVE + start.at_most.unwrap_or(0);
    let free = free(salvages.path()).map_err(|error| disk(salvages, &error))?;
    if free >= needed {
        return Ok(());
    }
    log::warn!("{} has {} MiB free", salvages.path().display(), free >> 20);
    Err(no_room(salvages, needed))
}

fn no_room(salvages: &Salvages, needed: u64) -> Failure {
    Failure::Failed(format!(
        "there is no room for it in {}: {} MiB must be free; make room, the next repair tries again",
        salvages.path().display(),
        needed.div_ceil(1 << 20)
    ))
}

fn disk(salvages: &Salvages, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_room(salvages, RESERVE),
        _ => Failure::Failed(format!(
            "{} cannot be written: {error}",
            salvages.path().display()
        )),
    }
}

/// 1045 on MySQL 5.6, 1227 elsewhere: the account may not read the binary log.
fn refused(error: &ServerError) -> Failure {
    let remedy = match error.code() {
        Some(1045 | 1227) => {
            "; the local account needs REPLICATION SLAVE for it (examples/grants), and the next repair tries again"
        }
        Some(1236) => "; the binary log no longer holds it, or cannot be read",
        _ => "",
    };
    Failure::Failed(format!(
        "reading this node's own binary log: {error}{remedy}"
    ))
}
