//! The salvages of a node, as `salvage list` tells them.

use serde::Serialize;

use super::{Paint, Tone, table};
use crate::act::salvage::Kept;
use crate::binlog::rows::Changes;

/// One salvage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SalvageLine {
    /// Its name, which is its folder's.
    pub name: String,
    /// When it was taken, in UTC.
    pub taken_at: Option<String>,
    /// Whole transactions in it.
    pub transactions: Option<u64>,
    /// Rows that they changed, as far as they could be counted.
    pub rows: Option<u64>,
    /// Whether all that was lost is in it.
    pub complete: Option<bool>,
    /// Why its summary cannot be read.
    pub unreadable: Option<String>,
}

impl SalvageLine {
    /// What a summary says.
    pub fn of(kept: &Kept) -> Self {
        let summary = kept.summary.as_ref().ok();
        Self {
            name: kept.name.clone(),
            taken_at: summary.map(|summary| summary.taken_at.clone()),
            transactions: summary.map(|summary| summary.taken.transactions),
            rows: summary.map(|summary| summary.taken.tables.values().map(Changes::rows).sum()),
            complete: summary.map(|summary| summary.taken.complete()),
            unreadable: kept.summary.as_ref().err().cloned(),
        }
    }

    fn row(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or("-".into(), |number| number.to_string());
        let complete = match (&self.unreadable, self.complete) {
            (Some(why), _) => why.clone(),
            (None, Some(true)) => "complete".into(),
            (None, _) => "NOT all that was lost".into(),
        };
        vec![
            self.name.clone(),
            self.taken_at.clone().unwrap_or_else(|| "-".into()),
            number(self.transactions),
            number(self.rows),
            complete,
        ]
    }
}

/// The salvages for people.
pub fn text(node: &str, all: &[SalvageLine], paint: Paint) -> String {
    if all.is_empty() {
        return format!("{node}: nothing was salvaged here\n");
    }
    let headings = ["NAME", "TAKEN (UTC)", "TRANSACTIONS", "ROWS", "COMPLETE"];
    let lines = table(&headings, all.iter().map(SalvageLine::row).collect());
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let salvage = index.checked_sub(1).and_then(|at| all.get(at));
        let tone = match salvage {
            None => Tone::Heading,
            Some(salvage) if salvage.complete == Some(true) => Tone::Plain,
            Some(_) => Tone::Doubtful,
        };
        out.push_str(&paint.line(tone, line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> SalvageLine {
        SalvageLine {
            name: name.into(),
            taken_at: Some("2026-11-20T16:05:34.120Z".into()),
            transactions: Some(1),
            rows: Some(2),
            complete: Some(true),
            unreadable: None,
        }
    }

    #[test]
    fn whole_ones_lacking_ones_and_broken_ones() {
        let lacking = SalvageLine {
            complete: Some(false),
            ..line("20261120T160534Z-node-b-5")
        };
        let broken = SalvageLine::of(&Kept {
            name: "20261120T160534Z-node-b-6".into(),
            summary: Err("summary.json cannot be read: no such file".into()),
        });
        let all = [line("20261120T160534Z-node-b-4"), lacking, broken];
        insta::assert_snapshot!(text("node-b", &all, Paint::Plain));
        assert_eq!(
            text("node-b", &[], Paint::Colours),
            "node-b: nothing was salvaged here\n"
        );
    }
}
