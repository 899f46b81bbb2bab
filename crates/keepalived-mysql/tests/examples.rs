//! The examples: the configuration file loads, says the true defaults and leaves no key out; the grants are
//! the same for every server where they can be. That they suffice is proved in tests/real_servers.
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

const GRANTS: [&str; 4] = [
    "mariadb.sql",
    "mysql-5.6.sql",
    "mysql-5.7.sql",
    "mysql-8.sql",
];

fn grants(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/grants");
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The statements of a file, without its comments.
fn statements(file: &str) -> Vec<String> {
    let sql: String = grants(file)
        .lines()
        .filter(|line| !line.starts_with("--"))
        .flat_map(|line| [line, " "])
        .collect();
    sql.split(';')
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[test]
fn grants_are_not_replicated_and_hold_no_password() {
    for file in GRANTS {
        let statements = statements(file);
        assert_eq!(statements[0], "SET SESSION sql_log_bin = 0", "{file}");
        for statement in &statements {
            if let Some((_, secret)) = statement.split_once("IDENTIFIED BY ") {
                let placeholder =
                    secret == "'CHANGE-ME-keepalived'" || secret == "'CHANGE-ME-repl'";
                assert!(placeholder, "{file}: {statement}");
            }
        }
    }
}

#[test]
fn every_server_gets_the_same_tables() {
    let tables = |file: &str| -> Vec<String> {
        let all = statements(file);
        let ours = |s: &&String| s.starts_with("CREATE TABLE") || s.starts_with("INSERT");
        all.iter().filter(ours).cloned().collect()
    };
    for file in GRANTS {
        assert_eq!(tables(file).len(), 3, "{file}");
        assert_eq!(tables(file), tables(GRANTS[0]), "{file}");
    }
}

#[test]
fn no_account_gets_more_than_its_work_needs() {
    for file in GRANTS {
        let statements = statements(file);
        let granted = |account: &str| -> String {
            let to = format!("TO {account}");
            let of_it = statements
                .iter()
                .filter(|s| s.starts_with("GRANT") && s.contains(&to));
            of_it.cloned().collect::<Vec<_>>().join("; ")
        };
        assert!(!grants(file).contains("GRANT ALL"), "{file}");
        assert!(!grants(file).contains("GRANT OPTION"), "{file}");
        let peer = granted("'keepalived'@'%'");
        // Fencing looks, closes and writes the fence row; it neither repoints nor starts replication.
        for privilege in [
            "REPLICATION SLAVE ADMIN",
            "REPLICATION_SLAVE_ADMIN",
            "REPLICATION SLAVE,",
        ] {
            assert!(!peer.contains(privilege), "{file}: {peer}");
        }
        let repl = granted("'repl'@'%'");
        assert!(
            repl.starts_with("GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%'"),
            "{file}: {repl}"
        );
        for account in ["'keepalived'@'localhost'", "'keepalived'@'%'"] {
            let tables = "SELECT, INSERT, UPDATE, DELETE ON keepalived_mysql.*";
            assert!(granted(account).contains(tables), "{file}: {account}");
        }
    }
}

#[test]
fn messages_name_files_that_there_are() {
    use keepalived_mysql::server::dialect::{Dialect, Known};
    for version in [
        "5.6.24",
        "5.7.44",
        "8.0.22",
        "8.4.5",
        "9.7.4",
        "10.5.29-MariaDB",
        "11.8.6-MariaDB",
    ] {
        let dialect = Dialect::parse(version, "", Known::default()).unwrap();
        let file = dialect
            .grants_file()
            .strip_prefix("examples/grants/")
            .unwrap();
        assert!(GRANTS.contains(&file), "{version}: {file}");
    }
}
