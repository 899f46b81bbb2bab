//! The suite's configuration. The same on both nodes, but for the folders: both live on one machine here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::network::VIP;
use crate::options::{LabOptions, NodeId, NodePaths, Positioning};

type Sections = BTreeMap<String, Vec<(String, String)>>;

/// VI_1.toml as one node reads it.
pub(crate) fn suite_toml(paths: &NodePaths, options: &LabOptions) -> String {
    let mut sections = defaults(paths, options);
    for (key, value) in &options.toml {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        set(&mut sections, section, key, value);
    }
    let mut text = String::new();
    keys(&mut text, &sections, "");
    for node in NodeId::ALL {
        let socket = quoted(paths.socket().display());
        let _ = write!(
            text,
            "\n[[node]]\nname = \"{node}\"\naddress = \"{}\"\nport = 3306\nsocket = {socket}\n",
            node.address()
        );
    }
    for section in sections.keys().filter(|name| !name.is_empty()) {
        let _ = write!(text, "\n[{section}]\n");
        keys(&mut text, &sections, section);
    }
    text
}

fn defaults(paths: &NodePaths, options: &LabOptions) -> Sections {
    let etc = paths.etc();
    let password = quoted(etc.join("password").display());
    let positioning = match options.positioning {
        Positioning::Gtid | Positioning::GtidCurrent => "gtid",
        Positioning::Position => "position",
    };
    let mut all = Sections::new();
    for (section, key, value) in [
        ("", "group", quoted("VI_1")),
        ("", "vips", format!("[\"{VIP}\"]")),
        ("", "state_dir", quoted(paths.state().display())),
        ("", "run_dir", quoted(paths.run().join("suite").display())),
        ("accounts.local", "user", quoted("keepalived")),
        ("accounts.local", "password_file", password.clone()),
        ("accounts.peer", "user", quoted("keepalived")),
        ("accounts.peer", "password_file", password),
        ("accounts.replication", "user", quoted("repl")),
        (
            "accounts.replication",
            "password_file",
            quoted(etc.join("repl-password").display()),
        ),
        ("replication", "positioning", quoted(positioning)),
        // A scenario that wants it says so; elsewhere a standby that dies would stall the writers.
        ("semi_sync", "manage", quoted("off")),
        (
            "keepalived",
            "config",
            quoted(etc.join("keepalived.conf").display()),
        ),
        (
            "keepalived",
            "pid_file",
            quoted(paths.run().join("keepalived.pid").display()),
        ),
        ("keepalived", "instance", quoted("VI_1")),
        (
            "log",
            "file",
            quoted(paths.log().join("suite.log").display()),
        ),
        ("log", "journal", "false".to_owned()),
        ("log", "level", quoted("debug")),
    ] {
        set(&mut all, section, key, &value);
    }
    all
}

fn set(sections: &mut Sections, section: &str, key: &str, value: &str) {
    let keys = sections.entry(section.to_owned()).or_default();
    keys.retain(|(name, _)| name != key);
    keys.push((key.to_owned(), value.to_owned()));
}

fn keys(text: &mut String, sections: &Sections, section: &str) {
    for (key, value) in sections.get(section).into_iter().flatten() {
        let _ = writeln!(text, "{key} = {value}");
    }
}

fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{text}\"")
}
