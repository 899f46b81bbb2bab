#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::ledger::files::{RunDir, StateError};
use crate::sys::Birth;

fn intent(role: Role, boot: &str, ticks: u64, pid: i32) -> Intent {
    Intent {
        role,
        birth: Birth {
            boot_id: boot.to_owned(),
            start_ticks: ticks,
            pid,
        },
        by: "test".to_owned(),
        at: "2020-01-01T00:00:00.000Z".to_owned(),
        instance: None,
    }
}

fn store(folder: &Path, boot: &str) -> IntentStore {
    IntentStore::in_boot(&RunDir::at(folder).unwrap(), boot.to_owned())
}

#[test]
fn words_of_keepalived() {
    for role in [Role::Master, Role::Backup, Role::Fault, Role::Stop] {
        assert_eq!(role.to_string().parse::<Role>().unwrap(), role);
        assert_eq!(role.closes(), role != Role::Master);
    }
    for word in ["", "master", "DELETED", "MASTER "] {
        let error = word.parse::<Role>().unwrap_err().to_string();
        assert!(error.contains("MASTER, BACKUP, FAULT or STOP"), "{error}");
    }
}

#[test]
fn the_order_of_two_intents() {
    use Role::{Backup, Fault, Master, Stop};
    // newer, older
    let table = [
        // another boot is older, however late it was in that boot
        (intent(Master, "now", 1, 1), intent(Backup, "old", 99, 99)),
        // a later start wins, whatever the role and the pid
        (intent(Master, "now", 2, 1), intent(Stop, "now", 1, 99)),
        (intent(Backup, "now", 2, 1), intent(Master, "now", 1, 99)),
        // within one tick closing wins, whatever the pid
        (intent(Backup, "now", 5, 1), intent(Master, "now", 5, 99)),
        (intent(Fault, "now", 5, 1), intent(Master, "now", 5, 99)),
        (intent(Stop, "now", 5, 1), intent(Master, "now", 5, 99)),
        // within one kind the pid decides
        (intent(Master, "now", 5, 8), intent(Master, "now", 5, 7)),
        (intent(Backup, "now", 5, 8), intent(Stop, "now", 5, 7)),
    ];
    for (newer, older) in &table {
        assert!(supersedes(newer, older, "now"), "{newer:?} {older:?}");
        assert!(!supersedes(older, newer, "now"), "{newer:?} {older:?}");
    }
    let one = intent(Backup, "now", 5, 8);
    assert!(!supersedes(&one, &one, "now"));
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let role = prop_oneof![
        Just(Role::Master),
        Just(Role::Backup),
        Just(Role::Fault),
        Just(Role::Stop)
    ];
    (role, 0..3u8, 0..3u64, 0..3i32)
        .prop_map(|(role, boot, ticks, pid)| intent(role, &format!("b{boot}"), ticks, pid))
}

proptest! {
    #[test]
    fn the_order_is_total(a in any_intent(), b in any_intent(), c in any_intent()) {
        let newer = |x: &Intent, y: &Intent| supersedes(x, y, "b1");
        prop_assert!(!newer(&a, &a));
        prop_assert!(!(newer(&a, &b) && newer(&b, &a)));
        if newer(&a, &b) && newer(&b, &c) {
            prop_assert!(newer(&a, &c));
        }
        // Only births of one process with one kind of role are equal.
        if !newer(&a, &b) && !newer(&b, &a) {
            prop_assert_eq!(&a.birth, &b.birth);
            prop_assert_eq!(a.role.closes(), b.role.closes());
        }
    }

    #[test]
    fn whatever_the_order_of_recording_the_newest_stays(
        mut intents in proptest::collection::vec(any_intent(), 1..12),
        seed in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), "b1");
        let turn = usize::try_from(seed % intents.len() as u64).unwrap();
        intents.rotate_left(turn);
        for intent in &intents {
            store.record(intent).unwrap();
        }
        if let Some(current) = store.current().unwrap() {
            prop_assert!(intents.iter().all(|one| !supersedes(one, &current, "b1")));
        } else {
            prop_assert!(intents.iter().all(|one| one.birth.boot_id != "b1"));
        }
    }
}

#[test]
fn records_in_the_order_of_birth() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "now");
    assert_eq!(store.current().unwrap(), None);
    let (old, new) = (
        intent(Role::Master, "now", 1, 1),
        intent(Role::Backup, "now", 2, 2),
    );
    assert_eq!(store.record(&new).unwrap(), Recorded::Newest);
    let late = store.record(&old).unwrap();
    assert_eq!(late, Recorded::Superseded(new.clone()));
    assert_eq!(store.current().unwrap(), Some(new.clone()));
    assert!(store.is_superseded(&old) && !store.is_superseded(&new));
    // The same intent again changes nothing and is no error.
    assert_eq!(store.record(&new).unwrap(), Recorded::Newest);
}

#[test]
fn another_boot_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let before = intent(Role::Backup, "before", 900, 9);
    store(folder.path(), "before").record(&before).unwrap();
    let after = store(folder.path(), "after");
    assert_eq!(after.current().unwrap(), None);
    let first = intent(Role::Master, "after", 1, 1);
    assert!(!after.is_superseded(&first));
    assert_eq!(after.record(&first).unwrap(), Recorded::Newest);
}

#[test]
fn what_cannot_be_read_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "now");
    let file = folder.path().join("role.json");
    let bad = [
        "",
        "{\"format\":1,\"kind\":\"role\",\"da",
        "garbage",
        "{\"format\":2,\"kind\":\"role\",\"data\":{}}",
        "{\"format\":1,\"kind\":\"role\",\"data\":{\"role\":\"KING\"}}",
        "{\"format\":1,\"kind\":\"other\",\"data\":{}}",
    ];
    for (i, text) in bad.iter().enumerate() {
        fs::write(&file, text).unwrap();
        assert_eq!(store.current().unwrap(), None, "{text}");
        let aside = folder.path().join(format!("role.json.bad-{}", i + 1));
        assert_eq!(&fs::read_to_string(aside).unwrap(), text);
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    let one = intent(Role::Backup, "now", 1, 1);
    assert_eq!(store.record(&one).unwrap(), Recorded::Newest);
    assert_eq!(store.current().unwrap(), Some(one));
}

#[test]
fn what_cannot_be_told_leads_to_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "now");
    fs::create_dir(folder.path().join("role.json")).unwrap();
    assert!(store.is_superseded(&intent(Role::Master, "now", 1, 1)));
    assert!(!store.is_superseded(&intent(Role::Backup, "now", 1, 1)));
}

#[test]
fn a_held_lock_is_an_error_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "now");
    let file = crate::lock::open_lock(&folder.path().join("role.lock")).unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    let refused = store.record(&intent(Role::Stop, "now", 1, 1));
    assert!(matches!(refused, Err(StateError::Busy { .. })));
}

/// Sixty hooks of a flapping keepalived, started in any order, record at once.
#[test]
fn a_storm_leaves_the_newest() {
    for round in 0..3u64 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), "now");
        let gate = std::sync::Barrier::new(60);
        std::thread::scope(|scope| {
            for i in 0..60u64 {
                let (store, gate) = (&store, &gate);
                // 37 and 60 have no common divisor: each birth comes once, in a scattered order.
                let birth = (i * 37 + round * 13) % 60;
                let role = if birth % 2 == 0 {
                    Role::Master
                } else {
                    Role::Backup
                };
                let one = intent(
                    role,
                    "now",
                    100 + birth / 4,
                    1000 + i32::try_from(birth).unwrap(),
                );
                scope.spawn(move || {
                    gate.wait();
                    // A loaded machine may not get sixty turns into one 200 ms wait.
                    while matches!(store.record(&one), Err(StateError::Busy { .. })) {}
                });
            }
        });
        let newest = intent(Role::Backup, "now", 114, 1059);
        assert_eq!(store.current().unwrap(), Some(newest));
        assert!(
            fs::read_dir(folder.path()).unwrap().count() <= 2,
            "no litter"
        );
    }
}
