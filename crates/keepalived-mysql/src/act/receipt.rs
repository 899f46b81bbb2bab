//! Receipts: what one transition did, step by step, and how long each took.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::salvage::Salvaged;
use crate::decide::plan::Step;
use crate::sys::{spawn_detached, utc_now};

/// One step as it went.
#[derive(Debug, Clone, Serialize)]
pub struct StepReceipt {
    /// The step with its arguments.
    #[serde(flatten)]
    pub step: Step,
    /// Milliseconds from the program's start.
    pub at_ms: f64,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// What it found or did, in a few words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What one transition did.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// `promote`, `close`, `rejoin`...
    pub transition: &'static str,
    /// The program that did it.
    pub program: &'static str,
    /// Its process.
    pub pid: u32,
    /// The group.
    pub group: String,
    /// The node.
    pub node: String,
    /// The goal, in words.
    pub goal: String,
    /// When it began, in UTC.
    pub began: String,
    /// Milliseconds it took in all.
    pub took_ms: f64,
    /// `done`, or how it ended otherwise.
    pub outcome: String,
    /// Its steps.
    pub steps: Vec<StepReceipt>,
    /// What an operator should know although it stopped nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What was salvaged, where this transition found or took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salvage: Option<Salvaged>,
    #[serde(skip)]
    clock: Option<Instant>,
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Receipt {
    /// A receipt that counts from now.
    pub fn begin(here: &Here, transition: &'static str, goal: impl Into<String>) -> Self {
        Self {
            transition,
            program: here.program,
            pid: std::process::id(),
            group: here.config.group.clone(),
            node: here.node.name.clone(),
            goal: goal.into(),
            began: utc_now(),
            took_ms: 0.0,
            outcome: String::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            salvage: None,
            clock: Some(Instant::now()),
        }
    }

    fn since_start(&self) -> Duration {
        self.clock.map(|clock| clock.elapsed()).unwrap_or_default()
    }

    /// Runs a step and notes how it went.
    pub fn time<T>(
        &mut self,
        step: &Step,
        work: impl FnOnce() -> Result<(T, String), Failure>,
    ) -> Result<T, Failure> {
        let at = self.since_start();
        let result = work();
        let (note, error) = match &result {
            Ok((_, note)) => (note.clone(), None),
            Err(failure) => (String::new(), Some(failure.to_string())),
        };
        let took = self.since_start().saturating_sub(at);
        match &error {
            None => log::info!(
                "step {} took {:.1} ms {note}",
                step.name(),
                milliseconds(took)
            ),
            Some(error) => log::warn!(
                "step {} failed after {:.1} ms: {error}",
                step.name(),
                milliseconds(took)
            ),
        }
        self.steps.push(StepReceipt {
            step: step.clone(),
            at_ms: milliseconds(at),
            took_ms: milliseconds(took),
            note,
            error,
        });
        result.map(|(value, _)| value)
    }

    /// Ends the receipt, keeps it in the history and tells the configured hook.
    pub fn finish(mut self, here: &Here, outcome: impl Into<String>) -> Self {
        self.outcome = outcome.into();
        self.took_ms = milliseconds(self.since_start());
        log::info!(
            "{}: {} ({:.1} ms): {}",
            self.transition,
            self.outcome,
            self.took_ms,
            self.goal
        );
        match serde_json::to_value(&self) {
            Ok(value) => {
                if let Err(error) = append(here, &value) {
                    log::warn!("cannot keep the receipt: {error}");
                }
                tell(here, &value);
            }
            Err(error) => log::warn!("cannot write the receipt: {error}"),
        }
        self
    }
}

/// Starts `[hooks] on_event` with the receipt on its standard input, and does not wait for it.
fn tell(here: &Here, receipt: &serde_json::Value) {
    let Some((_, _)) = here.config.hooks.on_event.split_first() else {
        return;
    };
    // coreutils' timeout ends a hook that hangs; nobody of ours is there to do it.
    let mut args = vec!["--kill-after=1s".to_owned(), "10s".to_owned()];
    args.extend(here.config.hooks.on_event.iter().cloned());
    let document = receipt.to_string();
    if let Err(error) = spawn_detached(
        std::path::Path::new("/usr/bin/timeout"),
        &args,
        Some(document.as_bytes()),
    ) {
        log::warn!(
            "cannot start the hook {:?}: {error}",
            here.config.hooks.on_event
        );
    }
}

fn append(here: &Here, receipt: &serde_json::Value) -> Result<(), String> {
    match &here.state {
        Some(state) => state
            .append_history(receipt)
            .map_err(|error| error.to_string()),
        None => Err("no state folder".into()),
    }
}
