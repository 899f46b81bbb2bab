//! The transitions of a node, as `history` tells them.

use serde::{Deserialize, Serialize};

use super::{Paint, Tone, counted, length, table};
use crate::ledger::files::{BrokenLine, History};
use crate::message::one_line;

/// How much of each transition is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One line.
    Lines,
    /// Its steps besides.
    Steps,
}

/// One receipt, as far as it can be read: what an older or newer version left out is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transition {
    /// When it began, in UTC.
    pub began: String,
    /// `promote`, `close`, `rejoin`...
    pub transition: String,
    /// How it ended.
    pub outcome: String,
    /// Milliseconds it took in all.
    pub took_ms: f64,
    /// What it was for.
    pub goal: String,
    /// The program that did it.
    pub program: String,
    /// Its steps.
    #[serde(skip_serializing)]
    pub steps: Vec<Step>,
}

/// One step of a transition.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Its name.
    pub step: String,
    /// Milliseconds from the transition's beginning.
    pub at_ms: f64,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// What it found or did.
    pub note: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl Transition {
    /// Reads a line of the history.
    pub fn of(event: &serde_json::Value) -> Self {
        Self::deserialize(event).unwrap_or_else(|why| Self {
            outcome: format!("a receipt of another form: {why}"),
            ..Self::default()
        })
    }
}

/// The newest `last` transitions, or all; the newest is the last.
pub fn newest(history: History, last: Option<usize>) -> History {
    let skip = last.map_or(0, |last| history.events.len().saturating_sub(last));
    History {
        events: history.events.into_iter().skip(skip).collect(),
        ..history
    }
}

/// The history for people.
pub fn text(node: &str, history: &History, depth: Depth, paint: Paint) -> String {
    let all: Vec<Transition> = history.events.iter().map(Transition::of).collect();
    let mut lines = broken(&history.unreadable, paint);
    if all.is_empty() {
        lines.push(format!("{node}: no transition yet"));
    } else {
        let mut rows = rows(&all).into_iter();
        lines.extend(rows.next().map(|line| paint.line(Tone::Heading, &line)));
        for (transition, row) in all.iter().zip(rows) {
            lines.push(row);
            if depth == Depth::Steps {
                lines.extend(transition.steps.iter().map(|step| step_line(step, paint)));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn rows(all: &[Transition]) -> Vec<String> {
    let rows = all.iter().map(|one| {
        vec![
            one.began.clone(),
            one.transition.clone(),
            length(one.took_ms),
            one.outcome.clone(),
            one.goal.clone(),
        ]
    });
    table(
        &["TIME (UTC)", "TRANSITION", "TOOK", "OUTCOME", "WHY"],
        rows.collect(),
    )
}

fn step_line(step: &Step, paint: Paint) -> String {
    let told = one_line(step.error.as_deref().unwrap_or(&step.note));
    let line = format!(
        "  {:>9.1} ms  {:<24}{told}",
        step.took_ms,
        one_line(&step.step)
    );
    let tone = match step.error {
        Some(_) => Tone::Bad,
        None => Tone::Plain,
    };
    paint.line(tone, line.trim_end())
}

/// Lines that could not be read, by file.
fn broken(lines: &[BrokenLine], paint: Paint) -> Vec<String> {
    let named: Vec<String> = lines
        .iter()
        .map(|broken| format!("{}:{}", broken.file, broken.line))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let count = counted(named.len() as u64, "line");
    let text = format!("{count} cannot be read: {}", named.join(", "));
    vec![paint.line(Tone::Doubtful, &text)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn history() -> History {
        History {
            events: vec![
                json!({"began": "2026-11-20T12:00:00.000Z", "transition": "close", "took_ms": 3.06,
                       "outcome": "closed", "goal": "close node-a", "steps": []}),
                json!({"began": "2026-11-20T12:00:09.000Z", "transition": "promote", "took_ms": 1018.4,
                       "outcome": "open", "goal": "open node-a under epoch 2@node-a", "steps": [
                           {"step": "claim", "epoch": {"number": 2}, "at_ms": 0.1, "took_ms": 2.07},
                           {"step": "open", "at_ms": 2.2, "took_ms": 1.31, "note": "read back",
                            "error": "refused\u{1b}[2J"}]}),
                json!({"began": 7}),
            ],
            unreadable: vec![BrokenLine {
                file: "history.jsonl".into(),
                line: 4,
            }],
        }
    }

    #[test]
    fn lines_and_steps() {
        insta::assert_snapshot!(text("node-a", &history(), Depth::Lines, Paint::Plain));
        insta::assert_snapshot!(text("node-a", &history(), Depth::Steps, Paint::Plain));
    }

    #[test]
    fn the_newest_are_the_last() {
        let two = newest(history(), Some(2));
        assert_eq!(two.events, history().events[1..]);
        assert_eq!(newest(history(), None), history());
        let none = newest(history(), Some(0));
        assert!(none.events.is_empty() && none.unreadable.len() == 1);
    }

    #[test]
    fn without_a_history_it_says_so() {
        let said = text("node-b", &History::default(), Depth::Steps, Paint::Colours);
        assert_eq!(said, "node-b: no transition yet\n");
    }
}
