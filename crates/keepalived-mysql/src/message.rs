//! What the programs say when they fail: what happened, what is known about it, what to do.

use std::fmt;

use serde::Serialize;

/// A failure in the three lines that people and scripts read.
///
/// `Display` prints `ERROR: …`, then `DETAIL: …` and `HINT: …` where there are any, each on one
/// line and without a newline at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What went wrong, in one sentence.
    pub error: String,
    /// What is known about it: where, which values, what the system answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Message {
    /// A message with its first line only.
    pub fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            detail: None,
            hint: None,
        }
    }

    /// The same message with a DETAIL line.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same message with a HINT line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The whole message on one line, for logs.
    pub fn one_line(&self) -> String {
        self.to_string().replace('\n', " ")
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR: {}", one_line(&self.error))?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL: {}", one_line(detail))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT: {}", one_line(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Message {}

/// `text` without line breaks and control characters: what a server answered must not be able to
/// add lines of its own to a message or a log.
pub fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_three_lines() {
        let message = Message::new("it broke").detail("here").hint("mend it");
        assert_eq!(
            message.to_string(),
            "ERROR: it broke\nDETAIL: here\nHINT: mend it"
        );
        assert_eq!(
            message.one_line(),
            "ERROR: it broke DETAIL: here HINT: mend it"
        );
    }

    #[test]
    fn prints_only_what_there_is() {
        assert_eq!(Message::new("it broke").to_string(), "ERROR: it broke");
        assert_eq!(Message::new("a").hint("b").to_string(), "ERROR: a\nHINT: b");
    }

    #[test]
    fn a_value_cannot_add_lines() {
        let message = Message::new("a\nHINT: rm -rf /").detail("b\r\n\x1b[31mc");
        assert_eq!(message.to_string().lines().count(), 2);
        assert!(!message.to_string().contains('\x1b'));
    }
}
