//! Binary logs of real servers: cut into transactions, counted, and written again byte by byte.
//!
//! The fixtures are salvages that `salvage_real_servers.rs` took (`SALVAGE_FIXTURES=folder` writes them).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use keepalived_mysql::binlog::event::{RawEvent, kind};
use keepalived_mysql::binlog::file::{BinlogFile, MAGIC};
use keepalived_mysql::binlog::rows::Counter;
use keepalived_mysql::binlog::stream::Read;
use keepalived_mysql::binlog::summary::Taken;
use keepalived_mysql::binlog::take::Taker;
use keepalived_mysql::replication::evidence::Lost;
use keepalived_mysql::replication::position::BinlogPosition;
use proptest::prelude::*;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/binlog");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    assert!(all.len() >= 7, "{all:?}");
    all
}

/// The events of a file, as a server sends them.
fn events(bytes: &[u8]) -> Vec<RawEvent> {
    let mut rest = bytes.strip_prefix(MAGIC).unwrap();
    let (mut all, mut checksum) = (Vec::new(), true);
    while rest.len() >= 13 {
        let size = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
        let Some((event, after)) = rest.split_at_checked(size) else {
            break;
        };
        if event[4] == kind::FORMAT_DESCRIPTION {
            checksum = event[size - 5] == 1;
        }
        let described = event[4] == kind::FORMAT_DESCRIPTION;
        all.push(RawEvent::new(event.to_vec(), checksum || described).unwrap());
        rest = after;
    }
    all
}

fn start() -> BinlogPosition {
    BinlogPosition::new("binlog.000001", 4)
}

fn everything() -> Lost {
    Lost::Position {
        from: start(),
        server_id: 11,
    }
}

/// What is taken of these events, and the file that it makes.
fn take(events: &[RawEvent], lost: &Lost) -> (Taken, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("salvage");
    let mut file = BinlogFile::create(&path).unwrap();
    let place = start();
    let mut taker = Taker::new(lost, &place, &[], &mut file);
    for event in events {
        let event = event.clone();
        taker.event(&Read { event, sound: true }).unwrap();
    }
    let taken = taker.end().unwrap();
    file.finish().unwrap();
    (taken, fs::read(path).unwrap())
}

#[test]
fn a_salvage_of_a_salvage_is_the_same_file() {
    for path in fixtures() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let (taken, again) = take(&events(&bytes), &everything());
        assert_eq!(again, bytes, "{name}");
        // MySQL 5.6 commits an XA transaction as an ordinary one.
        let transactions = if name.starts_with("mysql-5.6") {
            11
        } else {
            12
        };
        assert_eq!(taken.transactions, transactions, "{name}: {taken:#?}");
        let changes = |table: &str| {
            let changes = &taken.tables[table];
            assert_eq!(changes.uncounted_events, 0, "{name}");
            [changes.inserted, changes.updated, changes.deleted]
        };
        assert_eq!(changes("lab.ledger"), [4, 1, 1], "{name}");
        assert_eq!(changes("lab.wide"), [2, 2, 0], "{name}");
        assert_eq!(changes("lab.more"), [4, 0, 0], "{name}");
        let said = taken.statements.join("\n");
        assert!(
            said.contains("CREATE TABLE lab.more") && said.contains("TRUNCATE"),
            "{name}: {said}"
        );
        assert!(
            said.contains("INSERT INTO lab.more VALUES (4)"),
            "{name}: {said}"
        );
        assert_eq!(taken.left_out, Vec::<String>::new(), "{name}");
    }
}

/// Wherever a log is cut off, what is not whole is left out and named.
#[test]
fn a_log_that_is_cut_off_gives_whole_transactions_only() {
    for path in fixtures() {
        let bytes = fs::read(&path).unwrap();
        let all = events(&bytes);
        let mut last = 0;
        for end in 0..=all.len() {
            let (taken, file) = take(&all[..end], &everything());
            assert!(bytes.starts_with(&file), "{}: {end}", path.display());
            assert!(taken.transactions == last || taken.transactions == last + 1);
            last = taken.transactions;
            let (again, _) = take(&events(&file), &everything());
            assert_eq!(again.transactions, taken.transactions);
            assert_eq!(again.left_out, Vec::<String>::new());
            assert!(taken.left_out.len() <= 1);
        }
    }
}

/// The transactions of another server and those that were received are not taken.
#[test]
fn only_what_is_lost_is_taken() {
    for path in fixtures() {
        let all = events(&fs::read(&path).unwrap());
        let other = Lost::Position {
            from: start(),
            server_id: 12,
        };
        assert_eq!(take(&all, &other).0.transactions, 0);
        let (whole, _) = take(&all, &everything());
        let third = whole.list[2].at.clone();
        let later = Lost::Position {
            from: third,
            server_id: 11,
        };
        assert_eq!(
            take(&all, &later).0.transactions,
            whole.transactions - 2,
            "{}",
            path.display()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damage is counted wrongly at worst; it never ends the program.
    #[test]
    fn damage_ends_nothing(file in 0usize..7, at in 0usize..6000, with in any::<u8>()) {
        let bytes = fs::read(&fixtures()[file]).unwrap();
        let mut all = events(&bytes);
        let index = at % all.len();
        let mut damaged = all[index].bytes().to_vec();
        let place = at % damaged.len();
        // The length is the protocol's own.
        prop_assume!(!(9..13).contains(&place));
        damaged[place] = with;
        all[index] = RawEvent::new(damaged, true).unwrap();
        let mut counter = Counter::default();
        for event in &all {
            counter.take(event);
            let _ = (event.gtid(), event.statement(), event.rotate(&[]));
        }
        take(&all, &everything());
    }
}
