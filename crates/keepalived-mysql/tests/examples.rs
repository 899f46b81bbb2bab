//! The example of a configuration file: it loads, says the true defaults, and leaves no key out.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keepalived_mysql::config::{Config, Loaded};
use serde_json::Value;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/config.toml");
    fs::read_to_string(path).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Loads `text` with its password files moved to a folder of ours.
fn load(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path();
    write(&etc.join("password"), "one\n");
    write(&etc.join("repl-password"), "two\n");
    let text = text.replace("\"/etc/keepalived-mysql/", &format!("\"{}/", etc.display()));
    let file = etc.join("config.toml");
    write(&file, &text);
    Config::load(&file).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_loads_without_a_warning() {
    let loaded = load(&example());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.group, "VI_1");
    assert_eq!(loaded.config.node.len(), 2);
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let text = example();
    let (top, _) = text.split_once("\n[tls]").unwrap();
    let optional = ["vip_check", "state_dir", "run_dir", "port", "socket"];
    let bare: String = top
        .lines()
        .filter(|line| !optional.iter().any(|key| line.starts_with(key)))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(load(&text).config, load(&bare).config);
}

#[test]
fn the_example_names_every_key() {
    let text = example();
    let all = serde_json::to_value(load(&text).config).unwrap();
    let mut keys = Vec::new();
    collect(&all, &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !words.contains(&key.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "not in examples/config.toml: {missing:?}"
    );
}

fn collect(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                keys.push(key.clone());
                collect(value, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}
