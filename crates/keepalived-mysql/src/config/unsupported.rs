//! Keys that are part of the file's format but that this version cannot honour.
//!
//! They are refused by name: a key that is silently accepted and does nothing is a promise that
//! nobody keeps.

use super::error::{ConfigError, ConfigErrorKind};
use super::source::Source;
use crate::message::Message;

/// Keys that are refused whatever they say.
const KEYS: [&str; 3] = ["witness", "alerts", "demote.rebuild_command"];

/// Values that are refused.
const VALUES: [(&str, &str); 2] = [
    ("demote.on_diverged", "rebuild"),
    ("promote.unreachable_peer", "require-witness"),
];

/// # Errors
/// At the first key or value that this version cannot honour.
pub(super) fn check(source: &Source<'_>) -> Result<(), ConfigError> {
    if let Some(key) = KEYS.into_iter().find(|key| source.has(key)) {
        return Err(refusal(source, key, &format!("'{key}'")));
    }
    let value = VALUES
        .into_iter()
        .find(|(key, value)| source.text_at(key) == Some(*value));
    match value {
        Some((key, value)) => Err(refusal(source, key, &format!("{key} = \"{value}\""))),
        None => Ok(()),
    }
}

fn refusal(source: &Source<'_>, key: &str, what: &str) -> ConfigError {
    let error = format!(
        "{}: {what} is not supported by this version",
        source.at(key)
    );
    let message = Message::new(error).hint(format!("remove '{key}' from the file"));
    ConfigError::new(ConfigErrorKind::Unsupported, message)
}
