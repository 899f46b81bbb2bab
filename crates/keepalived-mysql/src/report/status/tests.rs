use super::*;
use crate::decide::FencedMark;
use crate::decide::Memory;
use crate::decide::health::Verdict;
use crate::decide::promote::Site;
use crate::decide::rule::{Refusal, Rule};
use crate::decide::testing::node;
use crate::report::Paint;

fn seen(me: NodeView, peers: Vec<NodeView>) -> Overview {
    Overview {
        group: "VI_1".into(),
        taken_at: "2026-11-20T12:00:10.000Z".into(),
        me,
        peers,
        site: Site {
            role: Some(Role::Master),
            vip_here: true,
            vip_known: true,
            keepalived_live: true,
        },
        memory: Memory::default(),
        drained: false,
        refused: None,
        verdict: Verdict {
            healthy: true,
            why: "open".into(),
        },
        drift: Drift::None,
        last: Some(serde_json::json!({
            "began": "2026-11-20T12:00:00.000Z", "transition": "promote", "outcome": "open",
            "took_ms": 18.47, "goal": "open node-a under epoch 1@node-a",
        })),
    }
}

fn pair() -> Overview {
    let a = node(1).open().opened(1).holds("0-1-9");
    let b = node(2)
        .holds("0-1-6")
        .follows(&a)
        .fenced(&Epoch::new(1, "node-a"));
    seen(a, vec![b])
}

#[test]
fn a_serving_pair() {
    insta::assert_snapshot!(Status::of(&pair()).text(Paint::Plain));
}

/// The names are documented in docs/operations.md; scripts rest on them.
#[test]
fn the_document_of_a_serving_pair() {
    insta::assert_json_snapshot!(Status::of(&pair()));
}

#[test]
fn a_node_that_cannot_be_seen_is_a_row_with_its_reason() {
    let mut seen = pair();
    seen.peers = vec![
        node(2).gone(State::Down),
        node(3).gone(State::Silent),
        node(4).gone(State::Alive),
    ];
    let status = Status::of(&seen);
    assert!(status.local_was_seen());
    insta::assert_snapshot!(status.text(Paint::Plain));
}

#[test]
fn everything_that_holds_a_node_back() {
    let a = node(1).open().opened(3).holds("0-1-9");
    let me = node(2)
        .opened(2)
        .holds("0-1-8,0-2-9")
        .follows(&a)
        .with_channel(|channel| {
            channel.receiver = Receiver::Connecting;
            channel.applier_running = false;
            channel.seconds_behind = None;
            channel.receiver_error = Some(crate::replication::replica::ReplicationError {
                code: 2003,
                message: "cannot\nconnect".into(),
            });
        });
    let mut seen = seen(me, vec![a]);
    seen.site = Site {
        role: Some(Role::Backup),
        vip_here: false,
        vip_known: false,
        keepalived_live: false,
    };
    seen.drained = true;
    seen.drift = Drift::Rejoin;
    seen.last = None;
    seen.refused = Some(Refusal::new(Rule::PeerAhead, "node-a is ahead", "wait"));
    seen.verdict = Verdict {
        healthy: false,
        why: "diverged".into(),
    };
    seen.memory.diverged = Some("1 transaction salvaged to /salvage/x".into());
    seen.memory.salvage = Some("/salvage/x".into());
    seen.memory.relaxed = Relaxed::BeforeThisBoot;
    seen.memory.fenced = Some(FencedMark {
        by: Epoch::new(3, "node-a"),
        keepalived_pid: 7,
    });
    let status = Status::of(&seen);
    assert_eq!(status.here.salvage, seen.memory.salvage);
    insta::assert_snapshot!(status.text(Paint::Plain));
}

#[test]
fn a_node_whose_own_server_is_down_says_so() {
    let mut seen = pair();
    seen.me = node(1).gone(State::Down);
    let status = Status::of(&seen);
    assert!(!status.local_was_seen() && status.serving.is_none());
    assert_eq!(status.highest_epoch, Some(Epoch::new(1, "node-a")));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let status = Status::of(&pair());
    assert!(!status.text(Paint::Plain).contains('\u{1b}'));
    let painted = status.text(Paint::Colours);
    assert!(painted.contains("\u{1b}[32mnode-a *"), "{painted}");
    let bare = ["\u{1b}[1m", "\u{1b}[32m", "\u{1b}[0m"]
        .iter()
        .fold(painted, |text, code| text.replace(code, ""));
    assert_eq!(bare, status.text(Paint::Plain));
}
