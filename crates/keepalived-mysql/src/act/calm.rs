//! When a check starts the repair beside it.

use crate::act::check::Checked;
use crate::act::here::Here;
use crate::config::VipCheck;
use crate::decide::calm::{Input, unrest};

/// Why this check starts the repair; none if the next one will do. Where that cannot be told from
/// here without waiting for somebody, the repair looks.
pub fn why_repair(here: &Here, checked: &Checked) -> Option<&'static str> {
    if !checked.verdict.healthy {
        return Some("this node is unhealthy");
    }
    if here.broken.is_some() || here.run.is_none() || here.state.is_none() {
        return Some("a folder or the configuration cannot be used");
    }
    if here.config.vip_check != VipCheck::Interface {
        return Some("only a command can tell where the VIP is");
    }
    if here.peer_look_due() {
        return Some("the peers are to be looked at");
    }
    let facts = checked.me.facts.as_ref();
    let relaxed = facts.is_some_and(|facts| !facts.is_durable());
    unrest(&Input {
        me: &checked.me,
        nodes: &here.config.peers(&here.node),
        peers: &checked.peers,
        site: &here.site(),
        memory: &checked.memory,
        refused: checked.refused,
        contradicted: here.contradiction_is_noted(),
        reset_replica: here.config.promote.reset_replica,
        durability: here.config.promote.durability && !(relaxed && here.known_not_durable()),
    })
}
