//! What a server's settings have to be in each role: semi-synchronous replication, scheduled events and a
//! standby's durability. Nothing here opens or closes, and whatever fails is left to repair.

use std::time::Duration;

use crate::decide::Relaxed;
use crate::decide::plan::{Plan, Planned, Step};
use crate::replication::events::{Event, EventName, KnownEvents, running};
use crate::replication::replica::ReplicaStatus;
use crate::replication::semi_sync::SourceSide;
use crate::view::Facts;

/// What the configuration wants. The default touches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a commit waits for a replica; none = semi-sync is left as it is.
    pub semi_sync: Option<Duration>,
    /// This server's events; none = they are left as they are.
    pub events: Option<Events>,
    /// What a standby's durability shall be.
    pub standby: Standby,
}

/// What a standby's durability shall be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standby {
    /// As it is, unless the suite itself relaxed it.
    #[default]
    AsItIs,
    /// Relaxed while it is closed and follows.
    Relaxed,
}

/// The events of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// All of them, as they are now.
    pub own: Vec<Event>,
    /// Which of them ran on the serving node.
    pub known: KnownEvents,
}

impl Events {
    fn to_enable(&self) -> Vec<EventName> {
        let all = self.known.to_enable(&self.own);
        all.into_iter().map(|event| event.name.clone()).collect()
    }

    fn running(&self) -> Vec<EventName> {
        running(&self.own).map(|event| event.name.clone()).collect()
    }
}

impl Settings {
    /// For the first moment after an opening: with its source side on and nobody attached, the first write
    /// would wait for the whole timeout. Commits of a server that was closed wait for nobody yet.
    pub(super) fn once_open(&self, me: &Facts) -> Vec<Planned> {
        let side = self.semi_sync.and(me.semi_sync.source.as_ref());
        side.filter(|side| side.enabled && side.clients == 0)
            .map(|side| {
                planned(
                    Step::SemiSyncSourceOff { words: side.words },
                    "no replica is attached, so the first write would wait for the whole timeout",
                )
            })
            .into_iter()
            .collect()
    }

    /// For the end of a promotion.
    pub(super) fn after_opening(&self, me: &Facts) -> Vec<Planned> {
        self.replica_side_off(me)
            .into_iter()
            .chain(self.enable_events())
            .collect()
    }

    /// For a server that serves.
    pub(super) fn while_open(&self, me: &Facts) -> Vec<Planned> {
        self.source_side_on(me)
            .into_iter()
            .chain(self.after_opening(me))
            .collect()
    }

    /// For a node that was closed, whoever serves and whether or not it may follow.
    pub(super) fn once_closed(&self, me: &Facts) -> Vec<Planned> {
        // A server that is open runs its own events.
        let closed = self.disable_events().filter(|_| me.read_only);
        closed.into_iter().collect()
    }

    /// Before the receiver of a standby starts: the side of a running one cannot be changed.
    pub(super) fn before_following(&self, me: &Facts) -> Vec<Planned> {
        let mut steps: Vec<Planned> = self.disable_events().into_iter().collect();
        if self.semi_sync.is_none() {
            return steps;
        }
        steps.extend(
            me.semi_sync
                .source
                .iter()
                .filter(|s| s.enabled)
                .map(|side| {
                    planned(
                        Step::SemiSyncSourceOff { words: side.words },
                        "what a standby applies must not wait for replicas of its own",
                    )
                }),
        );
        steps.extend(me.semi_sync.replica.iter().filter(|s| !s.enabled).map(|side| {
            planned(
                Step::SemiSyncReplicaOn { words: side.words },
                "the source can wait until this node has received a commit; a running receiver would not take it up",
            )
        }));
        steps
    }

    /// Once a rejoin is verified.
    pub(super) fn once_following(&self, me: &Facts) -> Vec<Planned> {
        let strict = me.sync_binlog == 1 || me.flush_log == 1;
        if self.standby != Standby::Relaxed || !strict {
            return Vec::new();
        }
        vec![planned(
            Step::RelaxDurability,
            "the configuration wants a fast standby; after a power loss it has to be rebuilt",
        )]
    }

    /// For a closed node. `channel` reads from the node that serves, whose facts are `source`.
    pub(super) fn while_closed(
        &self,
        me: &Facts,
        channel: Option<(&ReplicaStatus, &Facts)>,
        relaxed: Relaxed,
    ) -> Vec<Planned> {
        let mut steps = self.before_following(me);
        let running = channel.filter(|(channel, _)| channel.is_running());
        if let Some((channel, source)) = running {
            steps.extend(self.restart_receiver(me, channel, source));
            // Relaxed once more, the standby would look as if it had never lost its power.
            if relaxed != Relaxed::BeforeThisBoot {
                steps.extend(self.once_following(me));
            }
        }
        if self.standby == Standby::AsItIs && relaxed == Relaxed::InThisBoot {
            steps.push(planned(
                Step::Durability,
                "the configuration no longer wants a relaxed standby",
            ));
        }
        steps
    }

    fn source_side_on(&self, me: &Facts) -> Option<Planned> {
        let timeout = self.semi_sync?;
        let side = me.semi_sync.source.as_ref()?;
        let why = if !side.enabled && side.clients > 0 {
            format!(
                "semi-sync source is off although {} semi-sync capable replicas are attached",
                side.clients
            )
        } else if side.enabled && differs(side, timeout) {
            format!(
                "semi-sync runs with timeout {:?}, wait point {:?} and waits alone: {}",
                side.timeout, side.wait_point, side.waits_alone
            )
        } else {
            return None;
        };
        let words = side.words;
        Some(planned(Step::SemiSyncSourceOn { words, timeout }, why))
    }

    fn replica_side_off(&self, me: &Facts) -> Option<Planned> {
        let side = self.semi_sync.and(me.semi_sync.replica.as_ref())?;
        side.enabled.then(|| {
            planned(
                Step::SemiSyncReplicaOff { words: side.words },
                "an open node is nobody's replica",
            )
        })
    }

    /// A receiver that was started without it, from a source that has it. The applier runs, so MariaDB keeps
    /// the relay logs.
    fn restart_receiver(
        &self,
        me: &Facts,
        channel: &ReplicaStatus,
        source: &Facts,
    ) -> Option<Planned> {
        self.semi_sync?;
        let side = me.semi_sync.replica.as_ref()?;
        if side.active || source.semi_sync.source.is_none() {
            return None;
        }
        Some(planned(
            Step::RestartReceiver {
                channel: channel.channel.clone(),
            },
            "it was started while the semi-sync replica side was off, so the source does not count it",
        ))
    }

    fn enable_events(&self) -> Option<Planned> {
        let events = self.events.as_ref()?.to_enable();
        (!events.is_empty()).then(|| {
            planned(
                Step::EnableEvents { events },
                "they ran on the node that served before, and replication disabled them here",
            )
        })
    }

    fn disable_events(&self) -> Option<Planned> {
        let events = self.events.as_ref()?.running();
        (!events.is_empty()).then(|| {
            planned(
                Step::DisableEvents { events },
                "only the node that serves runs events; a privileged one would write here all the same",
            )
        })
    }
}

fn differs(side: &SourceSide, timeout: Duration) -> bool {
    let after_commit = !side.wait_point.is_empty() && side.wait_point != "AFTER_SYNC";
    side.timeout != timeout || after_commit || !side.waits_alone
}

fn planned(step: Step, why: impl Into<String>) -> Planned {
    Planned {
        step,
        why: why.into(),
    }
}

/// A plan of nothing but settings; none if there is nothing to set.
pub(super) fn plan(node: &str, steps: Vec<Planned>) -> Option<Plan> {
    (!steps.is_empty()).then(|| Plan {
        steps,
        ..Plan::to(format!("set {node} up for its role"))
    })
}

#[cfg(test)]
mod tests;
