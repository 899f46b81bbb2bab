//! Which file, which node, which copy.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Fixture;
use crate::config::*;

#[test]
fn which_file_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let find = |file: Option<&str>, group, env: Option<&str>| {
        find_config_in(at, file.map(Path::new), group, env.map(Path::new))
    };
    assert_eq!(
        find(Some("/x"), Some("G"), Some("/e")).unwrap(),
        Path::new("/x")
    );
    assert_eq!(
        find(None, Some("G"), Some("/e")).unwrap(),
        at.join("G.toml")
    );
    assert_eq!(find(None, None, Some("/e")).unwrap(), Path::new("/e"));
    let none = find(None, None, None).unwrap_err();
    assert!(none.message.error.contains("no *.toml"), "{none}");
    fs::write(at.join("one.toml"), "").unwrap();
    fs::write(at.join("password"), "").unwrap();
    assert_eq!(find(None, None, Some("")).unwrap(), at.join("one.toml"));
    fs::write(at.join("two.toml"), "").unwrap();
    let two = find(None, None, None).unwrap_err();
    assert_eq!(two.kind, ConfigErrorKind::NotFound);
    assert!(two.to_string().contains("one.toml"), "{two}");
    assert!(find(None, Some("../../etc/x"), None).is_err());
    let nowhere = find_config_in(Path::new("/nonexistent"), None, None, None);
    assert!(nowhere.unwrap_err().to_string().contains("--config"));
}

#[test]
fn which_node_is_local() {
    let fixture = Fixture::new();
    let config = fixture.load(&fixture.text).unwrap().config;
    let (a, b): (IpAddr, IpAddr) = (config.node[0].address, config.node[1].address);
    let mapped: IpAddr = "::ffff:192.0.2.36".parse().unwrap();
    let other: IpAddr = "127.0.0.1".parse().unwrap();
    let name = |explicit, addresses: &[IpAddr], host| {
        let found = config.local_by(explicit, addresses, host);
        found
            .map(|node| node.name.clone())
            .map_err(|e| e.to_string())
    };
    assert_eq!(name(Some("node-b"), &[a], "node-a").unwrap(), "node-b");
    assert_eq!(name(None, &[other, b], "node-a").unwrap(), "node-b");
    assert_eq!(name(None, &[mapped], "x").unwrap(), "node-a");
    assert_eq!(name(None, &[other], "node-a").unwrap(), "node-a");
    assert_eq!(name(None, &[], "node-b.example.org").unwrap(), "node-b");
    for error in [
        name(Some("node-c"), &[a], "node-a").unwrap_err(),
        name(None, &[a, b], "node-a").unwrap_err(),
        name(None, &[other], "elsewhere").unwrap_err(),
    ] {
        assert!(error.contains("node-a (192.0.2.36)"), "{error}");
        assert!(error.contains("--node NAME"), "{error}");
    }
    assert!(config.local(Some("node-a")).is_ok());
    assert!(
        config.local(None).is_err(),
        "192.0.2.0/24 is for documents only"
    );
}

#[test]
fn the_last_good_file_stands_in() {
    let fixture = Fixture::new();
    let path = fixture.write("c.toml", &fixture.text, 0o644);
    let pointers = fixture.pointers();
    let loaded = Config::load(&path).unwrap();
    save_last_good_in(&pointers, &loaded).unwrap();
    let copy = fixture.path("state/VI_1/last-good.toml");
    assert_eq!(fs::read_to_string(&copy).unwrap(), fixture.text);
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let (config, warning) = load_or_last_good_in(&pointers, &path).unwrap();
    assert_eq!((config, warning), (loaded.config.clone(), None));

    fs::write(&path, "group = ").unwrap();
    let (config, warning) = load_or_last_good_in(&pointers, &path).unwrap();
    assert_eq!(config, loaded.config);
    let warning = warning.unwrap().to_string();
    assert!(
        warning.contains("last good") && warning.contains("c.toml:1"),
        "{warning}"
    );

    fs::remove_file(&path).unwrap();
    let (config, warning) = load_or_last_good_in(&pointers, &path).unwrap();
    assert_eq!(config, loaded.config);
    assert!(warning.unwrap().to_string().contains("No such file"));

    // Without a copy, or with one that is as bad, the file's own error is told.
    fs::write(&copy, "also = bad").unwrap();
    let error = load_or_last_good_in(&pointers, &path).unwrap_err();
    assert!(error.message.error.contains("c.toml"), "{error}");
    let error = load_or_last_good_in(&fixture.path("empty"), &path).unwrap_err();
    assert_eq!(error.kind, ConfigErrorKind::Unreadable);
}

#[test]
fn saving_the_same_again_writes_nothing() {
    let fixture = Fixture::new();
    let loaded = fixture.load(&fixture.text).unwrap();
    save_last_good_in(&fixture.pointers(), &loaded).unwrap();
    let copy = fixture.path("state/VI_1/last-good.toml");
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&copy).unwrap());
    let before = inode();
    save_last_good_in(&fixture.pointers(), &loaded).unwrap();
    assert_eq!(inode(), before);
    let changed = fixture.with("[check]\nattempts = 2").unwrap();
    save_last_good_in(&fixture.pointers(), &changed).unwrap();
    assert_ne!(inode(), before);
}
