//! Access to the recorded answers of real servers.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use keepalived_mysql::replication::replica::ReplicaStatus;
use keepalived_mysql::server::status::{StatusRow, parse_replica_status};
use serde_json::Value;

/// One recorded answer to a replica status statement.
pub struct Fixture {
    /// `SERVER/SITUATION.STATEMENT`.
    pub name: String,
    /// The error's code, if that was the answer.
    pub error: Option<u64>,
    /// The rows of the answer.
    pub rows: Vec<StatusRow>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries
}

/// All recorded replica status answers of all servers, by name. What a server says as a source is left out.
pub fn replica_fixtures() -> Vec<Fixture> {
    sorted(&folder())
        .iter()
        .flat_map(|server| sorted(server))
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            ["binary_log_status", "binlog_status", "master_status"]
                .iter()
                .all(|other| !name.contains(other))
        })
        .map(|path| load(&path))
        .collect()
}

fn load(path: &Path) -> Fixture {
    let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let names: Vec<&str> = value["columns"]
        .as_array()
        .map(|columns| {
            columns
                .iter()
                .map(|c| c["name"].as_str().unwrap())
                .collect()
        })
        .unwrap_or_default();
    let rows = value["rows"].as_array().map_or_else(Vec::new, |rows| {
        rows.iter().map(|row| to_row(&names, row)).collect()
    });
    let server = path.parent().unwrap().file_name().unwrap();
    Fixture {
        name: format!(
            "{}/{}",
            server.to_string_lossy(),
            path.file_stem().unwrap().to_string_lossy()
        ),
        error: value["error"]["code"].as_u64(),
        rows,
    }
}

fn to_row(names: &[&str], row: &Value) -> StatusRow {
    let values = row.as_array().unwrap();
    assert_eq!(names.len(), values.len());
    names
        .iter()
        .zip(values)
        .map(|(name, value)| ((*name).to_owned(), value.as_str().map(str::to_owned)))
        .collect()
}

/// The first row of one recorded answer.
pub fn replica_fixture(server: &str, situation: &str) -> StatusRow {
    let path = folder().join(server).join(format!("{situation}.json"));
    load(&path).rows.remove(0)
}

/// The replica status in one recorded answer to the server's main statement.
pub fn status(server: &str, situation: &str) -> ReplicaStatus {
    let statement = if server == "mysql-9.7" {
        "show_replica_status"
    } else {
        "show_slave_status"
    };
    parse_replica_status(&replica_fixture(
        server,
        &format!("{situation}.{statement}"),
    ))
    .unwrap()
}
