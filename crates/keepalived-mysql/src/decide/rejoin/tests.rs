use super::*;
use crate::decide::testing::node;
use crate::ledger::record::RecordState;
use crate::replication::replica::ReplicationError;

fn decide(
    me: &NodeView,
    peer: &NodeView,
    memory: &Memory,
    wish: Wish,
    events: Option<&[BinlogEventSummary]>,
) -> Decision {
    rejoin(&Input {
        me,
        peers: std::slice::from_ref(peer),
        memory,
        wish,
        boot_id: "boot",
        events,
        settings: &Settings::default(),
    })
}

fn by_gtid(me: &NodeView, peer: &NodeView) -> Decision {
    decide(me, peer, &Memory::default(), Wish::Gtid, None)
}

fn event(kind: &str, end: u64) -> BinlogEventSummary {
    BinlogEventSummary {
        event_type: kind.into(),
        server_id: 1,
        end_offset: end,
        info: String::new(),
    }
}

#[test]
fn with_nobody_open_nothing_is_touched() {
    let (a, b) = (node(1).opened(1), node(2));
    assert_eq!(by_gtid(&b, &a), Decision::NoSource);
    assert_eq!(by_gtid(&b, &a.gone(State::Silent)), Decision::NoSource);
}

#[test]
fn a_healthy_replica_of_the_right_source_is_left_alone() {
    let a = node(1).opened(1).open();
    let b = node(2).follows(&a);
    assert_eq!(
        by_gtid(&b, &a),
        Decision::Following {
            epoch: Epoch::new(1, "node-a")
        }
    );
}

#[test]
fn an_old_master_with_nothing_of_its_own_is_repointed() {
    let b = node(2).opened(2).open().holds("0-1-100,0-2-120");
    let a = node(1).opened(1).holds("0-1-100");
    let Decision::Go { plan, relation } = by_gtid(&a, &b) else {
        panic!("not repointed");
    };
    assert_eq!(relation, Relation::Behind);
    assert_eq!(
        plan.names(),
        ["repoint", "start-replication", "verify-replication"]
    );
}

/// What is to be salvaged, and nothing else is done.
fn salvaged(plan: Option<Plan>) -> String {
    let plan = plan.expect("a plan");
    match &plan.steps[..] {
        [only] => match &only.step {
            Step::Salvage { lost, .. } => lost.to_string(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_master_with_lost_transactions_is_held() {
    let b = node(2).opened(2).open().holds("0-1-100,0-2-120");
    let a = node(1).opened(1).holds("0-1-105");
    let Decision::Hold {
        relation: Relation::Diverged { .. },
        plan,
        ..
    } = by_gtid(&a, &b)
    else {
        panic!("not held");
    };
    assert_eq!(salvaged(plan), "0-1-101..105");
}

/// When a partition heals, the loser of the VRRP election is told BACKUP although its epoch is the
/// higher one; the winner is about to yield. Vetted against it, the node with the surviving history
/// would call itself diverged.
#[test]
fn a_node_is_never_vetted_against_a_peer_that_it_superseded() {
    let superseded = node(1).opened(1).open().holds("0-1-100");
    let newer = node(2).opened(2).holds("0-1-100,0-2-120");
    assert_eq!(by_gtid(&newer, &superseded), Decision::NoSource);
}

#[test]
fn by_position_an_old_master_begins_where_the_new_history_begins() {
    let b = node(2).opened(2).open();
    let a = node(1).opened(1);
    let events = [event("Stop", 1000)];
    let Decision::Go { plan, .. } =
        decide(&a, &b, &Memory::default(), Wish::Position, Some(&events))
    else {
        panic!("not repointed");
    };
    let start = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::Repoint { start, .. } => start.clone(),
        _ => None,
    });
    assert_eq!(start, Some(BinlogPosition::new("binlog.000007", 777)));
}

#[test]
fn by_position_an_own_transaction_after_the_record_holds_the_node() {
    let b = node(2).opened(2).open();
    let a = node(1).opened(1);
    let events = [event("Gtid", 600), event("Query", 700), event("Xid", 1000)];
    let decision = decide(&a, &b, &Memory::default(), Wish::Position, Some(&events));
    let Decision::Hold {
        relation: Relation::Diverged { .. },
        plan,
        ..
    } = decision
    else {
        panic!("{decision:?}");
    };
    assert_eq!(
        salvaged(plan),
        "what server 1 wrote itself from binlog.000001:500 on"
    );
}

#[test]
fn by_position_without_a_record_or_a_readable_log_nothing_is_proved() {
    let (a, b) = (node(1).opened(1), node(2).opened(2).open());
    let unread = decide(&a, &b, &Memory::default(), Wish::Position, None);
    assert!(
        matches!(
            unread,
            Decision::Hold {
                relation: Relation::Unknown { .. },
                ..
            }
        ),
        "{unread:?}"
    );
    let unrecorded = b.only(RecordState::Withdrawn).opened(1);
    let memory = Memory {
        followed_epoch: Epoch::new(1, "node-b"),
        ..Memory::default()
    };
    let decision = decide(&node(1), &unrecorded, &memory, Wish::Position, None);
    assert!(
        matches!(
            decision,
            Decision::Hold {
                relation: Relation::Unknown { .. },
                ..
            }
        ),
        "{decision:?}"
    );
}

#[test]
fn relaxed_durability_over_a_reboot_proves_nothing() {
    let b = node(2).opened(2).open().holds("0-1-100,0-2-120");
    let mut a = node(1).opened(1).holds("0-1-100");
    let record = a
        .facts
        .as_mut()
        .and_then(|facts| facts.promotions.last_mut())
        .expect("a record");
    let details = record.details.as_mut().expect("details");
    details.durable = false;
    assert!(
        matches!(by_gtid(&a, &b), Decision::Go { .. }),
        "the same boot"
    );
    let decision = rejoin(&Input {
        me: &a,
        peers: std::slice::from_ref(&b),
        memory: &Memory::default(),
        wish: Wish::Gtid,
        boot_id: "another boot",
        events: None,
        settings: &Settings::default(),
    });
    assert!(
        matches!(
            decision,
            Decision::Hold {
                relation: Relation::Unknown { .. },
                ..
            }
        ),
        "{decision:?}"
    );
}

#[test]
fn stopped_threads_of_the_right_source_are_started_unless_they_failed() {
    let a = node(1).opened(1).open();
    let stopped = node(2).follows(&a).with_channel(|channel| {
        channel.receiver = Receiver::Stopped;
        channel.applier_running = false;
    });
    let Decision::Go { plan, .. } = by_gtid(&stopped, &a) else {
        panic!("not started");
    };
    assert_eq!(plan.names(), ["start-replication", "verify-replication"]);
    let failed = stopped.with_channel(|channel| {
        channel.applier_error = Some(ReplicationError {
            code: 1062,
            message: "Duplicate entry".into(),
        });
    });
    assert!(matches!(by_gtid(&failed, &a), Decision::Hold { .. }));
}

#[test]
fn a_replica_whose_source_merely_vanished_is_left_to_reconnect() {
    let a = node(1).opened(1).open();
    let b = node(2)
        .follows(&a)
        .with_channel(|channel| channel.receiver = Receiver::Connecting);
    assert!(matches!(by_gtid(&b, &a), Decision::Following { .. }));
}

/// The source's refusal may come after a rejoin was taken for done.
#[test]
fn a_replica_that_its_source_refuses_for_transactions_of_its_own_has_diverged() {
    let a = node(1).opened(1).open();
    let refused = node(2).follows(&a).with_channel(|channel| {
        channel.receiver = Receiver::Stopped;
        channel.receiver_error = Some(ReplicationError {
            code: 1236,
            message: "requested to start from GTID 0-2-7, which is not in the master's binlog"
                .into(),
        });
    });
    let decision = by_gtid(&refused, &a);
    assert!(
        matches!(
            decision,
            Decision::Hold {
                relation: Relation::Diverged { .. },
                ..
            }
        ),
        "{decision:?}"
    );
}

/// With the memory of having been pointed there lost, beginning at the record again would apply
/// everything since twice.
#[test]
fn by_position_a_channel_past_the_record_is_left_where_it_is() {
    let b = node(2).opened(2).open();
    let a = node(1).opened(1).follows(&b).with_channel(|channel| {
        channel.applied = Some(BinlogPosition::new("binlog.000007", 900));
    });
    let decision = decide(&a, &b, &Memory::default(), Wish::Position, Some(&[]));
    assert_eq!(
        decision,
        Decision::Following {
            epoch: Epoch::new(2, "node-b")
        }
    );
}

/// The channel that a plan points at the source.
fn repointed_channel(decision: &Decision) -> (&str, &[String]) {
    let Decision::Go { plan, .. } = decision else {
        panic!("not repointed: {decision:?}");
    };
    let name = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::Repoint { channel, .. } => Some(channel.as_str()),
        _ => None,
    });
    (name.expect("a repoint"), &plan.warnings)
}

#[test]
fn our_channel_may_be_a_named_one_and_keeps_its_name() {
    let b = node(2).opened(2).open();
    let mut a = node(1).opened(1).follows(&node(9)).follows(&b);
    a = a.with_channel(|foreign| foreign.channel = "other".into());
    let facts = a.facts.as_mut().expect("facts");
    facts.channels[1].channel = "ours".into();
    let decision = by_gtid(&a, &b);
    let (name, warnings) = repointed_channel(&decision);
    assert_eq!(name, "ours");
    assert!(
        warnings[0].contains("'other' reads from 10.0.0.9:3306"),
        "{warnings:?}"
    );
}

#[test]
fn somebody_elses_default_channel_is_not_taken() {
    let b = node(2).opened(2).open();
    let a = node(1).opened(1).follows(&node(9));
    let decision = by_gtid(&a, &b);
    assert_eq!(repointed_channel(&decision).0, "keepalived_mysql");
}

#[test]
fn a_server_with_one_channel_that_is_somebody_elses_is_held() {
    use crate::server::dialect::{Dialect, Known};
    let b = node(2).opened(2).open();
    let mut a = node(1).opened(1).follows(&node(9));
    let old = Dialect::parse("5.6.24", "", Known::default()).expect("a version");
    a.facts.as_mut().expect("facts").dialect = old;
    let Decision::Hold {
        relation: Relation::Unknown { why },
        ..
    } = by_gtid(&a, &b)
    else {
        panic!("not held");
    };
    assert!(
        why.contains("10.0.0.9:3306") && why.contains("MySQL 5.6.24 has only this one"),
        "{why}"
    );
}

#[test]
fn how_somebody_elses_channel_replicates_says_nothing_about_ours() {
    let b = node(2).opened(2).open();
    let a = node(1).follows(&node(9)).with_channel(|foreign| {
        foreign.positioning = crate::replication::replica::Positioning::FileAndOffset;
    });
    let ours = a.channel_from(std::slice::from_ref(&b));
    let facts = a.facts.as_ref().expect("facts");
    assert_eq!(method(Wish::Auto, None, facts, ours), Method::Gtid);
}
