//! The steps of a promotion that nothing refuses.

use super::Input;
use super::allow::known_fresh;
use super::channel::{leftover, upstream};
use crate::decide::channels;
use crate::decide::plan::{Plan, Step};
use crate::epoch::Epoch;
use crate::switches::{Safety, off};
use crate::view::{Facts, State};

/// The highest epoch that anybody has ever told anybody of.
fn highest_known(input: &Input<'_>) -> Epoch {
    [input.me]
        .into_iter()
        .chain(input.peers)
        .filter_map(|node| node.facts.as_ref())
        .map(Facts::highest_epoch)
        .chain([input.memory.highest_epoch.clone()])
        .max()
        .unwrap_or_default()
}

pub(super) fn plan(input: &Input<'_>, facts: &Facts) -> Plan {
    let highest = highest_known(input);
    let ours = facts.own_epoch();
    if ours.exists() && ours == highest && upstream(input).is_none() {
        return reopen(input, facts, ours);
    }
    let epoch = highest.next_for(&input.me.name);
    let mut plan = Plan::to(format!("open {} under epoch {epoch}", input.me.name));
    warnings(input, &mut plan);
    claim(input, &epoch, &mut plan);
    close_the_others(input, &mut plan);
    open(input, facts, epoch, &mut plan);
    plan
}

/// The server restarted closed, and nobody has claimed anything since: the epoch stays.
fn reopen(input: &Input<'_>, facts: &Facts, epoch: Epoch) -> Plan {
    let mut plan = Plan::to(format!(
        "reopen {} under its own epoch {epoch}",
        input.me.name
    ));
    warnings(input, &mut plan);
    close_the_others(input, &mut plan);
    open(input, facts, epoch, &mut plan);
    plan
}

fn warnings(input: &Input<'_>, plan: &mut Plan) {
    for peer in input
        .peers
        .iter()
        .filter(|peer| peer.state == State::Silent)
    {
        if !input.policy.fence_command {
            plan.warnings.push(format!(
                "{} does not answer and nothing can switch it off: if it still serves clients of its own, both nodes accept writes",
                peer.name
            ));
        }
    }
    if input.peers.iter().any(|peer| !peer.answers()) && !known_fresh(input) {
        plan.warnings.push(format!(
            "after {:?} of waiting for a peer that cannot be asked, these data may be old",
            input.memory.waited
        ));
    }
    plan.warnings
        .extend(channels::left_alone(input.me, input.peers));
    for rule in &input.policy.overrides {
        plan.warnings.push(format!("rule {rule} is overridden"));
        plan.overrides.push(*rule);
    }
}

fn claim(input: &Input<'_>, epoch: &Epoch, plan: &mut Plan) {
    if off(Safety::Claim) {
        return;
    }
    plan.then(
        Step::Claim {
            epoch: epoch.clone(),
        },
        "the wish is written down before anyone is touched, so that the number is never used twice",
    );
    for node in [input.me]
        .into_iter()
        .chain(input.peers)
        .filter(|node| node.answers())
    {
        plan.then(
            Step::RaiseFence { node: node.name.clone(), epoch: epoch.clone() },
            "no opening below this epoch succeeds on that server from now on; a higher claim makes us yield",
        );
    }
}

fn close_the_others(input: &Input<'_>, plan: &mut Plan) {
    if let Some(old) = leftover(input) {
        plan.then(
            Step::StopReplication {
                channel: old.channel.clone(),
            },
            "its source was superseded by this node; what it sends is cut off",
        );
    }
    let channel = upstream(input).map(|channel| channel.channel.clone());
    if let Some(channel) = &channel {
        plan.then(
            Step::Drain { channel: channel.clone() },
            "what was received is applied while the peer may still serve, so that the closed time is short",
        );
    }
    for peer in input.peers {
        match peer.state {
            State::Open if !off(Safety::Fence) => {
                plan.then(
                    Step::FencePeer {
                        node: peer.name.clone(),
                    },
                    "two open servers would fork the data",
                );
            }
            State::Silent if input.policy.fence_command => {
                plan.then(
                    Step::FenceCommand {
                        node: peer.name.clone(),
                    },
                    "it does not answer, so it is switched off from outside",
                );
            }
            _ => {}
        }
    }
    let Some(channel) = channel else {
        return;
    };
    for peer in input.peers.iter().filter(|peer| peer.answers()) {
        let source = upstream(input).is_some_and(|channel| peer.is_source_of(channel));
        if source && !off(Safety::Fence) {
            plan.then(
                Step::CatchUp {
                    node: peer.name.clone(),
                    channel: channel.clone(),
                },
                "the source is closed and complete: its last transactions are fetched, not lost",
            );
        }
    }
    plan.then(
        Step::StopReceiver {
            channel: channel.clone(),
        },
        "nothing may arrive while the proof is made",
    );
    if !off(Safety::DrainProof) {
        plan.then(
            Step::ProveApplied {
                channel: channel.clone(),
            },
            "what was received and not applied would be lost",
        );
    }
    plan.then(
        Step::SaveChannel {
            channel: channel.clone(),
        },
        "its filters, delay and account may be wanted again",
    );
    plan.then(
        Step::StopReplication { channel },
        "an old source that returns must not feed anything in",
    );
}

fn open(input: &Input<'_>, facts: &Facts, epoch: Epoch, plan: &mut Plan) {
    plan.then(
        Step::RecordOpening {
            epoch: epoch.clone(),
        },
        "whoever finds this node after a crash must know that it may have been open",
    );
    plan.then(
        Step::Open {
            epoch: epoch.clone(),
        },
        "the server itself checks fence row and clock at the moment it opens",
    );
    let settings = &input.policy.settings;
    if input.me.state != State::Open {
        plan.steps.extend(settings.once_open(facts));
    }
    if input.policy.durability {
        plan.then(
            Step::Durability,
            "an acknowledged write must survive a power loss of the only open node",
        );
    }
    plan.then(
        Step::RecordOpened { epoch },
        "read back open; peers vet themselves against this record",
    );
    let channel = input.me.channel_from(input.peers);
    if let (true, Some(channel)) = (input.policy.reset_replica, channel) {
        plan.then(
            Step::ClearReplication { channel: channel.channel.clone() },
            "a configuration that stays would apply the old master's lost transactions when it returns",
        );
    }
    plan.steps.extend(settings.after_opening(facts));
}
