use super::*;
use crate::decide::FencedMark;
use crate::decide::rule::Rule;
use crate::decide::testing::{node, seen};

fn judged(me: &NodeView, peers: &[NodeView], memory: &Memory) -> Verdict {
    let briefs: Vec<_> = peers.iter().map(PeerBrief::of).collect();
    verdict(&Input {
        me,
        memory,
        role: None,
        drained: false,
        refused: None,
        peers: &briefs,
    })
}

fn in_sync() -> Memory {
    Memory {
        in_sync: Some(seen(1)),
        ..Memory::default()
    }
}

#[test]
fn alive_is_not_dead() {
    let memory = Memory::default();
    assert!(!judged(&node(1).gone(State::Down), &[], &memory).healthy);
    assert!(!judged(&node(1).gone(State::Silent), &[], &memory).healthy);
    assert!(judged(&node(1).gone(State::Alive), &[], &memory).healthy);
    assert!(judged(&node(1), &[], &memory).healthy);
}

#[test]
fn a_closed_node_beside_an_open_one_must_be_its_working_replica() {
    let open = node(1).opened(1).open();
    assert!(!judged(&node(2), std::slice::from_ref(&open), &in_sync()).healthy);
    let replica = node(2).follows(&open);
    assert!(judged(&replica, std::slice::from_ref(&open), &in_sync()).healthy);
    assert!(!judged(&replica, std::slice::from_ref(&open), &Memory::default()).healthy);
    let connecting = replica.with_channel(|channel| channel.receiver = Receiver::Connecting);
    assert!(
        judged(&connecting, &[open], &in_sync()).healthy,
        "the source may have died a moment ago"
    );
}

#[test]
fn a_superseded_open_peer_is_no_reason_to_be_unhealthy() {
    let superseded = node(1).opened(1).open();
    assert!(judged(&node(2).opened(2), &[superseded], &Memory::default()).healthy);
}

#[test]
fn an_open_node_below_an_opened_epoch_is_unhealthy() {
    let verdict = judged(&node(1).opened(1).open(), &[node(2).opened(2)], &in_sync());
    assert!(
        !verdict.healthy && verdict.why.contains("2@node-b"),
        "{verdict:?}"
    );
}

#[test]
fn refusals_make_unhealthy_unless_waiting_helps() {
    for (rule, healthy) in [
        (Rule::PeerAlive, false),
        (Rule::BootRule, true),
        (Rule::Vip, true),
    ] {
        let refusal = Refusal::new(rule, "why", "hint");
        let verdict = verdict(&Input {
            me: &node(1),
            memory: &in_sync(),
            role: None,
            drained: false,
            refused: Some(&refusal),
            peers: &[],
        });
        assert_eq!(verdict.healthy, healthy, "{rule}");
    }
}

#[test]
fn marks_make_unhealthy() {
    let diverged = Memory {
        diverged: Some("x".into()),
        ..in_sync()
    };
    let mark = FencedMark {
        by: Epoch::new(2, "node-b"),
        keepalived_pid: 1,
    };
    let fenced = Memory {
        fenced: Some(mark),
        ..in_sync()
    };
    assert!(!judged(&node(1), &[], &diverged).healthy);
    assert!(!judged(&node(1), &[], &fenced).healthy);
}

#[test]
fn a_refused_promotion_does_not_make_an_open_server_unhealthy() {
    let refusal = Refusal::new(Rule::PeerAlive, "why", "hint");
    let verdict = verdict(&Input {
        me: &node(1).open(),
        memory: &in_sync(),
        role: Some(Role::Master),
        drained: false,
        refused: Some(&refusal),
        peers: &[],
    });
    assert!(verdict.healthy, "{verdict:?}");
}

/// Its replicas cannot fetch its last transactions then, so nobody could take over from it.
#[test]
fn a_master_in_offline_mode_keeps_the_vip_and_a_standby_does_not_get_it() {
    let offline = |mut node: NodeView| {
        if let Some(facts) = &mut node.facts {
            facts.offline = true;
        }
        judged(&node, &[], &in_sync())
    };
    let master = offline(node(1).opened(1).open());
    let standby = offline(node(2));
    assert!(master.healthy && !standby.healthy);
    assert!(master.why.contains("offline_mode") && standby.why.contains("offline_mode"));
}
