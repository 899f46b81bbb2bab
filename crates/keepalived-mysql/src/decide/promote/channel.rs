//! Whose history a replication channel brings: one that we continue, or one that we cut off.

use super::Input;
use crate::epoch::Epoch;
use crate::replication::replica::ReplicaStatus;
use crate::view::NodeView;

/// The channel from a peer whose history we continue.
pub(super) fn upstream<'a>(input: &Input<'a>) -> Option<&'a ReplicaStatus> {
    input
        .me
        .channel_from(input.peers)
        .filter(|channel| !is_leftover(input, channel))
}

/// A channel from a peer that we superseded: it was to be cleared after an earlier opening. What it
/// brings is cut off, so it is stopped and never drained.
pub(super) fn leftover<'a>(input: &Input<'a>) -> Option<&'a ReplicaStatus> {
    input
        .me
        .channel_from(input.peers)
        .filter(|channel| is_leftover(input, channel))
}

fn is_leftover(input: &Input<'_>, channel: &ReplicaStatus) -> bool {
    let ours = input.me.own_epoch();
    let source = input.peers.iter().find(|peer| peer.is_source_of(channel));
    let known = serves_under(input, source).max(input.memory.followed_epoch.clone());
    let answers = source.is_some_and(NodeView::answers);
    // With nothing known of a source that cannot be asked, what it sent is drained, not thrown away.
    ours > known && (answers || known.exists())
}

/// The epoch of a source: by its own records or, where it does not answer, by what it told our server.
fn serves_under(input: &Input<'_>, source: Option<&NodeView>) -> Epoch {
    let Some(source) = source else {
        return Epoch::default();
    };
    if let Some(facts) = &source.facts {
        return facts.own_epoch();
    }
    let told = input.me.facts.as_ref().map(|facts| &facts.fence.epoch);
    told.into_iter()
        .chain([&input.memory.highest_opened])
        .filter(|epoch| epoch.node == source.name)
        .max()
        .cloned()
        .unwrap_or_default()
}
