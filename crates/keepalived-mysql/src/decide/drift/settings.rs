//! Settings that do not fit the role: the part of the drift that neither opens nor closes.

use super::{Drift, DriftInput};
use crate::decide::plan::Planned;
use crate::decide::rejoin;
use crate::decide::settings::plan;
use crate::role::Role;

fn drift(input: &DriftInput<'_>, steps: Vec<Planned>) -> Drift {
    plan(&input.me.name, steps).map_or(Drift::None, |plan| Drift::Settings { plan })
}

/// A node that keepalived has left, or never spoke to, is left alone, whatever it is set to.
fn is_standby(input: &DriftInput<'_>) -> bool {
    matches!(input.site.role, Some(Role::Backup | Role::Fault))
}

/// On the node that serves.
pub(super) fn while_open(input: &DriftInput<'_>) -> Drift {
    let me = input.me.facts.as_ref();
    let steps = me.map(|me| input.settings.while_open(me));
    drift(input, steps.unwrap_or_default())
}

/// Before a rejoin is thought of: a node that is held never gets as far, and its events would go on.
pub(super) fn once_closed(input: &DriftInput<'_>) -> Drift {
    let me = input.me.facts.as_ref().filter(|_| is_standby(input));
    let steps = me.map(|me| input.settings.once_closed(me));
    drift(input, steps.unwrap_or_default())
}

/// On a standby that follows, or that nobody serves for.
pub(super) fn while_closed(input: &DriftInput<'_>) -> Drift {
    let Some(me) = input.me.facts.as_ref().filter(|_| is_standby(input)) else {
        return Drift::None;
    };
    let source = rejoin::source_for(me, input.peers, input.memory);
    let channel = source.and_then(|source| {
        let channel = input.me.channel_from(std::slice::from_ref(source))?;
        Some((channel, source.facts.as_ref()?))
    });
    let relaxed = input.memory.relaxed;
    drift(input, input.settings.while_closed(me, channel, relaxed))
}
