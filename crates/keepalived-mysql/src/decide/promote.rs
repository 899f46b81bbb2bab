//! Whether and how this node becomes the one that accepts writes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::UnreachablePeer;
use crate::decide::Memory;
use crate::decide::plan::{Plan, Step};
use crate::decide::rule::{Refusal, Rule};
use crate::epoch::Epoch;
use crate::replication::evidence;
use crate::replication::replica::ReplicaStatus;
use crate::role::Role;
use crate::switches::{Safety, off};
use crate::view::{Facts, Gtids, NodeView, State, Tables};

/// What keepalived and the host say about this node right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The newest recorded role; none if keepalived never spoke.
    pub role: Option<Role>,
    /// Whether every VIP is on this host.
    pub vip_here: bool,
    /// Whether that could be told; a check that failed says nothing.
    pub vip_known: bool,
    /// Whether a live keepalived holds it.
    pub keepalived_live: bool,
}

/// The policy's part in the decision.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What silence of a peer means.
    pub unreachable_peer: UnreachablePeer,
    /// Whether a fence command is configured.
    pub fence_command: bool,
    /// How old the last sight of "in sync" may be.
    pub max_staleness: Duration,
    /// How long a node of unknown age waits for its peer.
    pub boot_wait: Duration,
    /// Whether the old source's configuration is removed after opening.
    pub reset_replica: bool,
    /// Whether commits are made durable after opening.
    pub durability: bool,
    /// Rules that an operator set aside.
    pub overrides: BTreeSet<Rule>,
}

/// Everything the decision rests on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// This node.
    pub me: &'a NodeView,
    /// The others.
    pub peers: &'a [NodeView],
    /// Host and keepalived.
    pub site: &'a Site,
    /// What this node remembers.
    pub memory: &'a Memory,
    /// The policy.
    pub policy: &'a Policy,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Open already, under the highest epoch there is.
    Done,
    /// Open, but a higher epoch serves elsewhere: close and give the VIP up.
    Yield {
        /// The epoch above ours.
        to: Epoch,
    },
    /// Nothing may change.
    Refuse(Refusal),
    /// Go ahead.
    Go(Plan),
}

/// Decides a promotion.
pub fn promote(input: &Input<'_>) -> Decision {
    let facts = match local_facts(input) {
        Ok(facts) => facts,
        Err(refusal) => return Decision::Refuse(refusal),
    };
    if input.me.state == State::Open {
        // A fence row alone is no reason to close: its claim may never reach an opening, and a
        // burnt claim must not close a healthy master. The fencer itself closes us if it goes on.
        let (elsewhere, ours) = (highest_opened(input.peers), facts.own_epoch());
        if elsewhere > ours {
            return Decision::Yield { to: elsewhere };
        }
        if ours.exists() {
            return Decision::Done;
        }
        // Opened by hand before the suite was here: it stays open and gets its first epoch.
    }
    if let Err(refusal) = site_allows(input).and_then(|()| data_allow(input)) {
        return Decision::Refuse(refusal);
    }
    Decision::Go(plan(input, facts))
}

/// Only the part of the decision that does not depend on keepalived: would the data allow it?
pub fn data_refusal(input: &Input<'_>) -> Option<Refusal> {
    local_facts(input).and_then(|_| data_allow(input)).err()
}

fn local_facts<'a>(input: &Input<'a>) -> Result<&'a Facts, Refusal> {
    let facts = input.me.facts.as_ref().ok_or_else(|| {
        Refusal::new(
            Rule::LocalServer,
            format!("the local server cannot be asked: {}", input.me.why),
            "look at the server's own log; check_mysql retries by itself",
        )
    })?;
    match &facts.tables {
        Tables::Ready => Ok(facts),
        Tables::Missing(why) => Err(Refusal::new(
            Rule::LocalServer,
            format!("the suite's tables cannot be read on this node: {why}"),
            "run examples/grants/mariadb.sql on this node, as root and on the node itself",
        )),
    }
}

/// The highest epoch under which one of `nodes` was or may have been open.
pub fn highest_opened(nodes: &[NodeView]) -> Epoch {
    nodes
        .iter()
        .filter_map(|peer| peer.facts.as_ref())
        .map(Facts::own_epoch)
        .max()
        .unwrap_or_default()
}

fn refuse(input: &Input<'_>, refusal: Refusal) -> Result<(), Refusal> {
    if input.policy.overrides.contains(&refusal.rule) {
        Ok(())
    } else {
        Err(refusal)
    }
}

fn site_allows(input: &Input<'_>) -> Result<(), Refusal> {
    let site = input.site;
    if !site.vip_here {
        refuse(
            input,
            Refusal::new(
                Rule::Vip,
                "the VIP is not on this host",
                "for a planned switchover drain the node that has the VIP (echo 1 into its drain file)",
            ),
        )?;
    }
    if site.role != Some(Role::Master) && !off(Safety::IntentRecheck) {
        let said = site
            .role
            .map_or("nothing yet".to_owned(), |role| role.to_string());
        refuse(
            input,
            Refusal::new(
                Rule::Intent,
                format!("keepalived's newest word for this node is {said}, not MASTER"),
                "move the VIP here first (drain the other node), or promote by hand with --override intent",
            ),
        )?;
    }
    if !site.keepalived_live {
        refuse(
            input,
            Refusal::new(
                Rule::Keepalived,
                "no live keepalived runs on this host, so nobody would take the VIP away again",
                "start keepalived, or check [keepalived] pid_file",
            ),
        )?;
    }
    Ok(())
}

fn data_allow(input: &Input<'_>) -> Result<(), Refusal> {
    if let Some(why) = &input.memory.diverged {
        refuse(
            input,
            Refusal::new(
                Rule::Diverged,
                format!("this node holds transactions that the serving node never received: {why}"),
                "keep it closed; decide what to do with the lost transactions first",
            ),
        )?;
    }
    if let Some(mark) = &input.memory.fenced {
        refuse(
            input,
            Refusal::new(
                Rule::Fenced,
                format!(
                    "{} fenced this node under epoch {} while our keepalived said MASTER",
                    mark.by.node, mark.by
                ),
                "repair VRRP between the nodes, then restart keepalived here",
            ),
        )?;
    }
    for peer in input.peers {
        peer_allows(input, peer)?;
    }
    applier_allows(input)?;
    remembered_allows(input)?;
    unseen_allow(input)
}

fn peer_allows(input: &Input<'_>, peer: &NodeView) -> Result<(), Refusal> {
    match peer.state {
        State::Alive => refuse(
            input,
            Refusal::new(
                Rule::PeerAlive,
                format!(
                    "{} answers but will not let us look, and so may be open: {}",
                    peer.name, peer.why
                ),
                format!(
                    "mend the peer account on {} ([accounts.peer], grants, max_connections)",
                    peer.name
                ),
            ),
        ),
        State::Silent => silent_allows(input, peer),
        State::Down => Ok(()),
        State::Open | State::Closed => history_allows(input, peer),
    }
}

fn silent_allows(input: &Input<'_>, peer: &NodeView) -> Result<(), Refusal> {
    if input.policy.unreachable_peer == UnreachablePeer::RequireFence && !input.policy.fence_command
    {
        return refuse(
            input,
            Refusal::new(
                Rule::PeerSilent,
                format!(
                    "{} does not answer ({}) and unreachable_peer = \"require-fence\" has no fence_command",
                    peer.name, peer.why
                ),
                "set [promote] fence_command, or make sure by hand that the node is off",
            ),
        );
    }
    Ok(())
}

/// Whether a peer that answers holds something of a surviving history that we lack.
fn history_allows(input: &Input<'_>, peer: &NodeView) -> Result<(), Refusal> {
    let (Some(me), Some(they)) = (&input.me.facts, &peer.facts) else {
        return Ok(());
    };
    if let Tables::Missing(why) = &they.tables {
        return refuse(
            input,
            Refusal::new(
                Rule::PeerAlive,
                format!("the suite's tables on {} cannot be read: {why}", peer.name),
                format!("run examples/grants/mariadb.sql on {}", peer.name),
            ),
        );
    }
    let follows = upstream(input).is_some_and(|channel| peer.is_source_of(channel));
    let (ours, theirs) = (me.own_epoch(), they.own_epoch());
    if follows {
        // What it has and we lack is received before we open, or the promotion fails.
        return Ok(());
    }
    if theirs > ours {
        return refuse(
            input,
            Refusal::new(
                Rule::HigherEpoch,
                format!(
                    "{} was opened under epoch {theirs}, above ours ({ours}), and this node does not follow it",
                    peer.name
                ),
                format!(
                    "let {} have the VIP; this node rejoins it by itself",
                    peer.name
                ),
            ),
        );
    }
    if ours > theirs || peer.channel_from(std::slice::from_ref(input.me)).is_some() {
        // Its own history was cut off by our later epoch, or it is our replica.
        return Ok(());
    }
    match ahead(me, they) {
        Some(false) => Ok(()),
        Some(true) => refuse(
            input,
            Refusal::new(
                Rule::PeerAhead,
                format!(
                    "{} holds transactions that this node lacks, and this node does not replicate from it",
                    peer.name
                ),
                format!(
                    "let {} have the VIP, or set replication up first",
                    peer.name
                ),
            ),
        ),
        None => refuse(
            input,
            Refusal::new(
                Rule::PeerAhead,
                format!(
                    "neither node follows the other and nothing shows whose data are newer ({})",
                    peer.name
                ),
                "set replication up once, by hand, before the first promotion",
            ),
        ),
    }
}

/// Whether `they` hold what `me` lacks. None where nothing can be proved.
fn ahead(me: &Facts, they: &Facts) -> Option<bool> {
    match (&me.gtids, &they.gtids) {
        (
            Gtids::MariaDb {
                state: ours, slave, ..
            },
            Gtids::MariaDb { state: theirs, .. },
        ) => Some(evidence::lacks_mariadb(ours, slave, theirs).is_some()),
        (
            Gtids::MySql {
                executed: ours,
                on: true,
                ..
            },
            Gtids::MySql {
                executed: theirs, ..
            },
        ) => Some(evidence::lacks_mysql(ours, theirs).is_some()),
        _ => None,
    }
}

/// The channel from a peer whose history we continue.
fn upstream<'a>(input: &Input<'a>) -> Option<&'a ReplicaStatus> {
    input
        .me
        .channel_from(input.peers)
        .filter(|channel| !is_leftover(input, channel))
}

/// A channel from a peer that we superseded: it was to be cleared after an earlier opening. What it
/// brings is cut off, so it is stopped and never drained.
fn leftover<'a>(input: &Input<'a>) -> Option<&'a ReplicaStatus> {
    input
        .me
        .channel_from(input.peers)
        .filter(|channel| is_leftover(input, channel))
}

fn is_leftover(input: &Input<'_>, channel: &ReplicaStatus) -> bool {
    let ours = input
        .me
        .facts
        .as_ref()
        .map(Facts::own_epoch)
        .unwrap_or_default();
    let source = input.peers.iter().find(|peer| peer.is_source_of(channel));
    ours > serves_under(input, source).max(input.memory.followed_epoch.clone())
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
    told.filter(|epoch| epoch.node == source.name)
        .cloned()
        .unwrap_or_default()
}

/// A history that this node never followed, and that nobody who answers continues, is not forgotten
/// because its node is gone.
fn remembered_allows(input: &Input<'_>) -> Result<(), Refusal> {
    let served = &input.memory.highest_opened;
    let ours = input.me.facts.as_ref().map(Facts::own_epoch);
    let known = ours
        .unwrap_or_default()
        .max(input.memory.followed_epoch.clone())
        .max(highest_opened(input.peers));
    let follows = upstream(input).is_some_and(|channel| {
        let mut peers = input.peers.iter();
        peers.any(|peer| peer.name == served.node && peer.is_source_of(channel))
    });
    // Who answers for itself needs no memory of others.
    let answers = [input.me]
        .into_iter()
        .chain(input.peers)
        .any(|node| node.name == served.node && node.answers());
    if *served <= known || follows || answers {
        return Ok(());
    }
    refuse(
        input,
        Refusal::new(
            Rule::HigherEpoch,
            format!(
                "epoch {served} was opened, and this node never followed it (it knows {known})"
            ),
            format!(
                "start {} again; its transactions are lost if this node goes on without them",
                served.node
            ),
        ),
    )
}

fn applier_allows(input: &Input<'_>) -> Result<(), Refusal> {
    let Some(channel) = upstream(input) else {
        return Ok(());
    };
    let Some(error) = &channel.applier_error else {
        return Ok(());
    };
    refuse(
        input,
        Refusal::new(
            Rule::BrokenApplier,
            format!(
                "replication stopped with error {}: {}",
                error.code, error.message
            ),
            "mend the replica; until then what it received cannot be applied and would be lost",
        ),
    )
}

/// Data of unknown age do not win by being first.
fn unseen_allow(input: &Input<'_>) -> Result<(), Refusal> {
    let unseen: Vec<&str> = input
        .peers
        .iter()
        .filter(|peer| !peer.answers())
        .map(|peer| peer.name.as_str())
        .collect();
    if unseen.is_empty() || off(Safety::BootRule) || known_fresh(input) {
        return Ok(());
    }
    if input.memory.waited >= input.policy.boot_wait {
        return Ok(());
    }
    refuse(
        input,
        Refusal::new(
            Rule::BootRule,
            format!(
                "{} cannot be asked, and this node has not been seen in sync in this boot, so its data may be old; \
             waiting for {:?} in all, {:?} so far",
                unseen.join(", "),
                input.policy.boot_wait,
                input.memory.waited,
            ),
            "start the other node, or promote at once with --override boot-rule if you know that these data are the newest",
        ),
    )
}

fn known_fresh(input: &Input<'_>) -> bool {
    let started = input.me.facts.as_ref().map(|facts| facts.started);
    // A server that restarted since may have thrown its relay logs away, as MariaDB with GTID does
    // when the threads start.
    let seen_in_sync = input.memory.in_sync.is_some_and(|seen| {
        seen.age <= input.policy.max_staleness
            && started.is_some_and(|started| started.at <= seen.server_started + started.within)
    });
    let ours = input
        .me
        .facts
        .as_ref()
        .map(Facts::own_epoch)
        .unwrap_or_default();
    let last_opener =
        input.memory.opened_in_this_boot && ours.exists() && ours >= input.memory.highest_epoch;
    seen_in_sync || last_opener
}

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

fn plan(input: &Input<'_>, facts: &Facts) -> Plan {
    let highest = highest_known(input);
    let ours = facts.own_epoch();
    if ours.exists() && ours == highest && upstream(input).is_none() {
        return reopen(input, ours);
    }
    let epoch = highest.next_for(&input.me.name);
    let mut plan = Plan::to(format!("open {} under epoch {epoch}", input.me.name));
    warnings(input, &mut plan);
    claim(input, &epoch, &mut plan);
    close_the_others(input, &mut plan);
    open(input, epoch, &mut plan);
    plan
}

/// The server restarted closed, and nobody has claimed anything since: the epoch stays.
fn reopen(input: &Input<'_>, epoch: Epoch) -> Plan {
    let mut plan = Plan::to(format!(
        "reopen {} under its own epoch {epoch}",
        input.me.name
    ));
    warnings(input, &mut plan);
    close_the_others(input, &mut plan);
    open(input, epoch, &mut plan);
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
    let channels = input.me.facts.iter().flat_map(|facts| &facts.channels);
    for other in channels.filter(|c| !input.peers.iter().any(|peer| peer.is_source_of(c))) {
        plan.warnings.push(format!(
            "the replication channel '{}' reads from {}:{}, which is no node of this group: it is left as it is",
            other.channel, other.source_host, other.source_port
        ));
    }
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

fn open(input: &Input<'_>, epoch: Epoch, plan: &mut Plan) {
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
}

#[cfg(test)]
mod tests;
