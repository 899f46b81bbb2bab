use std::time::Duration;

use super::*;
use crate::decide::FencedMark;
use crate::decide::testing::{address, node, seen};
use crate::epoch::Epoch;
use crate::replication::replica::Receiver;

/// A check's whole knowledge, to be spoilt by the tests.
struct Known {
    me: NodeView,
    peers: Vec<NodeView>,
    site: Site,
    memory: Memory,
    refused: bool,
    contradicted: bool,
}

impl Known {
    fn unrest(&self) -> Option<&'static str> {
        let nodes: Vec<Node> = [(1, "node-a"), (2, "node-b")]
            .into_iter()
            .filter(|(_, name)| *name != self.me.name)
            .map(|(number, name)| Node {
                name: name.into(),
                address: address(number),
                port: 3306,
                socket: "/s".into(),
                replication_user: None,
            })
            .collect();
        let briefs: Vec<_> = self.peers.iter().map(PeerBrief::of).collect();
        unrest(&Input {
            me: &self.me,
            nodes: &nodes.iter().collect::<Vec<_>>(),
            peers: &briefs,
            site: &self.site,
            memory: &self.memory,
            refused: self.refused,
            contradicted: self.contradicted,
            reset_replica: true,
            durability: true,
        })
    }
}

fn site(role: Role, vip_here: bool) -> Site {
    Site {
        role: Some(role),
        vip_here,
        vip_known: true,
        keepalived_live: true,
    }
}

fn memory() -> Memory {
    let epoch = Epoch::new(1, "node-a");
    Memory {
        highest_epoch: epoch.clone(),
        highest_opened: epoch,
        in_sync: Some(seen(1)),
        ..Memory::default()
    }
}

fn master() -> Known {
    Known {
        me: node(1).opened(1).open(),
        peers: vec![node(2)],
        site: site(Role::Master, true),
        memory: memory(),
        refused: false,
        contradicted: false,
    }
}

fn standby() -> Known {
    let source = node(1).opened(1).open();
    Known {
        me: node(2).follows(&source).fenced(&Epoch::new(1, "node-a")),
        peers: vec![source],
        site: site(Role::Backup, false),
        memory: Memory {
            followed_epoch: Epoch::new(1, "node-a"),
            ..memory()
        },
        refused: false,
        contradicted: false,
    }
}

#[test]
fn a_healthy_pair_is_calm() {
    assert_eq!(master().unrest(), None);
    assert_eq!(standby().unrest(), None);
    // Nobody has looked at the peers lately: that is another reason to look, and not told here.
    for mut known in [master(), standby()] {
        known.peers.clear();
        assert_eq!(known.unrest(), None);
    }
}

fn restless(what: &str, healthy: fn() -> Known, spoil: impl FnOnce(&mut Known)) {
    let mut known = healthy();
    spoil(&mut known);
    assert!(known.unrest().is_some(), "{what}: {:?}", known.me);
}

/// Every reason for which a repair had to begin at the next check when each check started one.
#[test]
fn whatever_can_be_seen_from_here_is_looked_at_at_once() {
    for healthy in [master, standby] {
        restless("down", healthy, |k| {
            k.me = k.me.clone().gone(State::Down);
        });
        restless("alive", healthy, |k| {
            k.me = k.me.clone().gone(State::Alive);
        });
        restless("silent", healthy, |k| {
            k.me = k.me.clone().gone(State::Silent);
        });
        restless("no keepalived", healthy, |k| k.site.keepalived_live = false);
        restless("VIP unknown", healthy, |k| k.site.vip_known = false);
        restless("VIP moved", healthy, |k| k.site.vip_here = !k.site.vip_here);
        restless("no role", healthy, |k| k.site.role = None);
        restless("fault", healthy, |k| k.site.role = Some(Role::Fault));
        restless("stop", healthy, |k| k.site.role = Some(Role::Stop));
        restless("refused", healthy, |k| k.refused = true);
        restless("contradicted", healthy, |k| k.contradicted = true);
        restless("waiting", healthy, |k| {
            k.memory.waited = Duration::from_secs(1);
        });
        restless("diverged", healthy, |k| {
            k.memory.diverged = Some("lost".into());
        });
        restless("fenced", healthy, |k| {
            k.memory.fenced = Some(FencedMark {
                by: Epoch::new(2, "node-b"),
                keepalived_pid: 1,
            });
        });
        restless("an epoch nobody has told yet", healthy, |k| {
            k.me = k.me.clone().fenced(&Epoch::new(9, "node-b"));
        });
        restless("a claim left over", healthy, |k| {
            k.me = k.me.clone().opened(3).only(RecordState::Claim);
        });
        restless("no tables", healthy, |k| {
            if let Some(facts) = &mut k.me.facts {
                facts.tables = Tables::Missing("1146".into());
            }
        });
    }
}

#[test]
fn a_master_is_restless() {
    restless("closed", master, |k| k.me = node(1).opened(1));
    restless("told to be BACKUP", master, |k| {
        k.site.role = Some(Role::Backup);
    });
    restless("open without an epoch", master, |k| k.me = node(1).open());
    restless("its record is not complete", master, |k| {
        k.me = node(1).opened(1).only(RecordState::Opening).open();
    });
    restless("its opening was withdrawn", master, |k| {
        k.me = node(1).opened(1).only(RecordState::Withdrawn).open();
    });
    restless("commits are not durable", master, |k| {
        if let Some(facts) = &mut k.me.facts {
            facts.sync_binlog = 0;
        }
    });
    restless("the old source is configured", master, |k| {
        k.me = k.me.clone().follows(&node(2));
    });
    restless("a peer was open", master, |k| {
        k.peers = vec![node(2).open()]
    });
    restless("a peer is above", master, |k| {
        k.peers = vec![node(2).opened(2)];
    });
}

#[test]
fn a_standby_is_restless() {
    restless("open", standby, |k| k.me = k.me.clone().open());
    restless("MASTER", standby, |k| k.site.role = Some(Role::Master));
    restless("MASTER with the VIP", standby, |k| {
        k.site = site(Role::Master, true);
    });
    restless("follows nobody", standby, |k| k.me = node(2));
    restless("follows a stranger", standby, |k| {
        k.me = node(2).follows(&node(3));
    });
    restless("its receiver connects", standby, |k| {
        k.me =
            k.me.clone()
                .with_channel(|c| c.receiver = Receiver::Connecting);
    });
    restless("its receiver is stopped", standby, |k| {
        k.me =
            k.me.clone()
                .with_channel(|c| c.receiver = Receiver::Stopped);
    });
    restless("its applier is stopped", standby, |k| {
        k.me = k.me.clone().with_channel(|c| c.applier_running = false);
    });
    restless("it was MASTER since", standby, |k| {
        k.me = k.me.clone().opened(2);
        k.memory.highest_epoch = Epoch::new(2, "node-b");
        k.memory.highest_opened = Epoch::new(2, "node-b");
    });
    restless("another epoch serves", standby, |k| {
        k.peers = vec![node(1).opened(3).open()];
    });
}
