#![allow(clippy::unwrap_used)]

mod choice;
mod places;
mod secrets;
mod tls;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::*;

/// A folder with a configuration that is right, and its password files.
struct Fixture {
    folder: tempfile::TempDir,
    text: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let text = format!(
            r#"group = "VI_1"
vips = ["192.0.2.38"]
state_dir = "{at}/state"
run_dir = "{at}/run"

[[node]]
name = "node-a"
address = "192.0.2.36"

[[node]]
name = "node-b"
address = "192.0.2.37"
port = 3307
socket = "/run/b.sock"
replication_user = "repl-b"

[accounts.local]
user = "keepalived"
password_file = "{at}/password"

[accounts.replication]
user = "repl"
password_file = "{at}/repl-password"
"#
        );
        let fixture = Self { folder, text };
        fixture.write("password", "hunter2\n", 0o600);
        fixture.write("repl-password", "hunter3", 0o600);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn replaced(&self, from: &str, to: &str) -> Result<Loaded, ConfigError> {
        assert!(self.text.contains(from), "{from}");
        self.load(&self.text.replace(from, to))
    }

    fn with(&self, more: &str) -> Result<Loaded, ConfigError> {
        self.load(&format!("{}{more}\n", self.text))
    }

    fn load(&self, text: &str) -> Result<Loaded, ConfigError> {
        Config::load(&self.write("c.toml", text, 0o644))
    }

    fn pointers(&self) -> PathBuf {
        self.path("pointers")
    }
}

/// The kind of the error and the first line of its message.
fn refused(result: Result<Loaded, ConfigError>) -> (ConfigErrorKind, String) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\nHINT: "), "no remedy: {text}");
    assert!(!text.contains("hunter"), "a secret: {text}");
    (error.kind, error.message.error)
}

#[test]
fn a_small_file_gets_every_default() {
    let fixture = Fixture::new();
    let loaded = fixture.load(&fixture.text).unwrap();
    let config = loaded.config;
    assert!(loaded.warnings.is_empty());
    assert_eq!(config.node[0].port, 3306);
    assert_eq!(config.node[0].socket, Path::new("/run/mysqld/mysqld.sock"));
    assert_eq!(config.accounts.peer, config.accounts.local);
    assert_eq!(config.accounts.local.password, Some(Secret::new("hunter2")));
    assert_eq!(config.check.deadline, Duration::from_millis(900));
    assert_eq!(config.promote.on_apply_timeout, OnApplyTimeout::Wait);
    assert_eq!(config.promote.open_lifetime, Duration::from_secs(2));
    let expiry = config.promote.opening_expires_after();
    assert!(expiry < config.promote.peer_timeout);
    assert_eq!(config.close.stop_budget, Duration::from_millis(800));
    assert_eq!(config.keepalived.pid_file, Path::new("/run/keepalived.pid"));
    assert_eq!(config.instance(), "VI_1");
    assert_eq!(config.replication_user(&config.node[0]), "repl");
    assert_eq!(config.replication_user(&config.node[1]), "repl-b");
    assert_eq!(config.peers(&config.node[0]), [&config.node[1]]);
}

/// Every key of the file's format, with a value that is not its default.
const EVERYTHING: &str = r#"
[tls]
mode = "disabled"
[replication]
positioning = "gtid"
connect_retry = "2s"
retry_count = 7
heartbeat = "500ms"
net_timeout = "3s"
[keepalived]
config = "/k.conf"
pid_file = "/k.pid"
unit = "k.service"
instance = "VI_9"
[policy]
profile = "available"
[check]
deadline = "700ms"
attempts = 3
retry_interval = "50ms"
write_probe = true
max_lag = "5s"
repair = false
on_failure = "stop-keepalived"
peer_interval = "2s"
[promote]
peer_timeout = "400ms"
yield_timeout = "100ms"
fence_command = ["/bin/fence", "b"]
unreachable_peer = "require-fence"
apply_timeout = "9s"
on_apply_timeout = "refuse"
blocker_grace = "1s"
max_staleness = "30s"
boot_wait = "10s"
reset_replica = false
durability = false
enable_events = true
open_lifetime = "1s"
lock_timeout = "5s"
[close]
timeout = "4s"
stop_budget = "600ms"
exempt_users = ["backup"]
disconnect = "none"
[demote]
source_timeout = "3s"
rejoin = "manual"
on_diverged = "refuse"
[semi_sync]
manage = "off"
timeout = "20s"
[hooks]
on_event = ["/bin/hook"]
[log]
file = ""
journal = false
level = "debug"
format = "json"
"#;

#[test]
fn every_key_is_read() {
    let fixture = Fixture::new();
    let config = fixture.with(EVERYTHING).unwrap().config;
    assert_eq!(config.log.file, None);
    assert_eq!(config.check.on_failure, OnFailure::StopKeepalived);
    assert_eq!(config.check.max_lag, Some(Duration::from_secs(5)));
    // What the file says wins over the profile.
    assert_eq!(config.promote.on_apply_timeout, OnApplyTimeout::Refuse);
    assert_eq!(
        config.promote.unreachable_peer,
        UnreachablePeer::RequireFence
    );
    let json = serde_json::to_string(&config).unwrap();
    let default = serde_json::to_string(&fixture.load(&fixture.text).unwrap().config).unwrap();
    for section in [
        "replication",
        "check",
        "promote",
        "close",
        "semi_sync",
        "log",
    ] {
        let of = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value[section].as_object().unwrap().clone()
        };
        let default = of(&default);
        for (key, value) in of(&json) {
            assert_ne!(value, default[&key], "{section}.{key} was not read");
        }
    }
}

#[test]
fn a_profile_changes_defaults_only() {
    let fixture = Fixture::new();
    let config = fixture
        .with("[policy]\nprofile = \"available\"")
        .unwrap()
        .config;
    assert_eq!(config.promote.on_apply_timeout, OnApplyTimeout::Promote);
    assert_eq!(config.promote.unreachable_peer, UnreachablePeer::Promote);
    let text = "[policy]\nprofile = \"available\"\n[promote]\non_apply_timeout = \"wait\"";
    let config = fixture.with(text).unwrap().config;
    assert_eq!(config.promote.on_apply_timeout, OnApplyTimeout::Wait);
    assert_eq!(config.promote.unreachable_peer, UnreachablePeer::Promote);
}

#[test]
fn vip_check_by_command() {
    let fixture = Fixture::new();
    let vips = "vips = [\"192.0.2.38\"]";
    let command = format!("{vips}\nvip_check = {{ command = [\"/bin/vip\", \"x\"] }}");
    let config = fixture.replaced(vips, &command).unwrap().config;
    let expected = ["/bin/vip", "x"].map(str::to_owned).to_vec();
    assert_eq!(config.vip_check, VipCheck::Command(expected));
    for bad in ["{ command = [] }", "{ command = [\"vip\"] }", "\"dns\""] {
        let bad = format!("{vips}\nvip_check = {bad}");
        let (_, error) = refused(fixture.replaced(vips, &bad));
        assert!(error.contains("c.toml:3"), "{error}");
    }
}

#[test]
fn a_commit_waits_longer_than_an_isolated_node_serves() {
    let fixture = Fixture::new();
    let auto = fixture.load(&fixture.text).unwrap().config;
    assert_eq!(auto.managed_semi_sync(), Some(Duration::from_secs(16)));
    let slow = fixture.with("[close]\ntimeout = \"20s\"").unwrap().config;
    assert!(slow.semi_sync_timeout() > slow.longest_isolated());
    assert_eq!(slow.longest_isolated(), Duration::from_secs(25));
    let off = fixture
        .with("[semi_sync]\nmanage = \"off\"")
        .unwrap()
        .config;
    assert_eq!(off.managed_semi_sync(), None);
}

#[test]
fn a_timeout_that_is_too_short_for_the_promise_is_allowed_with_a_warning() {
    let fixture = Fixture::new();
    let short = "[semi_sync]\ntimeout = \"1s\"";
    let loaded = fixture.with(short).unwrap();
    assert_eq!(loaded.config.semi_sync_timeout(), Duration::from_secs(1));
    assert!(
        loaded.warnings[0].contains("acknowledges alone"),
        "{loaded:?}"
    );
    let unmanaged = fixture.with(&format!("{short}\nmanage = \"off\"")).unwrap();
    assert!(unmanaged.warnings.is_empty(), "{unmanaged:?}");
    for wrong in ["5", "\"soon\"", "\"0s\""] {
        let text = format!("[semi_sync]\ntimeout = {wrong}");
        assert!(fixture.with(&text).is_err(), "{wrong}");
    }
}
