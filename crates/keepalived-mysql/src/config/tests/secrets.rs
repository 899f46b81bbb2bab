//! Accounts and permissions.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::{Fixture, refused};
use crate::config::{Config, ConfigErrorKind, Secret};

#[test]
fn a_wrong_password_type_is_not_repeated() {
    let fixture = Fixture::new();
    let file = format!("password_file = \"{}\"", fixture.path("password").display());
    for bad in [
        "password = 31337",
        "password = [\"31337\"]",
        "password = 31337x",
    ] {
        let error = fixture.replaced(&file, bad).unwrap_err();
        assert!(!error.to_string().contains("31337"), "{error}");
    }
    let error =
        fixture.load("group = \"g\"\nvips = []\nnode = []\naccounts = { local = \"31337\" }");
    assert!(!error.unwrap_err().to_string().contains("31337"));
}

#[test]
fn password_forms() {
    let fixture = Fixture::new();
    let file = format!("password_file = \"{}\"", fixture.path("password").display());
    let options = fixture.write("my.cnf", "[client]\nuser=ops\npassword='p w'\n", 0o600);
    let by_options = format!("defaults_file = \"{}\"", options.display());

    let user_and_file = format!("user = \"keepalived\"\n{file}");
    let local = fixture
        .replaced(&user_and_file, &by_options)
        .unwrap()
        .config;
    assert_eq!(local.accounts.local.user, "ops");
    assert_eq!(local.accounts.local.password, Some(Secret::new("p w")));

    let (_, error) = refused(fixture.replaced(&file, &format!("{file}\n{by_options}")));
    assert!(error.contains("more than one of"), "{error}");
    let (_, error) = refused(fixture.replaced("user = \"keepalived\"", ""));
    assert!(error.contains("needs a user"), "{error}");
    let relative = "password_file = \"password\"";
    let (_, error) = refused(fixture.replaced(&file, relative));
    assert!(error.contains("absolute"), "{error}");

    for (text, expected) in [
        ("", "no password"),
        ("\n", "no password"),
        ("a\nb\n", "one line"),
    ] {
        fixture.write("password", text, 0o600);
        let (_, error) = refused(fixture.load(&fixture.text));
        assert!(error.contains(expected), "{error}");
    }
    fixture.write("password", "dos\r\n", 0o600);
    let config = fixture.load(&fixture.text).unwrap().config;
    assert_eq!(config.accounts.local.password, Some(Secret::new("dos")));
}

#[test]
fn secrets_are_kept_from_others() {
    let fixture = Fixture::new();
    for mode in [0o604, 0o640, 0o644, 0o620] {
        fixture.write("password", "hunter2", mode);
        let (kind, error) = refused(fixture.load(&fixture.text));
        assert_eq!(kind, ConfigErrorKind::Permissions);
        assert!(error.contains("others can read"), "{error}");
    }
    fs::remove_file(fixture.path("password")).unwrap();
    let (kind, error) = refused(fixture.load(&fixture.text));
    assert_eq!(kind, ConfigErrorKind::Unreadable);
    assert!(error.contains("c.toml:19"), "{error}");

    let file = format!("password_file = \"{}\"", fixture.path("password").display());
    let text = fixture.text.replace(&file, "password = \"hunter2\"");
    let path = fixture.write("p.toml", &text, 0o600);
    let loaded = Config::load(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    assert_eq!(refused(Config::load(&path)).0, ConfigErrorKind::Permissions);
    for shown in [
        format!("{loaded:?}"),
        format!("{:#?}", loaded.config),
        serde_json::to_string(&loaded.config).unwrap(),
        Secret::new("hunter2").to_string(),
    ] {
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }
    assert_eq!(Secret::new("hunter2").expose(), "hunter2");
}

#[test]
fn a_config_that_others_can_change_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.write("c.toml", &fixture.text, 0o646);
    let (kind, error) = refused(Config::load(&path));
    assert_eq!(kind, ConfigErrorKind::Permissions);
    assert!(error.contains("changed by others"), "{error}");
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert_eq!(refused(Config::load(&path)).0, ConfigErrorKind::Permissions);
    }
}

#[test]
fn socket_authentication_cannot_reach_peers() {
    let fixture = Fixture::new();
    let at = fixture.folder.path().display();
    let file = format!("password_file = \"{at}/password\"\n");
    let (_, error) = refused(fixture.replaced(&file, ""));
    assert!(error.contains("accounts.peer is missing"), "{error}");
    let text = fixture.text.replace(&file, "");
    let (_, error) = refused(fixture.load(&format!("{text}[accounts.peer]\nuser = \"p\"\n")));
    assert!(error.contains("accounts.peer needs a password"), "{error}");
    let config = fixture
        .load(&format!("{text}[accounts.peer]\nuser = \"p\"\n{file}"))
        .unwrap()
        .config;
    assert_eq!(config.accounts.local.password, None);
    assert_eq!(config.accounts.peer.user, "p");
    let repl = format!("password_file = \"{at}/repl-password\"\n");
    let (_, error) = refused(fixture.replaced(&repl, ""));
    assert!(
        error.contains("accounts.replication needs a password"),
        "{error}"
    );
}
