//! What a tired operator gets wrong: one clear sentence, the right exit code, nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A folder with a valid configuration in it.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().expect("folder"),
        };
        site.write("password", "secret-of-the-test", 0o600);
        site.write("config.toml", &site.text(), 0o600);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn text(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            r#"group = "VI_1"
vips = ["192.0.2.38"]
state_dir = "{folder}/state"
run_dir = "{folder}/run"

[[node]]
name = "node-a"
address = "127.0.0.1"
port = 3306
socket = "{folder}/mysqld.sock"
[[node]]
name = "node-b"
address = "192.0.2.37"
port = 3306
socket = "{folder}/mysqld.sock"

[accounts.local]
user = "keepalived"
password_file = "{folder}/password"
[accounts.replication]
user = "repl"
password_file = "{folder}/password"

[promote]
peer_timeout = "50ms"

[log]
file = ""
journal = false
"#
        )
    }

    /// Runs the single notify hook with the configuration changed by `change`.
    fn notify(&self, role: &str, change: impl FnOnce(String) -> String) -> Said {
        self.write("config.toml", &change(self.text()), 0o600);
        self.run(&["notify", "INSTANCE", "VI_1", role, "100"])
    }

    fn run(&self, words: &[&str]) -> Said {
        run(&self.path("config.toml"), self.folder.path(), words)
    }

    fn untouched(&self) -> bool {
        !self.path("run/VI_1/role.json").exists()
    }
}

struct Said {
    code: i32,
    text: String,
}

fn run(config: &Path, last_good: &Path, words: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepalived-mysql"));
    let output = command
        .arg("--config")
        .arg(config)
        .args(words)
        .env(
            "KEEPALIVED_MYSQL_LAST_GOOD_DIR",
            last_good.join("last-good"),
        )
        .output()
        .expect("run");
    let text = [output.stdout, output.stderr].concat();
    Said {
        code: output.status.code().expect("an exit code"),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

impl Said {
    fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "no {word:?} in: {}", self.text);
        }
        assert!(!self.text.contains("secret-of-the-test"), "{}", self.text);
        assert!(!self.text.contains("panicked"), "{}", self.text);
    }
}

#[test]
fn a_missing_configuration_names_the_file() {
    let site = Site::new();
    let said = run(
        &site.path("none.toml"),
        site.folder.path(),
        &["notify", "INSTANCE", "VI_1", "MASTER", "1"],
    );
    said.expect(78, &["none.toml", "ERROR:", "HINT:"]);
}

#[test]
fn unknown_keys_and_bad_values_name_file_and_line() {
    let site = Site::new();
    let cases: [(&str, &str, &[&str]); 5] = [
        (
            "[promote]",
            "[promote]\npeer_timout = \"1s\"",
            &["config.toml:", "peer_timout"],
        ),
        (
            "\"50ms\"",
            "\"50 lightyears\"",
            &["config.toml:", "peer_timeout"],
        ),
        (
            "[log]",
            "[unheard]\nx = 1\n[log]",
            &["config.toml:", "unheard"],
        ),
        (
            "address = \"192.0.2.37\"",
            "address = \"db2.example\"",
            &["config.toml:", "address"],
        ),
        ("vips = [", "vips = ", &["config.toml:"]),
    ];
    for (from, to, words) in cases {
        let said = site.notify("MASTER", |text| text.replace(from, to));
        said.expect(78, words);
        assert!(site.untouched(), "{to}");
    }
}

#[test]
fn password_files_must_be_there_and_private() {
    let site = Site::new();
    fs::remove_file(site.path("password")).expect("remove");
    site.notify("MASTER", |text| text)
        .expect(78, &["password", "HINT:"]);
    site.write("password", "secret-of-the-test", 0o644);
    site.notify("MASTER", |text| text)
        .expect(78, &["password", "HINT:"]);
    assert!(site.untouched());
}

#[test]
fn a_configuration_with_a_password_must_not_be_readable_by_all() {
    let site = Site::new();
    let password = format!(
        "password_file = \"{}/password\"",
        site.folder.path().display()
    );
    let text = site
        .text()
        .replace(&password, "password = \"secret-of-the-test\"");
    site.write("config.toml", &text, 0o644);
    let said = site.run(&["notify", "INSTANCE", "VI_1", "MASTER", "1"]);
    said.expect(78, &["config.toml", "HINT:"]);
    assert!(site.untouched());
}

#[test]
fn a_host_that_is_no_node_is_told_so() {
    let site = Site::new();
    let said = site.notify("MASTER", |text| text.replace("127.0.0.1", "192.0.2.36"));
    said.expect(78, &["--node"]);
}

#[test]
fn unknown_words_are_usage_errors() {
    let site = Site::new();
    site.run(&["notify", "INSTANCE", "VI_1", "MASTRE", "1"])
        .expect(2, &["MASTRE", "MASTER, BACKUP, FAULT or STOP"]);
    site.run(&["notify", "INSTANCE", "VI_1", "master", "1"])
        .expect(2, &["master"]);
    site.run(&["notify", "HOST", "VI_1", "MASTER", "1"])
        .expect(2, &["HOST"]);
    site.run(&["promte"]).expect(2, &["promte"]);
    let said = site.run(&[
        "notify",
        "--override",
        "everything",
        "INSTANCE",
        "VI_1",
        "MASTER",
        "1",
    ]);
    said.expect(2, &["everything", "peer-silent"]);
    assert!(site.untouched());
}

#[test]
fn a_hand_run_promotion_without_the_vip_refuses_and_names_the_planned_way() {
    let site = Site::new();
    let said = site.notify("MASTER", |text| text);
    said.expect(1, &["refused by rule"]);
    assert!(site.untouched());
}

#[test]
fn a_dead_server_counts_as_closed() {
    let site = Site::new();
    let said = site.run(&[
        "notify",
        "--record-intent",
        "INSTANCE",
        "VI_1",
        "FAULT",
        "1",
    ]);
    said.expect(0, &["closed"]);
}

#[test]
fn an_unwritable_run_folder_stops_openings_and_no_closing() {
    let site = Site::new();
    fs::write(site.path("run"), "a file where a folder should be").expect("write");
    let said = site.run(&[
        "notify",
        "--record-intent",
        "INSTANCE",
        "VI_1",
        "FAULT",
        "1",
    ]);
    said.expect(0, &["closed"]);
    let said = site.run(&[
        "notify",
        "--record-intent",
        "INSTANCE",
        "VI_1",
        "MASTER",
        "1",
    ]);
    said.expect(1, &["refused by rule state", "run"]);
}

#[test]
fn broken_state_files_stop_no_closing_and_are_set_aside() {
    for text in [
        "",
        "{",
        "{\"format\":1,\"kind\":\"role\"",
        "{\"format\":99,\"kind\":\"role\",\"data\":{}}",
        "\u{0}\u{0}",
    ] {
        let site = Site::new();
        for name in ["run/VI_1", "state/VI_1"] {
            fs::create_dir_all(site.path(name)).expect("folder");
        }
        fs::write(site.path("run/VI_1/role.json"), text).expect("write");
        fs::write(site.path("state/VI_1/memory.json"), text).expect("write");
        let said = site.run(&[
            "notify",
            "--record-intent",
            "INSTANCE",
            "VI_1",
            "BACKUP",
            "1",
        ]);
        assert!(said.text.contains("closed"), "{text:?}: {}", said.text);
        let role = fs::read_to_string(site.path("run/VI_1/role.json")).expect("role");
        assert!(role.contains("BACKUP"), "{text:?}: {role}");
    }
}

#[test]
fn dry_runs_show_the_plan_and_change_nothing() {
    let site = Site::new();
    let said = site.run(&["notify", "--dry-run", "INSTANCE", "VI_1", "FAULT", "1"]);
    said.expect(0, &[]);
    assert!(site.untouched());
}

#[test]
fn status_of_a_dead_server_is_a_table_and_makes_nothing() {
    let site = Site::new();
    let said = site.run(&["status"]);
    said.expect(
        75,
        &[
            "node-a *",
            "down",
            "node-b",
            "silent",
            "no node is seen open",
        ],
    );
    let said = site.run(&["status", "--json"]);
    assert_eq!(said.code, 75, "{}", said.text);
    let document: serde_json::Value = serde_json::from_str(&said.text).expect("one document");
    assert_eq!(document["nodes"][0]["state"], "down");
    site.run(&["history"])
        .expect(0, &["node-a: no transition yet"]);
    site.run(&["salvage", "list"])
        .expect(0, &["node-a: nothing was salvaged here"]);
    for made in ["state", "run", "last-good"] {
        assert!(!site.path(made).exists(), "{made} was made");
    }
}

#[test]
fn who_looks_with_wrong_words_is_told_so() {
    let site = Site::new();
    for words in [
        &["status", "--watch", "0"][..],
        &["status", "--watch", "often"],
        &["history", "--last", "-1"],
        &["salvage"],
        &["salvage", "show"],
    ] {
        assert_eq!(site.run(words).code, 2, "{words:?}");
    }
    for name in ["20261120T160534Z-node-a-1", "../../password", ""] {
        site.run(&["salvage", "show", name])
            .expect(2, &["ERROR: there is no salvage named", "HINT:"]);
    }
    site.write("config.toml", "group =", 0o600);
    for words in [&["status"][..], &["history"], &["salvage", "list"]] {
        site.run(words).expect(78, &["ERROR:"]);
    }
}

#[test]
fn a_history_with_a_broken_line_is_shown_and_the_line_named() {
    let site = Site::new();
    fs::create_dir_all(site.path("state/VI_1")).expect("folder");
    let line = r#"{"began":"2026-11-20T12:00:00.000Z","transition":"close","outcome":"closed","took_ms":2.5}"#;
    site.write(
        "state/VI_1/history.jsonl",
        &format!("{line}\n{{\"beg\n{line}\n"),
        0o640,
    );
    site.run(&["history"])
        .expect(0, &["history.jsonl:2", "close", "2.5 ms"]);
    let said = site.run(&["history", "--last", "1", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&said.text).expect("one document");
    assert_eq!(document["transitions"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["unreadable"][0]["line"], 2);
}

#[test]
fn a_reader_that_goes_ends_the_watch() {
    let site = Site::new();
    let output = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" --config \"$1\" status --watch 1 | head -n 1")
        .arg(env!("CARGO_BIN_EXE_keepalived-mysql"))
        .arg(site.path("config.toml"))
        .timeout(std::time::Duration::from_secs(20))
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success() && !text.contains("panicked"),
        "{text}"
    );
    assert!(
        text.starts_with("VI_1:") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn a_salvage_is_shown_and_cannot_steer_the_terminal() {
    let site = Site::new();
    fs::create_dir_all(site.path("state/VI_1/salvage/20261120T160534Z-node-a-2")).expect("folder");
    fs::create_dir_all(site.path("state/VI_1/salvage/.partial-x")).expect("folder");
    let text = "What to do\n\tDELETE FROM shop.orders -- \u{1b}[2J\n";
    let file = "state/VI_1/salvage/20261120T160534Z-node-a-2/summary.txt";
    site.write(file, text, 0o600);
    let list = site.run(&["salvage", "list"]);
    list.expect(
        0,
        &["20261120T160534Z-node-a-2", "summary.json cannot be read"],
    );
    assert!(!list.text.contains("partial"), "{}", list.text);
    let show = site.run(&["salvage", "show", "20261120T160534Z-node-a-2"]);
    show.expect(0, &["What to do\n\tDELETE FROM shop.orders"]);
    assert!(!show.text.contains('\u{1b}'), "{}", show.text);
    site.run(&["salvage", "show", "--json", "20261120T160534Z-node-a-2"])
        .expect(3, &["ERROR:", "summary.json cannot be read"]);
    site.run(&["salvage", "show", ".partial-x"])
        .expect(2, &["there is no salvage named"]);
}
