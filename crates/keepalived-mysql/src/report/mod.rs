//! What was seen, in words: tables for people, documents for programs. Pure: data in, text out.

pub mod difference;
pub mod history;
pub mod salvages;
pub mod status;
mod status_text;

use comfy_table::{ContentArrangement, Table, presets};

/// Whether a text may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// No colours: a file, a pipe, or somebody who set NO_COLOR.
    Plain,
    /// Colours, by ECMA-48 sequences.
    Colours,
}

/// How a line stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Heading,
    Good,
    Doubtful,
    Bad,
}

impl Paint {
    fn line(self, tone: Tone, text: &str) -> String {
        let number = match tone {
            Tone::Heading => 1,
            Tone::Good => 32,
            Tone::Doubtful => 33,
            Tone::Bad => 31,
            Tone::Plain => return text.to_owned(),
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\u{1b}[{number}m{text}\u{1b}[0m"),
        }
    }
}

/// Rows under headings, as wide as they need to be, each on one line; the headings come first.
fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(|cell| crate::message::one_line(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// `2.1 ms`, `4.27 s`.
fn length(milliseconds: f64) -> String {
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", milliseconds / 1000.0)
    }
}

/// `1 row`, `2 rows`.
fn counted(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
