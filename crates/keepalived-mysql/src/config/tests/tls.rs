//! `[tls]` and its files.

use std::fs;

use super::{Fixture, refused};
use crate::config::{ConfigErrorKind, TlsMode, load_or_last_good_in, save_last_good_in};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n";

/// A configuration with a section `[tls]`, in which `@` is the fixture's folder.
fn section(fixture: &Fixture, lines: &str) -> String {
    let at = fixture.folder.path().display().to_string();
    format!("{}[tls]\n{}\n", fixture.text, lines.replace('@', &at))
}

fn with_files() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("ca.pem", CERTIFICATE, 0o644);
    fixture.write("cert.pem", CERTIFICATE, 0o644);
    fixture.write("key.pem", KEY, 0o600);
    fixture
}

const ALL: &str =
    "mode = \"verify-identity\"\nca = \"@/ca.pem\"\ncert = \"@/cert.pem\"\nkey = \"@/key.pem\"";

#[test]
fn every_mode_is_known() {
    let fixture = with_files();
    for (word, mode) in [
        ("disabled", TlsMode::Disabled),
        ("preferred", TlsMode::Preferred),
        ("required", TlsMode::Required),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-identity", TlsMode::VerifyIdentity),
    ] {
        let text = section(&fixture, &ALL.replace("verify-identity", word));
        assert_eq!(fixture.load(&text).unwrap().config.tls.mode, mode);
    }
    let loaded = fixture.load(&fixture.text).unwrap();
    assert_eq!(loaded.config.tls.mode, TlsMode::Preferred);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let fixture = with_files();
    let table = [
        ("mode = \"verify-ca\"", "'ca' is missing"),
        ("mode = \"verify-identity\"", "'ca' is missing"),
        ("cert = \"@/cert.pem\"", "go together"),
        ("key = \"@/key.pem\"", "go together"),
        ("replication_key = \"/k.pem\"", "'tls.replication_cert'"),
        ("ca = \"ca.pem\"", "absolute path"),
        ("replication_ca = \"ca.pem\"", "absolute path"),
        ("ca = \"@/key.pem\"", "nothing in PEM"),
        (
            "cert = \"@/cert.pem\"\nkey = \"@/password\"",
            "nothing in PEM",
        ),
    ];
    for (lines, expected) in table {
        let (kind, error) = refused(fixture.load(&section(&fixture, lines)));
        assert_eq!(kind, ConfigErrorKind::Rule, "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("c.toml:"), "{error}");
    }
    let only_key = format!("{ALL}\nreplication_key = \"/var/lib/mysql/key.pem\"");
    assert!(fixture.load(&section(&fixture, &only_key)).is_ok());
}

#[test]
fn the_key_is_kept_from_others() {
    let fixture = with_files();
    for mode in [0o604, 0o640, 0o644, 0o620] {
        fixture.write("key.pem", KEY, mode);
        let (kind, error) = refused(fixture.load(&section(&fixture, ALL)));
        assert_eq!(kind, ConfigErrorKind::Permissions);
        assert!(error.contains("others can read"), "{error}");
    }
    let locked = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
    fixture.write("key.pem", &locked, 0o600);
    let (_, error) = refused(fixture.load(&section(&fixture, ALL)));
    assert!(error.contains("passphrase"), "{error}");
    let disabled = ALL.replace("verify-identity", "disabled");
    let loaded = fixture.load(&section(&fixture, &disabled)).unwrap();
    assert!(loaded.warnings[0].contains("not used"), "{loaded:?}");
}

#[test]
fn an_authority_that_nobody_asks_is_worth_a_warning() {
    let fixture = with_files();
    let text = section(&fixture, "mode = \"required\"\nca = \"@/ca.pem\"");
    let loaded = fixture.load(&text).unwrap();
    assert!(loaded.warnings[0].contains("verify-ca"), "{loaded:?}");
    assert!(
        fixture
            .load(&section(&fixture, ALL))
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn a_missing_certificate_does_not_take_the_last_good_configuration_away() {
    let fixture = with_files();
    let path = fixture.write("c.toml", &section(&fixture, ALL), 0o644);
    let loaded = crate::config::Config::load(&path).unwrap();
    save_last_good_in(&fixture.pointers(), &loaded).unwrap();
    fs::remove_file(fixture.path("ca.pem")).unwrap();
    let (kind, error) = refused(crate::config::Config::load(&path));
    assert_eq!(kind, ConfigErrorKind::Unreadable);
    assert!(
        error.contains("ca.pem") && error.contains("tls.ca"),
        "{error}"
    );
    let (config, warning) = load_or_last_good_in(&fixture.pointers(), &path).unwrap();
    assert_eq!(config, loaded.config);
    assert!(warning.unwrap().to_string().contains("ca.pem"));
}
