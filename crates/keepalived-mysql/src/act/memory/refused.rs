//! Why the last promotion was refused, since when this node waits, and when to look again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::act::memory::pause;
use crate::decide::rule::{Refusal, Rule};
use crate::epoch::Epoch;
use crate::sys::boottime_now;

const REFUSED: &str = "refused.json";
pub(super) const WAITING: &str = "waiting.json";

/// A refused promotion, and when it is worth another look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    boot_id: String,
    attempts: u32,
    next_at: Duration,
    /// False once a later look found the reason gone; the count of attempts stays until a
    /// promotion succeeds, so that a node that fails again and again is tried ever more rarely.
    holds: bool,
}

impl Refused {
    /// Whether the reason is worth another look.
    pub fn due(&self) -> bool {
        boottime_now() >= self.next_at
    }
}

impl Here {
    /// The reason why a promotion was refused or failed, as long as it holds.
    pub fn refused(&self) -> Option<Refused> {
        self.last_refused().filter(|refused| refused.holds)
    }

    fn last_refused(&self) -> Option<Refused> {
        self.recall(REFUSED)
            .filter(|refused: &Refused| refused.boot_id == self.boot_id)
    }

    /// A higher epoch serves elsewhere: the VIP shall go there at once, not after a refused promotion.
    pub fn note_superseded(&self, by: &Epoch) {
        self.note_refused(&Refusal::new(
            Rule::HigherEpoch,
            format!("epoch {by} was opened above ours"),
            format!(
                "let {} have the VIP; this node rejoins it by itself",
                by.node
            ),
        ));
    }

    /// A later look found another reason, or the same.
    pub fn update_refused(&self, refusal: &Refusal) {
        if let Some(before) = self.refused().filter(|before| before.refusal != *refusal) {
            self.note(
                REFUSED,
                &Refused {
                    refusal: refusal.clone(),
                    ..before
                },
            );
        }
        self.note_waiting(refusal);
    }

    /// How long a node of unknown age has waited for its peer is counted from the first refusal.
    fn note_waiting(&self, refusal: &Refusal) {
        if refusal.rule == Rule::BootRule && self.age(WAITING).is_none() {
            self.note_moment(WAITING);
        }
    }

    /// Every peer can be asked, so nobody has to wait for one.
    pub fn forget_waiting(&self) {
        self.forget(WAITING);
    }

    /// Keeps the reason of a refusal. Where waiting helps, the next look comes after a second;
    /// otherwise later each time, up to a minute.
    pub fn note_refused(&self, refusal: &Refusal) {
        let attempts = match self.last_refused() {
            Some(before) if !refusal.rule.worth_waiting() => before.attempts.saturating_add(1),
            _ => 0,
        };
        self.note(
            REFUSED,
            &Refused {
                refusal: refusal.clone(),
                boot_id: self.boot_id.clone(),
                attempts,
                next_at: boottime_now() + pause(attempts),
                holds: true,
            },
        );
        self.note_waiting(refusal);
    }

    /// A later look found the reason gone.
    pub fn reason_is_gone(&self) {
        if let Some(refused) = self.last_refused() {
            self.note(
                REFUSED,
                &Refused {
                    holds: false,
                    ..refused
                },
            );
        }
    }

    /// A promotion succeeded.
    pub fn forget_refused(&self) {
        self.forget(REFUSED);
        self.forget(WAITING);
    }
}
