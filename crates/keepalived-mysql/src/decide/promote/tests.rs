use std::time::Duration;

use super::*;
use crate::decide::FencedMark;
use crate::decide::plan::Step;
use crate::decide::testing::{node, seen};
use crate::ledger::record::RecordState;
use crate::replication::replica::ReplicationError;

fn master() -> Site {
    Site {
        role: Some(Role::Master),
        vip_here: true,
        vip_known: true,
        keepalived_live: true,
    }
}

fn safe() -> Policy {
    Policy {
        unreachable_peer: UnreachablePeer::Auto,
        fence_command: false,
        max_staleness: Duration::from_secs(60),
        boot_wait: Duration::from_secs(120),
        reset_replica: true,
        durability: true,
        settings: Settings::default(),
        overrides: BTreeSet::new(),
    }
}

fn in_sync() -> Memory {
    Memory {
        in_sync: Some(seen(1)),
        ..Memory::default()
    }
}

/// A promotion of the first node among `nodes`.
fn decide(nodes: &[NodeView], site: &Site, memory: &Memory, policy: &Policy) -> Decision {
    promote(&Input {
        me: &nodes[0],
        peers: &nodes[1..],
        site,
        memory,
        policy,
    })
}

fn usual(nodes: &[NodeView], memory: &Memory) -> Decision {
    decide(nodes, &master(), memory, &safe())
}

fn steps(decision: Decision) -> Vec<&'static str> {
    match decision {
        Decision::Go(plan) => plan.names(),
        other => panic!("no plan: {other:?}"),
    }
}

fn refused_by(decision: Decision) -> Rule {
    match decision {
        Decision::Refuse(refusal) => refusal.rule,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_standby_takes_over_from_a_dead_master() {
    let a = node(1).opened(1);
    let b = node(2).follows(&a);
    let names = steps(usual(&[b, a.gone(State::Down)], &in_sync()));
    assert_eq!(
        names,
        [
            "claim",
            "raise-fence",
            "drain",
            "stop-receiver",
            "prove-applied",
            "save-channel",
            "stop-replication",
            "record-opening",
            "open",
            "durability",
            "record-opened",
            "clear-replication"
        ]
    );
}

#[test]
fn an_open_peer_is_fenced_and_its_last_transactions_are_fetched() {
    let a = node(1).opened(1).open();
    let b = node(2).follows(&a);
    let names = steps(usual(&[b, a], &in_sync()));
    let at = |name| names.iter().position(|n| *n == name).expect(name);
    assert_eq!(
        names.iter().filter(|name| **name == "raise-fence").count(),
        2
    );
    assert!(at("drain") < at("fence-peer") && at("fence-peer") < at("catch-up"));
    assert!(at("catch-up") < at("stop-receiver") && at("prove-applied") < at("open"));
}

#[test]
fn numbers_are_never_used_twice_even_if_a_claim_came_to_nothing() {
    let a = node(1).opened(1);
    let b = node(2).opened(4).only(RecordState::Withdrawn).follows(&a);
    let Decision::Go(plan) = usual(&[b, a], &in_sync()) else {
        panic!("no plan");
    };
    let claimed = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::Claim { epoch } => Some(epoch.clone()),
        _ => None,
    });
    assert_eq!(claimed, Some(Epoch::new(5, "node-b")));
}

#[test]
fn keepalived_must_say_master_and_live_and_the_vip_must_be_here() {
    let nodes = [node(1), node(2).follows(&node(1))];
    let cases = [
        (
            Site {
                role: Some(Role::Backup),
                ..master()
            },
            Rule::Intent,
        ),
        (
            Site {
                role: None,
                ..master()
            },
            Rule::Intent,
        ),
        (
            Site {
                vip_here: false,
                ..master()
            },
            Rule::Vip,
        ),
        (
            Site {
                keepalived_live: false,
                ..master()
            },
            Rule::Keepalived,
        ),
    ];
    for (site, rule) in cases {
        assert_eq!(refused_by(decide(&nodes, &site, &in_sync(), &safe())), rule);
        let mut policy = safe();
        policy.overrides.insert(rule);
        assert!(
            matches!(decide(&nodes, &site, &in_sync(), &policy), Decision::Go(_)),
            "{rule}"
        );
    }
}

#[test]
fn a_peer_that_answers_with_an_error_counts_as_open() {
    let b = node(2).follows(&node(1));
    let a = node(1).gone(State::Alive);
    assert_eq!(refused_by(usual(&[b, a], &in_sync())), Rule::PeerAlive);
}

#[test]
fn a_broken_applier_refuses() {
    let a = node(1).opened(1);
    let b = node(2).follows(&a).with_channel(|channel| {
        channel.applier_running = false;
        channel.applier_error = Some(ReplicationError {
            code: 1062,
            message: "Duplicate entry".into(),
        });
    });
    assert_eq!(
        refused_by(usual(&[b, a.gone(State::Down)], &in_sync())),
        Rule::BrokenApplier
    );
}

#[test]
fn a_peer_opened_later_is_not_overtaken_by_who_does_not_follow_it() {
    let a = node(1).opened(1);
    let b = node(2).opened(2);
    assert_eq!(refused_by(usual(&[a, b], &in_sync())), Rule::HigherEpoch);
}

#[test]
fn without_any_record_the_node_that_lacks_transactions_steps_aside() {
    let a = node(1).holds("0-1-100");
    let b = node(2).holds("0-1-90");
    assert_eq!(
        refused_by(usual(&[b.clone(), a.clone()], &in_sync())),
        Rule::PeerAhead
    );
    assert!(matches!(usual(&[a, b], &in_sync()), Decision::Go(_)));
}

#[test]
fn history_that_a_later_epoch_cut_off_does_not_block_the_healthy_node() {
    let diverged = node(1).opened(1).holds("0-1-105");
    let healthy = node(2).opened(2).holds("0-1-100,0-2-120");
    let names = steps(usual(&[healthy, diverged], &in_sync()));
    assert_eq!(
        names,
        ["record-opening", "open", "durability", "record-opened"]
    );
}

#[test]
fn a_server_that_restarted_closed_reopens_under_its_own_epoch() {
    let memory = Memory {
        opened_in_this_boot: true,
        highest_epoch: Epoch::new(3, "node-a"),
        ..Memory::default()
    };
    let nodes = [node(1).opened(3), node(2).gone(State::Silent)];
    assert_eq!(
        steps(usual(&nodes, &memory)),
        ["record-opening", "open", "durability", "record-opened"]
    );
    let told = node(1).opened(3).fenced(&Epoch::new(4, "node-b"));
    let names = steps(usual(&[told, node(2).gone(State::Silent)], &memory));
    assert_eq!(
        names[0], "claim",
        "a fence row above ours needs a new epoch"
    );
}

#[test]
fn leftovers_of_an_old_source_are_stopped_and_never_drained() {
    let old = node(1).opened(1);
    let new = node(2).opened(2).follows(&old);
    let memory = Memory {
        followed_epoch: Epoch::new(1, "node-a"),
        ..in_sync()
    };
    let names = steps(usual(&[new, old], &memory));
    assert_eq!(names[0], "stop-replication");
    assert!(
        !names.contains(&"drain") && !names.contains(&"catch-up"),
        "{names:?}"
    );
    assert_eq!(names.last(), Some(&"clear-replication"));
}

#[test]
fn data_of_unknown_age_wait_for_their_peer() {
    let b = node(2).follows(&node(1));
    for state in [State::Down, State::Silent] {
        let nodes = [b.clone(), node(1).gone(state)];
        let fresh_boot = Memory::default();
        assert_eq!(refused_by(usual(&nodes, &fresh_boot)), Rule::BootRule);
        let waited = Memory {
            waited: Duration::from_secs(121),
            ..Memory::default()
        };
        assert!(matches!(usual(&nodes, &waited), Decision::Go(_)));
        let stale = Memory {
            in_sync: Some(seen(61)),
            ..Memory::default()
        };
        assert_eq!(refused_by(usual(&nodes, &stale)), Rule::BootRule);
    }
}

#[test]
fn a_former_master_after_a_reboot_does_not_believe_itself_the_newest() {
    let memory = Memory {
        highest_epoch: Epoch::new(1, "node-a"),
        ..Memory::default()
    };
    let nodes = [node(1).opened(1), node(2).gone(State::Down)];
    assert_eq!(refused_by(usual(&nodes, &memory)), Rule::BootRule);
}

#[test]
fn a_fenced_node_does_not_fence_back() {
    let b = node(2).opened(2).open();
    let a = node(1)
        .opened(1)
        .fenced(&Epoch::new(2, "node-b"))
        .follows(&b);
    let memory = Memory {
        fenced: Some(FencedMark {
            by: Epoch::new(2, "node-b"),
            keepalived_pid: 1,
        }),
        ..in_sync()
    };
    assert_eq!(refused_by(usual(&[a, b], &memory)), Rule::Fenced);
}

#[test]
fn an_open_master_yields_to_an_opened_epoch_but_not_to_a_burnt_claim() {
    let open = node(1).opened(1).open();
    let opened = node(2).opened(2);
    assert_eq!(
        usual(&[open.clone(), opened.clone()], &in_sync()),
        Decision::Yield {
            to: Epoch::new(2, "node-b")
        }
    );
    let claimed = opened.only(RecordState::Claim);
    let told = open.fenced(&Epoch::new(2, "node-b"));
    assert_eq!(usual(&[told, claimed], &in_sync()), Decision::Done);
}

#[test]
fn a_server_opened_by_hand_gets_its_first_epoch() {
    let a = node(1).open();
    let b = node(2).follows(&a);
    assert_eq!(steps(usual(&[a, b], &in_sync()))[0], "claim");
}

#[test]
fn a_diverged_node_is_refused_until_somebody_says_otherwise() {
    let memory = Memory {
        diverged: Some("node-b never received 0-1-101..105".into()),
        ..in_sync()
    };
    let nodes = [node(1), node(2).follows(&node(1))];
    assert_eq!(refused_by(usual(&nodes, &memory)), Rule::Diverged);
}

#[test]
fn a_channel_from_nowhere_is_named() {
    let stranger = node(9);
    let nodes = [
        node(1).opened(1).follows(&stranger),
        node(2).follows(&node(1)),
    ];
    let Decision::Go(plan) = usual(&nodes, &in_sync()) else {
        panic!("no plan");
    };
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.contains("10.0.0.9:3306")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_standby_whose_server_restarted_was_not_seen_in_sync() {
    let restarted_after = |milliseconds| {
        let mut b = node(2).follows(&node(1));
        let facts = b.facts.as_mut().expect("facts");
        facts.started.at += Duration::from_millis(milliseconds);
        [b, node(1).gone(State::Down)]
    };
    let same = usual(&restarted_after(900), &in_sync());
    assert!(matches!(same, Decision::Go(_)), "rounding: {same:?}");
    assert_eq!(
        refused_by(usual(&restarted_after(3000), &in_sync())),
        Rule::BootRule
    );
}

#[test]
fn an_epoch_that_was_opened_and_never_followed_is_not_forgotten() {
    let memory = Memory {
        highest_opened: Epoch::new(6, "node-b"),
        followed_epoch: Epoch::new(4, "node-b"),
        waited: Duration::from_secs(3600),
        ..Memory::default()
    };
    let nodes = [node(1).opened(5), node(2).gone(State::Down)];
    assert_eq!(refused_by(usual(&nodes, &memory)), Rule::HigherEpoch);
    let follower = node(1)
        .opened(5)
        .fenced(&Epoch::new(6, "node-b"))
        .follows(&node(2));
    let names = steps(usual(&[follower, node(2).gone(State::Down)], &memory));
    assert!(names.contains(&"prove-applied"), "{names:?}");
}

/// With the local memory lost, only the fence row tells that the channel is the live one.
#[test]
fn a_live_channel_is_drained_even_if_nobody_remembers_following_it() {
    let source = node(1).gone(State::Down);
    let b = node(2)
        .opened(4)
        .fenced(&Epoch::new(5, "node-a"))
        .follows(&node(1));
    let names = steps(usual(&[b, source], &in_sync()));
    assert!(
        names.contains(&"drain") && names.contains(&"prove-applied"),
        "{names:?}"
    );
}

/// A claim of our own that came to nothing overwrites what the source told our fence row.
#[test]
fn a_channel_of_which_nothing_is_known_is_drained_not_thrown_away() {
    let me = node(1)
        .opened(5)
        .fenced(&Epoch::new(7, "node-a"))
        .follows(&node(2));
    let names = steps(usual(&[me, node(2).gone(State::Down)], &in_sync()));
    assert!(names.contains(&"prove-applied"), "{names:?}");
}
