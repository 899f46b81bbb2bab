use super::*;
use crate::decide::testing::node;
use crate::replication::events::EventStatus;
use crate::replication::replica::Receiver;
use crate::replication::semi_sync::{ReplicaSide, SemiSync, Words};
use crate::view::NodeView;

const TIMEOUT: Duration = Duration::from_secs(16);

fn managed() -> Settings {
    Settings {
        semi_sync: Some(TIMEOUT),
        ..Settings::default()
    }
}

fn sides() -> SemiSync {
    SemiSync {
        source: Some(SourceSide {
            words: Words::MasterSlave,
            enabled: false,
            active: false,
            clients: 0,
            timeout: TIMEOUT,
            wait_point: "AFTER_SYNC".into(),
            waits_alone: true,
        }),
        replica: Some(ReplicaSide {
            words: Words::MasterSlave,
            enabled: false,
            active: false,
        }),
    }
}

/// What node-a says of itself, with these two sides changed.
fn facts(change: impl FnOnce(&mut SourceSide, &mut ReplicaSide)) -> Facts {
    let mut both = sides();
    if let (Some(source), Some(replica)) = (both.source.as_mut(), both.replica.as_mut()) {
        change(source, replica);
    }
    Facts {
        semi_sync: both,
        ..node(1).facts.expect("facts")
    }
}

fn names(steps: &[Planned]) -> Vec<&'static str> {
    steps.iter().map(|planned| planned.step.name()).collect()
}

#[test]
fn the_source_side_waits_for_a_replica_that_is_attached() {
    let alone = facts(|_, _| {});
    assert!(managed().while_open(&alone).is_empty());
    let attached = facts(|source, _| source.clients = 1);
    let steps = managed().while_open(&attached);
    assert_eq!(names(&steps), ["semi-sync-source-on"]);
    assert!(
        steps[0].why.contains("although 1 semi-sync capable"),
        "{steps:?}"
    );
    let on = facts(|source, _| (source.clients, source.enabled) = (1, true));
    assert!(managed().while_open(&on).is_empty());
}

#[test]
fn a_source_side_that_is_on_is_never_switched_off_while_it_serves() {
    // A source that is cut off from its replica must go on waiting: nobody else has these commits.
    let cut_off = facts(|source, _| (source.enabled, source.active) = (true, true));
    assert!(managed().while_open(&cut_off).is_empty());
    let degraded = facts(|source, _| source.enabled = true);
    assert!(managed().while_open(&degraded).is_empty());
}

#[test]
fn other_settings_of_a_source_side_are_put_right() {
    let changes: [fn(&mut SourceSide, &mut ReplicaSide); 3] = [
        |source, _| source.timeout = Duration::from_secs(10),
        |source, _| source.wait_point = "AFTER_COMMIT".into(),
        |source, _| source.waits_alone = false,
    ];
    for change in changes {
        let other = facts(|source, replica| {
            (source.enabled, source.active, source.clients) = (true, true, 1);
            change(source, replica);
        });
        assert_eq!(
            names(&managed().while_open(&other)),
            ["semi-sync-source-on"]
        );
    }
    let without_choice = facts(|source, _| {
        (source.enabled, source.clients) = (true, 1);
        source.wait_point.clear();
    });
    assert!(managed().while_open(&without_choice).is_empty());
}

#[test]
fn a_source_side_from_the_option_file_does_not_stall_the_first_write() {
    let on = facts(|source, _| source.enabled = true);
    assert_eq!(names(&managed().once_open(&on)), ["semi-sync-source-off"]);
    let attached = facts(|source, _| (source.enabled, source.clients) = (true, 1));
    assert!(managed().once_open(&attached).is_empty());
}

#[test]
fn what_nobody_manages_is_left_alone() {
    let on = facts(|source, replica| {
        (source.enabled, source.clients, replica.enabled) = (true, 1, true);
    });
    let off = facts(|source, _| source.clients = 1);
    for facts in [&on, &off] {
        let settings = Settings::default();
        assert!(settings.once_open(facts).is_empty());
        assert!(settings.while_open(facts).is_empty());
        assert!(settings.before_following(facts).is_empty());
        assert!(settings.while_closed(facts, None, Relaxed::No).is_empty());
    }
}

#[test]
fn a_server_without_the_plugin_is_left_alone() {
    let without = node(1).facts.expect("facts");
    assert!(managed().while_open(&without).is_empty());
    assert!(
        managed()
            .while_closed(&without, None, Relaxed::No)
            .is_empty()
    );
}

#[test]
fn a_standby_has_the_replica_side_before_its_receiver_starts() {
    let plain = facts(|_, _| {});
    assert_eq!(
        names(&managed().before_following(&plain)),
        ["semi-sync-replica-on"]
    );
    let was_source = facts(|source, _| source.enabled = true);
    assert_eq!(
        names(&managed().before_following(&was_source)),
        ["semi-sync-source-off", "semi-sync-replica-on"]
    );
    let opened = facts(|_, replica| replica.enabled = true);
    assert_eq!(
        names(&managed().after_opening(&opened)),
        ["semi-sync-replica-off"]
    );
}

/// node-a's channel from node-b.
fn following(me: Facts) -> NodeView {
    let mut view = node(1);
    view.facts = Some(me);
    view.follows(&node(2))
}

fn closed(view: &NodeView, source: &Facts, settings: &Settings) -> Vec<&'static str> {
    let me = view.facts.as_ref().expect("facts");
    let channel = me.channels.first().map(|channel| (channel, source));
    names(&settings.while_closed(me, channel, Relaxed::No))
}

#[test]
fn a_receiver_that_started_without_it_is_restarted_if_nothing_can_be_lost() {
    let source = facts(|_, _| {});
    let off = following(facts(|_, _| {}));
    assert_eq!(
        closed(&off, &source, &managed()),
        ["semi-sync-replica-on", "restart-receiver"]
    );
    let on = following(facts(|_, replica| replica.enabled = true));
    assert_eq!(closed(&on, &source, &managed()), ["restart-receiver"]);
    let works = following(facts(|_, replica| {
        (replica.enabled, replica.active) = (true, true)
    }));
    assert!(closed(&works, &source, &managed()).is_empty());
    // Both threads stopped: a start would throw MariaDB's relay logs away.
    let stopped = on
        .clone()
        .with_channel(|channel| channel.applier_running = false);
    assert!(closed(&stopped, &source, &managed()).is_empty());
    let connecting = on.with_channel(|channel| channel.receiver = Receiver::Connecting);
    assert!(closed(&connecting, &source, &managed()).is_empty());
}

#[test]
fn a_source_without_the_plugin_causes_no_restarts() {
    let source = node(2).facts.expect("facts");
    let me = following(facts(|_, replica| replica.enabled = true));
    assert!(closed(&me, &source, &managed()).is_empty());
}

fn event(name: &str, status: EventStatus) -> Event {
    Event {
        name: EventName {
            schema: "shop".into(),
            name: name.into(),
        },
        definer: "app@localhost".into(),
        status,
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
    }
}

#[test]
fn events_run_where_the_node_serves_and_nowhere_else() {
    let ran = event("purge", EventStatus::DisabledOnReplica);
    let with = |own: Vec<Event>, known: KnownEvents| Settings {
        events: Some(Events { own, known }),
        ..Settings::default()
    };
    let known = KnownEvents {
        enabled: [ran.name.clone()].into(),
    };
    let me = facts(|_, _| {});
    let promoted = with(vec![ran.clone()], known);
    assert_eq!(names(&promoted.after_opening(&me)), ["enable-events"]);
    assert_eq!(names(&promoted.while_open(&me)), ["enable-events"]);
    assert!(promoted.before_following(&me).is_empty());
    let unseen = with(vec![ran], KnownEvents::default());
    assert!(unseen.after_opening(&me).is_empty());
    let old_master = with(
        vec![event("purge", EventStatus::Enabled)],
        KnownEvents::default(),
    );
    assert!(old_master.while_open(&me).is_empty());
    assert_eq!(names(&old_master.before_following(&me)), ["disable-events"]);
    let closed = old_master.while_closed(&me, None, Relaxed::No);
    assert_eq!(names(&closed), ["disable-events"]);
}

#[test]
fn durability_is_relaxed_only_while_replication_runs() {
    let source = facts(|_, _| {});
    let relaxed = Settings {
        standby: Standby::Relaxed,
        ..Settings::default()
    };
    let me = following(facts(|_, _| {}));
    assert_eq!(closed(&me, &source, &relaxed), ["relax-durability"]);
    let stopped = me
        .clone()
        .with_channel(|channel| channel.receiver = Receiver::Stopped);
    assert!(closed(&stopped, &source, &relaxed).is_empty());
    let facts = me.facts.as_ref().expect("facts");
    assert!(relaxed.while_open(facts).is_empty());
    assert!(relaxed.while_closed(facts, None, Relaxed::No).is_empty());
    let no_longer = Settings::default().while_closed(facts, None, Relaxed::InThisBoot);
    assert_eq!(names(&no_longer), ["durability"]);
}

/// Relaxed a second time it bore the mark of this boot, and was trusted again.
#[test]
fn a_relaxed_standby_that_lost_its_power_was_relaxed_again() {
    let settings = Settings {
        standby: Standby::Relaxed,
        ..Settings::default()
    };
    let source = node(1).opened(1).open();
    let replica = node(2).follows(&source);
    let (me, source) = (replica.facts.expect("facts"), source.facts.expect("facts"));
    let steps = |relaxed| settings.while_closed(&me, Some((&me.channels[0], &source)), relaxed);
    assert_eq!(names(&steps(Relaxed::No)), ["relax-durability"]);
    assert!(steps(Relaxed::BeforeThisBoot).is_empty());
}
