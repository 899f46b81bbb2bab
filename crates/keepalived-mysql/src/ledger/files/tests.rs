#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;

fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::at(&folder.path().join("base/group")).unwrap();
    (folder, state)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn makes_its_folders_for_itself() {
    let (folder, state) = state();
    assert_eq!(mode(&folder.path().join("base")), 0o750);
    assert_eq!(mode(state.path()), 0o750);
    StateDir::at(state.path()).unwrap();
}

#[test]
fn refuses_a_folder_of_others() {
    let (folder, state) = state();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = StateDir::at(state.path());
    assert!(matches!(refused, Err(StateError::OpenToOthers { .. })));
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("base"), &link).unwrap();
    assert!(matches!(StateDir::at(&link), Err(StateError::Io { .. })));
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::chown(state.path(), Some(65534), None).unwrap();
        let refused = StateDir::at(state.path());
        assert!(matches!(
            refused,
            Err(StateError::NotOurs { owner: 65534, .. })
        ));
    }
}

#[test]
fn what_is_written_is_read() {
    let (_folder, state) = state();
    for durability in [Durability::Fsync, Durability::Cache] {
        let data = vec![1u32, 2, 3];
        state.write_atomic("x.json", &data, durability).unwrap();
        assert_eq!(state.read::<Vec<u32>>("x.json"), ReadOutcome::Ok(data));
    }
    let text = fs::read_to_string(state.path().join("x.json")).unwrap();
    assert_eq!(text, "{\"format\":1,\"kind\":\"x\",\"data\":[1,2,3]}\n");
    assert_eq!(mode(&state.path().join("x.json")), 0o640);
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "no litter");
    state.remove("x.json").unwrap();
    state.remove("x.json").unwrap();
    assert_eq!(state.read::<Vec<u32>>("x.json"), ReadOutcome::Missing);
}

#[test]
fn every_truncation_is_set_aside() {
    let (_folder, state) = state();
    state
        .write_atomic("x.json", &json!({"a": [1]}), Durability::Cache)
        .unwrap();
    let whole = fs::read(state.path().join("x.json")).unwrap();
    // Without its last newline alone the document is still whole.
    for length in 0..whole.len() - 1 {
        fs::write(state.path().join("x.json"), &whole[..length]).unwrap();
        match state.read::<serde_json::Value>("x.json") {
            ReadOutcome::Unreadable {
                set_aside: Some(to),
                ..
            } => assert_eq!(fs::read(to).unwrap(), whole[..length]),
            other => panic!("{length}: {other:?}"),
        }
        assert_eq!(
            state.read::<serde_json::Value>("x.json"),
            ReadOutcome::Missing
        );
    }
}

#[test]
fn a_newer_format_is_named_and_peeking_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::at(folder.path()).unwrap();
    let file = folder.path().join("x.json");
    fs::write(&file, "{\"format\":7,\"kind\":\"x\",\"data\":1}").unwrap();
    match run.peek::<u32>("x.json") {
        ReadOutcome::Unreadable {
            why,
            set_aside: None,
        } => assert!(why.contains("format 7 is newer"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(file.exists());
    assert!(run.read::<u32>("x.json").ok().is_none());
    assert!(!file.exists());
}

#[test]
fn a_pipe_or_a_folder_neither_hangs_nor_moves() {
    let (_folder, state) = state();
    fs::create_dir(state.path().join("x.json")).unwrap();
    let read = state.read::<u32>("x.json");
    assert!(matches!(
        read,
        ReadOutcome::Unreadable {
            set_aside: None,
            ..
        }
    ));
    let failed = state.write_atomic("x.json", &1, Durability::Cache);
    assert!(matches!(failed, Err(StateError::Io { .. })));
}

#[test]
fn errors_say_what_to_do() {
    use crate::cli::Failure as _;
    let path = Path::new("/x/role.json");
    let of = |code| StateError::of("write", path, std::io::Error::from_raw_os_error(code));
    let full = of(nix::libc::ENOSPC);
    assert!(matches!(full, StateError::DiskFull { .. }));
    assert_eq!(full.to_string(), "no space left to write /x/role.json");
    assert!(full.message().hint.unwrap().contains("free space"));
    assert!(matches!(
        of(nix::libc::EROFS),
        StateError::NotWritable { .. }
    ));
    assert!(matches!(of(nix::libc::EIO), StateError::Io { .. }));
}

#[test]
fn a_link_in_the_place_of_the_history_is_not_followed() {
    let (folder, state) = state();
    let target = folder.path().join("target");
    fs::write(&target, "precious\n").unwrap();
    std::os::unix::fs::symlink(&target, state.path().join(HISTORY)).unwrap();
    assert!(state.append_history(&json!({})).is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious\n");
}

#[test]
fn history_tolerates_a_torn_line() {
    let (_folder, state) = state();
    assert_eq!(state.history().unwrap(), History::default());
    state.append_history(&json!({"n": 1})).unwrap();
    let file = state.path().join(HISTORY);
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("{\"n\": 2, \"to");
    fs::write(&file, text).unwrap();
    assert_eq!(state.history().unwrap().unreadable.len(), 1);
    state.append_history(&json!({"n": 3})).unwrap();
    let history = state.history().unwrap();
    assert_eq!(history.events, [json!({"n": 1}), json!({"n": 3})]);
    let [broken] = &history.unreadable[..] else {
        panic!("not one: {:?}", history.unreadable);
    };
    assert_eq!((broken.file.as_str(), broken.line), (HISTORY, 2));
    assert_eq!(state.last_event().unwrap(), Some(json!({"n": 3})));
}

#[test]
fn history_is_turned_over() {
    let (_folder, state) = state();
    for n in 0..10 {
        history::append(&state.0, &json!({"n": n}), 50).unwrap();
    }
    assert!(state.path().join("history.jsonl.1").exists());
    let size = fs::metadata(state.path().join(HISTORY)).map_or(0, |m| m.len());
    assert!(size < 60, "{size}");
    let last = state.history().unwrap().events;
    assert!(last.len() >= 6, "{last:?}");
    assert_eq!(last.last(), Some(&json!({"n": 9})));
}

#[test]
fn many_writers_do_not_mix_lines() {
    let (_folder, state) = state();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let state = &state;
            scope.spawn(move || {
                for n in 0..10 {
                    let long = "x".repeat(500);
                    state
                        .append_history(&json!({"w": writer, "n": n, "x": long}))
                        .unwrap();
                }
            });
        }
    });
    let history = state.history().unwrap();
    assert_eq!((history.events.len(), history.unreadable.len()), (80, 0));
}

#[test]
fn who_only_looks_makes_changes_and_sets_aside_nothing() {
    let (folder, state) = state();
    let missing = StateDir::look_at(&folder.path().join("none"));
    assert_eq!(missing.read::<u64>("a.json"), ReadOutcome::Missing);
    assert_eq!(missing.history().unwrap(), History::default());
    assert_eq!(missing.last_event().unwrap(), None);
    assert!(!missing.path().exists());
    fs::write(state.path().join("a.json"), "garbage").unwrap();
    let look = StateDir::look_at(state.path());
    assert!(matches!(
        look.read::<u64>("a.json"),
        ReadOutcome::Unreadable {
            set_aside: None,
            ..
        }
    ));
    assert!(look.write_atomic("b.json", &1, Durability::Cache).is_err());
    assert!(look.append_history(&json!({})).is_err());
    look.remove("a.json").unwrap();
    let names: Vec<_> = fs::read_dir(state.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.json"]);
}
