use super::*;
use crate::decide::settings::Events;
use crate::decide::testing::node;
use crate::replication::events::{Event, EventName, EventStatus};

fn found(
    me: &NodeView,
    peers: &[NodeView],
    role: Option<Role>,
    vip_here: bool,
    memory: &Memory,
) -> Drift {
    drift(&DriftInput {
        me,
        peers,
        site: &Site {
            role,
            vip_here,
            vip_known: true,
            keepalived_live: true,
        },
        memory,
        reset_replica: true,
        durability: true,
        rejoin: true,
        drained: false,
        settings: &Settings::default(),
    })
}

#[test]
fn every_kind_of_drift_is_seen() {
    let nothing = Memory::default();
    let (a, b) = (node(1).opened(1), node(2));
    let open = a.clone().open();
    let master = Some(Role::Master);
    let backup = Some(Role::Backup);
    assert_eq!(
        found(&open, std::slice::from_ref(&b), master, true, &nothing),
        Drift::None
    );
    assert!(matches!(
        found(&open, std::slice::from_ref(&b), backup, false, &nothing),
        Drift::Close { .. }
    ));
    assert_eq!(
        found(&a, std::slice::from_ref(&b), master, true, &nothing),
        Drift::Promote
    );
    assert_eq!(
        found(&b, std::slice::from_ref(&open), backup, false, &nothing),
        Drift::Rejoin
    );
    assert_eq!(
        found(&open, &[b.clone().open()], master, true, &nothing),
        Drift::FencePeers {
            nodes: vec!["node-b".into()]
        }
    );
    assert_eq!(
        found(&open, &[node(2).opened(2)], master, true, &nothing),
        Drift::Yield {
            to: Epoch::new(2, "node-b")
        }
    );
    assert_eq!(
        found(&open.clone().follows(&b), &[b], master, true, &nothing),
        Drift::FinishOpening
    );
    assert_eq!(
        found(&a, &[], backup, true, &nothing),
        Drift::AdoptRole { role: Role::Master }
    );
    assert_eq!(
        found(&a, &[], master, false, &nothing),
        Drift::AdoptRole { role: Role::Backup }
    );
}

#[test]
fn a_replica_of_the_serving_epoch_has_not_drifted() {
    let open = node(1).opened(1).open();
    let replica = node(2).follows(&open);
    let known = Memory {
        followed_epoch: Epoch::new(1, "node-a"),
        ..Memory::default()
    };
    let backup = Some(Role::Backup);
    assert_eq!(
        found(&replica, std::slice::from_ref(&open), backup, false, &known),
        Drift::None
    );
    assert_eq!(
        found(
            &replica,
            std::slice::from_ref(&open),
            backup,
            false,
            &Memory::default()
        ),
        Drift::Rejoin,
        "the epoch it follows is not written down yet"
    );
}

#[test]
fn a_claim_that_a_killed_program_left_is_withdrawn_once_the_role_is_gone() {
    let claimed = node(2).opened(2).only(RecordState::Claim);
    let backup = found(&claimed, &[], Some(Role::Backup), false, &Memory::default());
    assert_eq!(
        backup,
        Drift::WithdrawClaim {
            epoch: Epoch::new(2, "node-b")
        }
    );
    let master = found(&claimed, &[], Some(Role::Master), true, &Memory::default());
    assert_eq!(master, Drift::Promote);
}

#[test]
fn the_node_with_the_newest_epoch_does_not_rejoin_a_superseded_one() {
    let superseded = node(1).opened(1).open();
    assert_eq!(
        found(
            &node(2).opened(2),
            &[superseded],
            Some(Role::Backup),
            false,
            &Memory::default()
        ),
        Drift::None
    );
}

#[test]
fn a_vip_that_cannot_be_looked_for_closes_nobody() {
    let site = Site {
        role: Some(Role::Master),
        vip_here: false,
        vip_known: false,
        keepalived_live: true,
    };
    let found = drift(&DriftInput {
        me: &node(1).opened(1).open(),
        peers: &[],
        site: &site,
        memory: &Memory::default(),
        reset_replica: true,
        durability: true,
        rejoin: true,
        drained: false,
        settings: &Settings::default(),
    });
    assert_eq!(found, Drift::None);
}

/// Held, it never got as far as a rejoin, and what came before one was never done.
#[test]
fn a_diverged_old_master_went_on_running_events() {
    let purge = Event {
        name: EventName {
            schema: "shop".into(),
            name: "purge".into(),
        },
        definer: "app@localhost".into(),
        status: EventStatus::Enabled,
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
    };
    let settings = Settings {
        events: Some(Events {
            own: vec![purge],
            ..Events::default()
        }),
        ..Settings::default()
    };
    let site = |role| Site {
        role,
        vip_here: false,
        vip_known: true,
        keepalived_live: true,
    };
    let old_master = node(1).opened(1);
    let peers = [node(2).opened(2).open()];
    let memory = Memory {
        diverged: Some("rows of its own".into()),
        ..Memory::default()
    };
    let found = |role, settings: &Settings| {
        drift(&DriftInput {
            me: &old_master,
            peers: &peers,
            site: &site(role),
            memory: &memory,
            reset_replica: true,
            durability: true,
            rejoin: true,
            drained: false,
            settings,
        })
    };
    for role in [Role::Backup, Role::Fault] {
        let Drift::Settings { plan } = found(Some(role), &settings) else {
            panic!("{role}: no settings");
        };
        assert_eq!(plan.names(), ["disable-events"]);
        // Could not be done a moment ago: it is not in the way of anything.
        assert_eq!(found(Some(role), &Settings::default()), Drift::Rejoin);
    }
    assert_eq!(found(Some(Role::Stop), &settings), Drift::Rejoin);
}

/// On MySQL 9.7 an applier in the middle of a transaction that its source never finished held
/// super_read_only up, and with it the records of the promotion.
#[test]
fn a_closed_standby_without_super_read_only_is_closed_tighter() {
    let mut standby = node(2);
    if let Some(facts) = &mut standby.facts {
        facts.super_read_only = Some(false);
    }
    let found = |role, vip| found(&standby, &[], Some(role), vip, &Memory::default());
    assert_eq!(found(Role::Backup, false), Drift::CloseTighter);
    assert_eq!(found(Role::Master, true), Drift::Promote);
}

/// The mark stayed when the logs could not be flushed after a promotion, and after its next power loss a
/// durable master distrusted itself.
#[test]
fn an_opening_is_finished_once_nothing_says_that_the_node_was_relaxed() {
    let marked = Memory {
        relaxed: Relaxed::InThisBoot,
        ..Memory::default()
    };
    let open = node(1).opened(1).open();
    let found = |memory| found(&open, &[], Some(Role::Master), true, memory);
    assert_eq!(found(&marked), Drift::FinishOpening);
    assert_eq!(found(&Memory::default()), Drift::None);
}
