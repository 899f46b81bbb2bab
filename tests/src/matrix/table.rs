//! The table of a run, in Markdown.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use super::{Case, Mode, Outcome};
use crate::server::Server;

/// How every case went.
#[derive(Debug, Default)]
pub struct Table {
    cells: Vec<(Server, Mode, Case, Outcome)>,
}

impl Table {
    pub(super) fn add(&mut self, server: Server, mode: Mode, case: Case, outcome: Outcome) {
        self.cells.push((server, mode, case, outcome));
    }

    /// An error that names what failed on a server.
    pub fn failures(&self, server: Server) -> Result<()> {
        let failed: Vec<String> = self
            .cells
            .iter()
            .filter(|(of, ..)| *of == server)
            .filter_map(|(_, mode, case, outcome)| match outcome {
                Outcome::Failed(why) => Some(format!("{}, {}: {why}", mode.name(), case.name())),
                _ => None,
            })
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{server}: {}", failed.join("\n"))
    }

    fn cell(&self, server: Server, mode: Mode, case: Case) -> String {
        let found = self
            .cells
            .iter()
            .find(|(s, m, c, _)| (*s, *m, *c) == (server, mode, case));
        found.map_or_else(String::new, |(.., outcome)| match outcome {
            Outcome::Skipped(_) => "-".to_owned(),
            other => word(other),
        })
    }

    /// Why cells were skipped.
    fn reasons(&self) -> BTreeMap<&str, Vec<String>> {
        let mut all = BTreeMap::<&str, Vec<String>>::new();
        for (server, mode, _, outcome) in &self.cells {
            if let Outcome::Skipped(why) = outcome {
                let places = all.entry(why).or_default();
                let place = format!("{server} {}", mode.name());
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        all
    }
}

/// One outcome in a few words.
pub(super) fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed { gap: Some(gap), .. } => format!("ok, {gap:.0} ms"),
        Outcome::Passed { .. } => "ok".to_owned(),
        Outcome::Failed(_) => "FAILED".to_owned(),
        Outcome::Skipped(why) => format!("skipped: {why}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Case::ALL.iter().map(|case| case.name()).collect();
        writeln!(f, "| server | replication | {} |", names.join(" | "))?;
        writeln!(f, "|---|---|{}", "---|".repeat(names.len()))?;
        for server in Server::ALL {
            for mode in Mode::ALL {
                let known = self
                    .cells
                    .iter()
                    .any(|(s, m, ..)| (*s, *m) == (server, mode));
                if known {
                    let row = Case::ALL.map(|case| self.cell(server, mode, case));
                    writeln!(f, "| {server} | {} | {} |", mode.name(), row.join(" | "))?;
                }
            }
        }
        writeln!(
            f,
            "\nMilliseconds: the longest time in which a client that connects anew could not write."
        )?;
        for (why, places) in self.reasons() {
            writeln!(f, "- skipped ({why}): {}", places.join(", "))?;
        }
        Ok(())
    }
}
