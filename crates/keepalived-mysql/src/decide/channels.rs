//! Which replication channel is ours. The one that reads from a node of the group is, whatever it is
//! called; all others belong to somebody else and are left alone.

use crate::replication::replica::ReplicaStatus;
use crate::view::{Facts, NodeView};

/// What our channel is called where somebody else's has no name.
const NAME: &str = "keepalived_mysql";

/// Channels of `me` that read from no node of the group.
fn foreign<'a>(me: &'a Facts, peers: &'a [NodeView]) -> impl Iterator<Item = &'a ReplicaStatus> {
    me.channels
        .iter()
        .filter(|channel| !peers.iter().any(|peer| peer.is_source_of(channel)))
}

/// A warning for each channel that is left alone.
pub(super) fn left_alone(me: &NodeView, peers: &[NodeView]) -> Vec<String> {
    me.facts
        .iter()
        .flat_map(|facts| foreign(facts, peers))
        .map(|other| format!("{}: it is left as it is", described(other)))
        .collect()
}

fn described(other: &ReplicaStatus) -> String {
    format!(
        "the replication channel '{}' reads from {}:{}, which is no node of this group",
        other.channel, other.source_host, other.source_port
    )
}

/// The name for our channel, where none reads from a node of the group: the default one if it is free.
///
/// # Errors
/// Where there is no room for another channel, why.
pub(super) fn free_name(me: &Facts, peers: &[NodeView]) -> Result<String, String> {
    let taken = |name: &str| {
        foreign(me, peers)
            .find(|other| other.configured() && other.channel.eq_ignore_ascii_case(name))
    };
    let Some(default) = taken("") else {
        return Ok(String::new());
    };
    if !me.dialect.has_channels() {
        return Err(format!(
            "{}; {} has only this one",
            described(default),
            me.dialect
        ));
    }
    match taken(NAME) {
        None => Ok(NAME.to_owned()),
        Some(other) => Err(described(other)),
    }
}
