//! What can refuse a promotion, rule by rule.

use super::{Input, channel::upstream, highest_opened};
use crate::config::UnreachablePeer;
use crate::decide::rule::{Refusal, Rule};
use crate::decide::{RELAXED, Relaxed};
use crate::replication::evidence;
use crate::role::Role;
use crate::switches::{Safety, off};
use crate::view::{Facts, Gtids, NodeView, State, Tables};

pub(super) fn local_facts<'a>(input: &Input<'a>) -> Result<&'a Facts, Refusal> {
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
            format!(
                "run {} on this node, as root and on the node itself",
                facts.dialect.grants_file()
            ),
        )),
    }
}

fn refuse(input: &Input<'_>, refusal: Refusal) -> Result<(), Refusal> {
    if input.policy.overrides.contains(&refusal.rule) {
        Ok(())
    } else {
        Err(refusal)
    }
}

pub(super) fn site_allows(input: &Input<'_>) -> Result<(), Refusal> {
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

pub(super) fn data_allow(input: &Input<'_>) -> Result<(), Refusal> {
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
    if input.memory.relaxed == Relaxed::BeforeThisBoot {
        refuse(
            input,
            Refusal::new(
                Rule::RelaxedDurability,
                RELAXED,
                "rebuild this node from the serving one, then remove relaxed.json from its state folder",
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
                format!("run {} on {}", they.dialect.grants_file(), peer.name),
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

/// A history that this node never followed, and that nobody who answers continues, is not forgotten
/// because its node is gone.
fn remembered_allows(input: &Input<'_>) -> Result<(), Refusal> {
    let served = &input.memory.highest_opened;
    let known = input
        .me
        .own_epoch()
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

pub(super) fn known_fresh(input: &Input<'_>) -> bool {
    let started = input.me.facts.as_ref().map(|facts| facts.started);
    // A server that restarted since may have thrown its relay logs away, as MariaDB with GTID does
    // when the threads start.
    let seen_in_sync = input.memory.in_sync.is_some_and(|seen| {
        seen.age <= input.policy.max_staleness
            && started.is_some_and(|started| started.at <= seen.server_started + started.within)
    });
    let ours = input.me.own_epoch();
    let last_opener =
        input.memory.opened_in_this_boot && ours.exists() && ours >= input.memory.highest_epoch;
    seen_in_sync || last_opener
}
