//! Samples into figures, and figures against the bars.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// One run of one program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    /// User and system time of the program and of what it waited for.
    pub(super) cpu: Duration,
}

/// What the runs of one program come to. Milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) name: &'static str,
    pub(super) wall: Spread,
    pub(super) cpu: Spread,
    /// The most memory of one run, in KiB, where it could be measured.
    pub(super) peak_kib: Option<u64>,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) mean: f64,
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut all: Vec<f64> = times.map(|time| time.as_secs_f64() * 1000.0).collect();
        all.sort_by(f64::total_cmp);
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len().saturating_sub(1)));
        let sum: f64 = all.iter().sum();
        let count = u32::try_from(all.len().max(1)).unwrap_or(u32::MAX);
        Self {
            min: at(0).copied().unwrap_or_default(),
            p50: at(50).copied().unwrap_or_default(),
            p99: at(99).copied().unwrap_or_default(),
            mean: sum / f64::from(count),
        }
    }
}

impl Figures {
    pub(super) const HEAD: &'static str = "program                    wall: min    p50    p99   mean    cpu: min    p50    p99   mean   peak";

    pub(super) fn of(name: &'static str, samples: &[Sample]) -> Self {
        Self {
            name,
            wall: Spread::of(samples.iter().map(|sample| sample.wall)),
            cpu: Spread::of(samples.iter().map(|sample| sample.cpu)),
            peak_kib: None,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, cpu) = (&self.wall, &self.cpu);
        let peak = self.peak_kib.map_or("-".to_owned(), |kib| kib.to_string());
        write!(
            f,
            "{:<27}     {:6.2} {:6.2} {:6.2} {:6.2}        {:6.2} {:6.2} {:6.2} {:6.2} {peak:>6}",
            self.name, wall.min, wall.p50, wall.p99, wall.mean, cpu.min, cpu.p50, cpu.p99, cpu.mean
        )
    }
}

/// Ours against each bar, by median and by minimum.
pub(super) fn bars(all: &[Figures]) -> Vec<String> {
    let find = |name: &str| all.iter().find(|figures| figures.name == name);
    let Some(ours) = find(super::rivals::OURS) else {
        return Vec::new();
    };
    let line = |what: &str, ours: Spread, rival: Spread, most: f64| {
        let (p50, min) = (ours.p50 / rival.p50, ours.min / rival.min);
        let word = if p50 <= most { "met" } else { "missed" };
        format!("{what}: {p50:.2} (by minima {min:.2}), bar {most:.2}: {word}")
    };
    let mut lines = Vec::new();
    if let Some(rival) = find(super::rivals::ADMIN) {
        let what = "wall / mariadb-admin ping";
        lines.push(line(what, ours.wall, rival.wall, 0.6));
    }
    if let Some(rival) = find(super::rivals::SHELL) {
        lines.push(line("cpu / shell and client", ours.cpu, rival.cpu, 0.1));
    }
    if let Some(rival) = find(super::rivals::FLOOR) {
        lines.push(line(
            "wall / C, SELECT 1 (an aim)",
            ours.wall,
            rival.wall,
            1.5,
        ));
    }
    lines
}
