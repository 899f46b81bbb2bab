//! Where in the configuration file something is: for messages.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::{ConfigError, ConfigErrorKind};
use crate::message::Message;

/// The parsed text of a configuration file, which knows the line of each key.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    document: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    /// # Errors
    /// When `text` is not TOML.
    pub(super) fn parse(path: &'a Path, text: &'a str) -> Result<Self, ConfigError> {
        let document = DeTable::parse(text).map_err(|why| syntax_error(path, text, &why))?;
        Ok(Self {
            path,
            text,
            document,
        })
    }

    /// The whole file as a `T`.
    ///
    /// # Errors
    /// When a key is missing, unknown or of another type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        T::deserialize(Deserializer::from(self.document.clone()))
            .map_err(|why| syntax_error(self.path, self.text, &why))
    }

    /// The value at a dotted path; a number is an index into an array.
    fn find(&self, key: &str) -> Option<(Range<usize>, &DeValue<'a>)> {
        let mut words = key.split('.');
        let first = words.next()?;
        let (name, value) = self.document.get_ref().get_key_value(first)?;
        let mut found = (name.span(), value);
        for word in words {
            found = match found.1.get_ref() {
                DeValue::Table(table) => {
                    let (name, value) = table.get_key_value(word)?;
                    (name.span(), value)
                }
                DeValue::Array(items) => {
                    let value = items.get(word.parse::<usize>().ok()?)?;
                    (value.span(), value)
                }
                _ => return None,
            };
        }
        Some((found.0, found.1.get_ref()))
    }

    /// Whether the key is in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The text at the key, if it is in the file and a text.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        match self.find(key)?.1 {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// `FILE:LINE` of the key, or of the nearest section above it that is in the file, or `FILE`.
    pub(super) fn at(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some((span, _)) = self.find(key) {
                let (line, _) = line_and_column(self.text, span.start);
                return format!("{}:{line}", self.path.display());
            }
            match key.rsplit_once('.') {
                Some((section, _)) => key = section,
                None => return self.path.display().to_string(),
            }
        }
    }
}

/// Line and column, both from 1, of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// The section and the key that the line belongs to, as far as its text tells.
fn offending_key(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let last = lines.last()?.trim();
    let section = lines
        .iter()
        .rev()
        .map(|l| l.trim())
        .find(|l| l.starts_with('[') && !l.contains(['"', '\'']))
        .map(|l| l.trim_matches(['[', ']', ' ']).to_owned());
    let key = last
        .split_once('=')
        .map(|(key, _)| key.trim().to_owned())
        .filter(|key| !key.is_empty() && !key.starts_with('#'));
    match (section, key) {
        (Some(section), Some(key)) => Some(format!("{section}.{key}")),
        (section, key) => key.or(section),
    }
}

fn syntax_error(path: &Path, text: &str, why: &toml::de::Error) -> ConfigError {
    let span = why.span().unwrap_or(0..0);
    let (line, column) = line_and_column(text, span.start);
    let key = offending_key(text, line);
    let error = format!(
        "{}:{line}:{column}: {}",
        path.display(),
        reason(why, key.as_deref())
    );
    let mut message = Message::new(error).hint(hint(why.message()));
    if let Some(key) = key {
        message = message.detail(format!("at the key '{key}'"));
    }
    ConfigError::new(ConfigErrorKind::Syntax, message)
}

/// The parser's own words, except where they could repeat a value of the accounts.
fn reason(why: &toml::de::Error, key: Option<&str>) -> String {
    let words = crate::message::one_line(why.message());
    let secret = key.is_some_and(|key| key.contains("accounts") || key.contains("password"));
    let repeats_a_value = ["invalid type", "invalid value"]
        .iter()
        .any(|start| words.starts_with(start));
    if secret && repeats_a_value {
        return "this value has the wrong type".to_owned();
    }
    words
}

fn hint(words: &str) -> &'static str {
    if words.contains("IP address") {
        "write an IP address; host names are not accepted, because a hanging resolver cannot be bounded in time"
    } else if words.starts_with("unknown field") {
        "remove the key or correct its spelling"
    } else if words.starts_with("missing field") {
        "add the key"
    } else if words.contains("duration") || words.contains("time unit") {
        "write a duration with its unit, such as \"500ms\" or \"2s\""
    } else {
        "correct the file; nothing was changed"
    }
}
