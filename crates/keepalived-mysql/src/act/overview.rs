//! Everything that `status` tells, seen at one moment. Looks, and changes nothing.

use crate::act::here::Here;
use crate::act::promote::observe;
use crate::act::repair::what_drifted;
use crate::decide::Memory;
use crate::decide::drift::Drift;
use crate::decide::health::{Input, PeerBrief, Verdict, verdict};
use crate::decide::promote::Site;
use crate::decide::rule::Refusal;
use crate::keepalived::drained;
use crate::sys::utc_now;
use crate::view::NodeView;

/// The group at one moment, as this node sees it.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The group's name.
    pub group: String,
    /// When, in UTC.
    pub taken_at: String,
    /// This node.
    pub me: NodeView,
    /// The others.
    pub peers: Vec<NodeView>,
    /// What host and keepalived say.
    pub site: Site,
    /// What this node remembers.
    pub memory: Memory,
    /// Whether an operator drained it.
    pub drained: bool,
    /// Why its last promotion was refused, as long as that holds.
    pub refused: Option<Refusal>,
    /// What the check says of it.
    pub verdict: Verdict,
    /// What the next repair has to do.
    pub drift: Drift,
    /// The newest line of its history.
    pub last: Option<serde_json::Value>,
}

/// Looks at all nodes: at this one for 3 s at most, at the others for `promote.peer_timeout`. `here` is
/// best one of [`Here::look`].
pub fn overview(here: &Here) -> Overview {
    let (me, contact, peers) = observe(here);
    drop(contact);
    let memory = here.memory();
    let refused = here.refused().map(|refused| refused.refusal);
    let drained = here.state.as_ref().is_some_and(drained);
    let briefs: Vec<PeerBrief> = peers.iter().map(PeerBrief::of).collect();
    let verdict = verdict(&Input {
        me: &me,
        memory: &memory,
        role: here.role(),
        drained,
        refused: refused.as_ref(),
        peers: &briefs,
    });
    Overview {
        group: here.config.group.clone(),
        taken_at: utc_now(),
        drift: what_drifted(here, &me, &peers),
        site: here.site(),
        last: last_event(here),
        me,
        peers,
        memory,
        drained,
        refused,
        verdict,
    }
}

fn last_event(here: &Here) -> Option<serde_json::Value> {
    let last = here.state.as_ref()?.last_event();
    last.unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    })
}
