//! Nodes as tests want them.

use std::net::IpAddr;
use std::time::Duration;

use crate::decide::InSync;
use crate::epoch::Epoch;
use crate::ledger::record::{
    AppliedOf, Coordinates, FenceRow, Method, PromotionRecord, RecordDetails, RecordState,
};
use crate::replication::position::BinlogPosition;
use crate::replication::replica::{Positioning, Receiver, ReplicaStatus};
use crate::server::dialect::{Dialect, Known, Product};
use crate::view::{Facts, Gtids, NodeView, Started, State, Tables};

/// When the servers of the tests started.
pub(crate) const STARTED: Duration = Duration::from_secs(1000);

/// Address of the node with a number.
pub(crate) fn address(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

/// A sight of "in sync" some seconds ago, of the server that still runs.
pub(crate) fn seen(seconds_ago: u64) -> InSync {
    InSync {
        age: Duration::from_secs(seconds_ago),
        server_started: STARTED,
    }
}

/// A closed MariaDB node `node-a` (1), `node-b` (2), ... without history.
pub(crate) fn node(number: u8) -> NodeView {
    NodeView {
        name: format!("node-{}", char::from(b'a' + number - 1)),
        address: address(number),
        port: 3306,
        state: State::Closed,
        why: String::new(),
        facts: Some(facts(number)),
    }
}

fn facts(number: u8) -> Facts {
    Facts {
        dialect: Dialect {
            product: Product::MariaDb,
            version: (10, 11, 19),
            known: Known::MARIADB,
        },
        identity: format!("server-{number}"),
        server_id: u32::from(number),
        read_only: true,
        super_read_only: None,
        offline: false,
        log_bin: true,
        binlog_base: None,
        log_updates: true,
        started: Started {
            at: STARTED,
            within: Duration::from_millis(1200),
        },
        now: "2026-11-20 12:00:00.000000".into(),
        sync_binlog: 1,
        flush_log: 1,
        semi_sync: Default::default(),
        gtids: Gtids::MariaDb {
            binlog: Default::default(),
            state: Default::default(),
            slave: Default::default(),
        },
        channels: Vec::new(),
        binlog_end: Some(BinlogPosition::new("binlog.000001", 1000)),
        tables: Tables::Ready,
        fence: FenceRow::default(),
        promotions: Vec::new(),
        foreign_promotions: 0,
    }
}

impl NodeView {
    fn told(&mut self) -> &mut Facts {
        self.facts.as_mut().expect("a node that answers")
    }

    /// It accepts writes.
    pub(crate) fn open(mut self) -> Self {
        self.state = State::Open;
        self.told().read_only = false;
        self
    }

    /// It cannot be asked.
    pub(crate) fn gone(mut self, state: State) -> Self {
        self.state = state;
        self.why = "as the test wants it".into();
        self.facts = None;
        self
    }

    /// It was opened under an epoch of its own, after following `node-a`'s history to position 500.
    pub(crate) fn opened(mut self, number: u64) -> Self {
        let epoch = Epoch::new(number, self.name.clone());
        let facts = self.told();
        facts.fence.epoch = facts.fence.epoch.clone().max(epoch.clone());
        facts.promotions.push(PromotionRecord {
            epoch,
            server_identity: facts.identity.clone(),
            state: RecordState::Opened,
            details: Some(details()),
        });
        self
    }

    /// Its newest record came no further than `state`.
    pub(crate) fn only(mut self, state: RecordState) -> Self {
        self.told().promotions.last_mut().expect("a record").state = state;
        self
    }

    /// It was told of an epoch.
    pub(crate) fn fenced(mut self, epoch: &Epoch) -> Self {
        self.told().fence.epoch = epoch.clone();
        self
    }

    /// Its binary log holds transactions, as MariaDB writes them.
    pub(crate) fn holds(mut self, state: &str) -> Self {
        let Gtids::MariaDb { state: own, .. } = &mut self.told().gtids else {
            return self;
        };
        *own = state.parse().expect("a binlog state");
        self
    }

    /// It replicates from another node.
    pub(crate) fn follows(mut self, source: &NodeView) -> Self {
        self.told().channels.push(channel(source));
        self
    }

    /// Its first channel, changed.
    pub(crate) fn with_channel(mut self, change: impl FnOnce(&mut ReplicaStatus)) -> Self {
        change(self.told().channels.first_mut().expect("a channel"));
        self
    }
}

fn details() -> RecordDetails {
    RecordDetails {
        method: Method::Gtid,
        followed: Some(AppliedOf {
            node: Some("node-a".into()),
            host: address(1).to_string(),
            applied: Coordinates {
                position: Some(BinlogPosition::new("binlog.000001", 500)),
                ..Coordinates::default()
            },
        }),
        begins: Coordinates {
            position: Some(BinlogPosition::new("binlog.000007", 777)),
            ..Coordinates::default()
        },
        overrides: Vec::new(),
        durable: true,
        boot_id: "boot".into(),
        by: "notify_master".into(),
        at: "2026-11-20T12:00:00Z".into(),
    }
}

/// A healthy channel from `source`.
pub(crate) fn channel(source: &NodeView) -> ReplicaStatus {
    ReplicaStatus {
        channel: String::new(),
        source_host: source.address.to_string(),
        source_port: source.port,
        source_user: "repl".into(),
        receiver: Receiver::Running,
        applier_running: true,
        received: Some(BinlogPosition::new("binlog.000001", 500)),
        applied: Some(BinlogPosition::new("binlog.000001", 500)),
        positioning: Positioning::MariadbSlavePos,
        received_mariadb: None,
        retrieved_mysql: None,
        executed_mysql: None,
        receiver_error: None,
        applier_error: None,
        receiver_state: String::new(),
        applier_state: String::new(),
        seconds_behind: Some(0),
        delay_seconds: 0,
        source_server_id: None,
        source_uuid: None,
        connect_retry_seconds: Some(1),
        filters: Vec::new(),
        uses_tls: false,
    }
}
