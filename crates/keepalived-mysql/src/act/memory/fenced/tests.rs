#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use super::*;
use crate::config::Config;
use crate::decide::rule::Refusal;

fn node(folder: &Path) -> Here {
    let file = folder.join("VI_1.toml");
    let at = folder.display();
    fs::write(
        &file,
        format!(
            "group = \"VI_1\"\nvips = [\"192.0.2.38\"]\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n\
             [[node]]\nname = \"node-a\"\naddress = \"192.0.2.36\"\n\
             [[node]]\nname = \"node-b\"\naddress = \"192.0.2.37\"\n\
             [accounts.local]\nuser = \"keepalived\"\npassword = \"x\"\n\
             [accounts.replication]\nuser = \"repl\"\npassword = \"x\"\n\
             [keepalived]\npid_file = \"{at}/keepalived.pid\"\n"
        ),
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(&file).unwrap().config;
    let node = config.node[0].clone();
    Here::open(config, node, "test")
}

/// Two checks at once after keepalived was restarted: the second said "refused: fenced" once more,
/// because the first had removed the mark and not yet the refusal.
#[test]
fn a_refusal_outlived_the_mark_that_caused_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = node(folder.path());
    for _ in 0..200 {
        here.note(
            FENCED,
            &FencedMark {
                by: Epoch::new(2, "node-b"),
                keepalived_pid: 1,
            },
        );
        here.note_refused(&Refusal::new(Rule::Fenced, "a test", "none"));
        thread::scope(|scope| {
            scope.spawn(|| here.end_fenced_mark());
            while here.fenced_mark().is_some() {
                thread::yield_now();
            }
            assert!(here.refused().is_none());
        });
    }
}
