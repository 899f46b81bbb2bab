//! The mark of a node that was fenced while its live keepalived said MASTER.

use serde::{Deserialize, Serialize};

use crate::act::here::Here;
use crate::decide::FencedMark;
use crate::decide::rule::Rule;
use crate::epoch::Epoch;
use crate::ledger::record::RecordState;
use crate::role::{Intent, Role};
use crate::sys::Birth;
use crate::view::{NodeView, State};

const FENCED: &str = "fenced.json";
const BASELINE: &str = "baseline.json";

/// The epochs that were there when keepalived said MASTER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Baseline {
    birth: Birth,
    fence: Epoch,
}

impl Here {
    /// Keeps the fence row as it was when keepalived said MASTER; whatever is raised above it later,
    /// by another node, was raised against us.
    pub fn note_baseline(&self, fence: &Epoch) {
        let Some(intent) = self
            .basis
            .as_ref()
            .filter(|intent| intent.role == Role::Master)
        else {
            return;
        };
        let known: Option<Baseline> = self.recall(BASELINE);
        // An older program of the same Master must not take what was raised since for its beginning.
        if known.is_none_or(|known| known.birth != intent.birth) && self.acts_under_the_newest() {
            self.note(
                BASELINE,
                &Baseline {
                    birth: intent.birth.clone(),
                    fence: fence.clone(),
                },
            );
        }
    }

    /// A Master that is told MASTER again keeps the fence row that it began with.
    pub fn carry_baseline(&self, before: &Intent, after: &Intent) {
        let known: Option<Baseline> = self.recall(BASELINE);
        if let Some(known) = known.filter(|known| known.birth == before.birth) {
            self.note(
                BASELINE,
                &Baseline {
                    birth: after.birth.clone(),
                    fence: known.fence,
                },
            );
        }
    }

    /// The mark of a node that was fenced while MASTER, as long as the keepalived runs that said MASTER.
    pub(super) fn fenced_mark(&self) -> Option<FencedMark> {
        let mark: FencedMark = self.recall(FENCED)?;
        // A keepalived that cannot be seen for a moment is no other one.
        if self
            .keepalived_pid()
            .is_none_or(|pid| pid == mark.keepalived_pid)
        {
            return Some(mark);
        }
        self.end_fenced_mark();
        None
    }

    /// With the mark ends the refusal that it caused: nobody has to wait for the next look at that.
    /// The refusal goes first: another program that finds no mark any more must not find it either.
    fn end_fenced_mark(&self) {
        if self
            .refused()
            .is_some_and(|refused| refused.refusal.rule == Rule::Fenced)
        {
            self.forget_refused();
        }
        self.forget(FENCED);
    }

    /// Looks whether another node raised the fence row against this one while it was MASTER. In a planned
    /// move the role is taken away first, perhaps since this program began: then nobody was fenced.
    pub fn update_fenced_mark(&self, me: &NodeView) {
        let (Some(facts), Some(pid), Some(intent)) =
            (&me.facts, self.keepalived_pid(), &self.basis)
        else {
            return;
        };
        let baseline: Option<Baseline> = self.recall(BASELINE);
        let Some(baseline) = baseline.filter(|known| known.birth == intent.birth) else {
            return;
        };
        let fence = &facts.fence.epoch;
        let against_us = intent.role == Role::Master
            && me.state == State::Closed
            && fence.node != self.node.name
            && *fence > baseline.fence.max(facts.own_epoch());
        if against_us && self.still_wanted() && self.site().vip_here {
            log::warn!(
                "fenced by {} under epoch {fence} while keepalived says MASTER here",
                fence.node
            );
            self.note(
                FENCED,
                &FencedMark {
                    by: fence.clone(),
                    keepalived_pid: pid,
                },
            );
        }
    }

    /// The mark ends when the fencer has given up or no longer serves.
    pub fn lift_fenced_mark(&self, peers: &[NodeView]) {
        let Some(mark) = self.fenced_mark() else {
            return;
        };
        let Some(fencer) = peers.iter().find(|peer| peer.name == mark.by.node) else {
            return;
        };
        let withdrew = fencer.facts.as_ref().is_some_and(|facts| {
            facts
                .promotions
                .iter()
                .any(|record| record.epoch == mark.by && record.state == RecordState::Withdrawn)
        });
        let closed =
            matches!(fencer.state, State::Closed | State::Down) && !claims(fencer, &mark.by);
        if withdrew || closed {
            log::info!(
                "{} no longer serves: this node may be promoted again",
                fencer.name
            );
            self.end_fenced_mark();
            // A MASTER that was never told otherwise begins anew with the fence row as it is now.
            self.forget(BASELINE);
        }
    }
}

/// Whether a closed fencer is still on its way to open under `epoch`.
fn claims(fencer: &NodeView, epoch: &Epoch) -> bool {
    fencer.facts.as_ref().is_some_and(|facts| {
        facts.promotions.iter().any(|record| {
            record.epoch == *epoch
                && matches!(record.state, RecordState::Claim | RecordState::Opening)
        })
    })
}

#[cfg(test)]
mod tests;
