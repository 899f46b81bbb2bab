//! `[tls]`: what its keys must satisfy, and the files that they name.

use std::path::Path;

use super::accounts::refuse_open_secret;
use super::error::ConfigError;
use super::source::Source;
use super::{Tls, TlsMode};
use crate::message::Message;
use crate::sys;

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 4 << 20;

type Rule = Result<(), ConfigError>;

impl TlsMode {
    /// Whether the certificate of the other side is looked at.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyIdentity)
    }
}

/// # Errors
/// At the first rule that `[tls]` breaks. Looks at no file.
pub(super) fn check(tls: &Tls, source: &Source<'_>) -> Rule {
    for (key, path) in files(tls) {
        if !path.is_absolute() {
            let what = format!("{} is not an absolute path", path.display());
            return Err(broken(source, key, &what, "write the whole path"));
        }
    }
    if tls.mode.verifies() && tls.ca.is_none() {
        let what = "this 'mode' verifies certificates, and 'ca' is missing";
        let hint = "add 'ca': the certificates of the authorities that signed the servers', in PEM";
        return Err(broken(source, "tls.mode", what, hint));
    }
    let pairs = [
        (
            ["tls.cert", "tls.key"],
            tls.cert.is_some() != tls.key.is_some(),
        ),
        (
            ["tls.replication_cert", "tls.replication_key"],
            tls.replication_cert.is_some() && replication_key(tls).is_none()
                || tls.replication_key.is_some() && replication_cert(tls).is_none(),
        ),
    ];
    for ([cert, key], incomplete) in pairs {
        if incomplete {
            let what = format!("'{cert}' and '{key}' go together, and one of them is missing");
            return Err(broken(source, cert, &what, "give both or neither"));
        }
    }
    Ok(())
}

fn replication_cert(tls: &Tls) -> Option<&Path> {
    tls.replication_cert.as_deref().or(tls.cert.as_deref())
}

fn replication_key(tls: &Tls) -> Option<&Path> {
    tls.replication_key.as_deref().or(tls.key.as_deref())
}

/// What is allowed but surprising.
pub(super) fn warnings(tls: &Tls, source: &Source<'_>) -> Option<String> {
    let (key, what) = match tls.mode {
        TlsMode::Disabled if files(tls).next().is_some() => (
            "tls.mode",
            "mode is \"disabled\": the files of [tls] are not used",
        ),
        TlsMode::Preferred | TlsMode::Required if tls.ca.is_some() => (
            "tls.ca",
            "this 'mode' verifies no certificate: 'ca' has no effect without \"verify-ca\" or \"verify-identity\"",
        ),
        _ => return None,
    };
    Some(format!("{}: {what}", source.at(key)))
}

/// Every path of the section, by key.
fn files(tls: &Tls) -> impl Iterator<Item = (&'static str, &Path)> {
    [
        ("tls.ca", &tls.ca),
        ("tls.cert", &tls.cert),
        ("tls.key", &tls.key),
        ("tls.replication_ca", &tls.replication_ca),
        ("tls.replication_cert", &tls.replication_cert),
        ("tls.replication_key", &tls.replication_key),
    ]
    .into_iter()
    .filter_map(|(key, path)| Some((key, path.as_deref()?)))
}

/// Reads the files that the programs use themselves; those of replication are the server's.
///
/// # Errors
/// When one cannot be read, is not what its key says, or when others can read the key.
pub(super) fn check_files(tls: &Tls, source: &Source<'_>) -> Rule {
    if tls.mode == TlsMode::Disabled {
        return Ok(());
    }
    let wanted = [
        ("tls.ca", &tls.ca, "-----BEGIN CERTIFICATE-----"),
        ("tls.cert", &tls.cert, "-----BEGIN CERTIFICATE-----"),
        ("tls.key", &tls.key, "PRIVATE KEY-----"),
    ];
    for (key, path, mark) in wanted {
        if let Some(path) = path {
            check_file(source, key, path, mark)?;
        }
    }
    Ok(())
}

fn check_file(source: &Source<'_>, key: &str, path: &Path, mark: &str) -> Rule {
    let (text, metadata) = sys::read_regular(path, MAX_BYTES).map_err(|why| {
        let what = format!("'{key}' ({}):", source.at(key));
        ConfigError::unreadable(&what, path, &why, HINT_READ)
    })?;
    if key == "tls.key" {
        refuse_open_secret(&source.at(key), path, &metadata)?;
        if text.contains("ENCRYPTED") {
            let what = format!("{} is protected by a passphrase", path.display());
            let hint = "nobody could type it at night: store the key without one, mode 0600";
            return Err(broken(source, key, &what, hint));
        }
    }
    if text.contains(mark) {
        return Ok(());
    }
    let what = format!("{} holds nothing in PEM for '{key}'", path.display());
    let hint = format!("the file must have a block with {mark}");
    Err(broken(source, key, &what, &hint))
}

const HINT_READ: &str = "the programs run as keepalived's script_user: check that the file exists and this user can read it";

fn broken(source: &Source<'_>, key: &str, what: &str, hint: &str) -> ConfigError {
    let error = format!("{}: {what}", source.at(key));
    ConfigError::rule(Message::new(error).hint(hint))
}
