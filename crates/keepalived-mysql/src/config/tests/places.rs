//! Errors with their places.

use std::fs;

use super::{Fixture, refused};
use crate::config::{Config, ConfigErrorKind};

#[test]
fn syntax_errors_have_a_place_and_a_key() {
    let fixture = Fixture::new();
    let table = [
        ("[check]\ndeadlin = \"1s\"", "unknown field `deadlin`"),
        ("[check]\ndeadline = 5", "expected a duration"),
        ("[check]\ndeadline = \"5 parsecs\"", "parsecs"),
        ("[check]\nrepair = maybe", ""),
        ("[chekc]\nrepair = true", "unknown field `chekc`"),
        ("[check]\nrepair = true\nrepair = true", "duplicate key"),
        (
            "[check]\non_failure = \"explode\"",
            "unknown variant `explode`",
        ),
        ("[check", ""),
    ];
    for (text, expected) in table {
        let error = fixture.with(text).unwrap_err();
        assert_eq!(error.kind, ConfigErrorKind::Syntax, "{text}");
        let (line, _) = error
            .message
            .error
            .split_once("c.toml:")
            .and_then(|(_, rest)| rest.split_once(':'))
            .unwrap();
        let lines = fixture.text.lines().count();
        let line: usize = line.parse().unwrap();
        assert!((lines + 1..=lines + 3).contains(&line), "{error}");
        assert!(error.message.error.contains(expected), "{error}");
        assert!(error.message.detail.unwrap().contains("che"), "{text}");
    }
    let (_, error) = refused(fixture.replaced("group = \"VI_1\"", ""));
    assert!(error.contains("missing field `group`"), "{error}");
    let host = fixture.replaced("\"192.0.2.36\"", "\"db1.example\"");
    assert!(host.unwrap_err().to_string().contains("resolver"));
    assert!(fixture.load("").is_err());
}

#[test]
fn rules_name_their_line() {
    let fixture = Fixture::new();
    let table = [
        (
            "group = \"VI_1\"",
            "group = \"../x\"",
            "1: '../x' cannot be",
        ),
        ("group = \"VI_1\"", "group = \".\"", "1: '.' cannot be"),
        ("[\"192.0.2.38\"]", "[]", "2: 'vips' is empty"),
        (
            "192.0.2.38",
            "192.0.2.37",
            "12: the address of node 'node-b'",
        ),
        ("192.0.2.38", "0.0.0.0", "2: 0.0.0.0 is not"),
        (
            "\"192.0.2.38\"",
            "\"192.0.2.38\",\"::ffff:192.0.2.38\"",
            "2: 'vips' has",
        ),
        ("192.0.2.36", "192.0.2.37", "12: two nodes have the address"),
        ("\"node-a\"", "\"Node-B\"", "11: two nodes are named"),
        ("\"node-a\"", "\"node a\"", "7: 'node a' cannot be"),
        ("3307", "0", "13: a node's port"),
        (
            "\"/run/b.sock\"",
            "\"b.sock\"",
            "14: b.sock is not an absolute",
        ),
        ("\"repl-b\"", "\"\"", "15: replication_user is empty"),
    ];
    for (from, to, expected) in table {
        let (kind, error) = refused(fixture.replaced(from, to));
        assert_eq!(kind, ConfigErrorKind::Rule, "{error}");
        assert!(error.contains(&format!("c.toml:{expected}")), "{error}");
    }
}

#[test]
fn rules_across_sections() {
    let fixture = Fixture::new();
    let table = [
        ("[close]\nstop_budget = \"1s\"", "below 1 s"),
        ("[close]\ntimeout = \"0s\"", "'close.timeout' is zero"),
        ("[check]\nmax_lag = \"0s\"", "'check.max_lag' is zero"),
        ("[promote]\nboot_wait = \"1y\"", "longer than 30 days"),
        ("[check]\nattempts = 0", "between 1 and 100"),
        ("[replication]\nheartbeat = \"6s\"", "not shorter"),
        (
            "[replication]\nheartbeat = \"10us\"",
            "below one millisecond",
        ),
        ("[replication]\nconnect_retry = \"1500ms\"", "whole number"),
        ("[promote]\nfence_command = [\"fence\"]", "absolute path"),
        ("[hooks]\non_event = [\"/h\", \"a\\u0000b\"]", "NUL"),
        (
            "[promote]\nunreachable_peer = \"require-fence\"",
            "requires a fence",
        ),
        ("[log]\nfile = \"x.log\"", "absolute path"),
        ("[semi_sync]\ntimeout = \"0s\"", "is zero"),
        (
            "[demote]\nrelaxed_durability = true\n[promote]\ndurability = false",
            "relaxed_durability",
        ),
    ];
    for (text, expected) in table {
        let (kind, error) = refused(fixture.with(text));
        assert_eq!(kind, ConfigErrorKind::Rule, "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let one_node = fixture.text.replace("\n[[node]]\nname = \"node-b\"", "");
    let start = one_node.find("address = \"192.0.2.37\"").unwrap();
    let end = one_node.find("[accounts.local]").unwrap();
    let (_, error) = refused(fixture.load(&[&one_node[..start], &one_node[end..]].concat()));
    assert!(error.contains("at least two nodes"), "{error}");
    let loaded = fixture.with("[check]\ndeadline = \"1s\"").unwrap();
    assert!(loaded.warnings[0].contains("'timeout'"), "{loaded:?}");
}

#[test]
fn what_this_version_cannot_do_is_refused_by_name() {
    let fixture = Fixture::new();
    let table = [
        ("[witness]\ntargets = [\"tcp:192.0.2.1:53\"]", "witness"),
        ("[alerts]", "alerts"),
        ("[demote]\non_diverged = \"rebuild\"", "demote.on_diverged"),
        (
            "[demote]\nrebuild_command = [\"/r\"]",
            "demote.rebuild_command",
        ),
        (
            "[promote]\nunreachable_peer = \"require-witness\"",
            "promote.unreachable_peer",
        ),
    ];
    for (text, key) in table {
        let (kind, error) = refused(fixture.with(text));
        assert_eq!(kind, ConfigErrorKind::Unsupported, "{error}");
        assert!(error.contains("not supported by this version"), "{error}");
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_missing_or_odd_file_is_one_sentence() {
    let fixture = Fixture::new();
    for path in [fixture.path("none.toml"), fixture.folder.path().to_owned()] {
        let (kind, error) = refused(Config::load(&path));
        assert_eq!(kind, ConfigErrorKind::Unreadable);
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
    fs::write(fixture.path("c.toml"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(Config::load(&fixture.path("c.toml")).is_err());
}
