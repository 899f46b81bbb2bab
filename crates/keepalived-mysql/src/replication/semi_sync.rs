//! What a server says of semi-synchronous replication.
//!
//! Measured alike on MariaDB 10.5, 10.11 and 11.8 (built in) and MySQL 9.7 (two plugins): a source counts
//! the capable replicas that are attached even while its own side is off; switched on then, the
//! first write does not wait longer than a round trip. Switched on with none attached, it waits for
//! the whole timeout. A replica's side takes effect when its receiver starts and stays in effect
//! until its receiver stops, whatever `enabled` says meanwhile.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a server names the variables of one side. MySQL has both kinds of plugins from 8.0.26 to 8.4,
/// so it is asked and not told by the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Words {
    /// `rpl_semi_sync_master_*` and `rpl_semi_sync_slave_*`: MariaDB, and MySQL's older plugins.
    MasterSlave,
    /// `rpl_semi_sync_source_*` and `rpl_semi_sync_replica_*`: MySQL 8.0.26 and newer.
    SourceReplica,
}

impl Words {
    const ALL: [Self; 2] = [Self::SourceReplica, Self::MasterSlave];

    /// What the names of the source side's variables begin with.
    pub fn source(self) -> &'static str {
        match self {
            Self::MasterSlave => "rpl_semi_sync_master",
            Self::SourceReplica => "rpl_semi_sync_source",
        }
    }

    /// What the names of the replica side's variables begin with.
    pub fn replica(self) -> &'static str {
        match self {
            Self::MasterSlave => "rpl_semi_sync_slave",
            Self::SourceReplica => "rpl_semi_sync_replica",
        }
    }

    /// What a source is to do while no replica is attached.
    pub fn wait_alone(self) -> &'static str {
        match self {
            Self::MasterSlave => "rpl_semi_sync_master_wait_no_slave",
            Self::SourceReplica => "rpl_semi_sync_source_wait_no_replica",
        }
    }
}

/// The side that waits for acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSide {
    /// How its variables are named.
    pub words: Words,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it works (`..._status`). After a timeout it does not, until a replica has caught up.
    pub active: bool,
    /// Capable replicas that are attached.
    pub clients: u64,
    /// How long a commit waits before it goes on without an acknowledgement.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// `AFTER_SYNC`, `AFTER_COMMIT`; empty where there is no choice (MySQL 5.6: after the commit).
    pub wait_point: String,
    /// Whether it goes on waiting while no replica is attached.
    pub waits_alone: bool,
}

impl SourceSide {
    /// Whether commits are acknowledged by a replica right now. MariaDB goes on saying ON with no
    /// replica attached.
    pub fn acknowledged(&self) -> bool {
        self.enabled && self.active && self.clients > 0
    }

    /// Switched on, and yet commits do not wait for a replica, or wait for nobody.
    pub fn degraded(&self) -> bool {
        self.enabled && !self.acknowledged()
    }
}

/// The side that acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSide {
    /// How its variables are named.
    pub words: Words,
    /// Whether the next start of the receiver takes it up.
    pub enabled: bool,
    /// Whether the receiver that runs, or ran last, took it up (`..._status`).
    pub active: bool,
}

/// Both sides of one server; none where there is no plugin for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemiSync {
    /// The side that waits for acknowledgements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceSide>,
    /// The side that acknowledges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaSide>,
}

impl SemiSync {
    /// The two statements that ask for it. They take no lock and are empty without a plugin.
    pub const ASK: &'static str = "SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync%'; \
                                   SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'";

    /// Reads the names and values that [`SemiSync::ASK`] gave, variables and status together.
    pub fn parse(rows: &[(String, String)]) -> Self {
        let value = |name: String| {
            rows.iter()
                .find(|(found, _)| found.eq_ignore_ascii_case(&name))
                .map(|(_, value)| value.as_str())
        };
        let truth = |name: String| value(name).is_some_and(|value| matches!(value, "ON" | "1"));
        let number = |name: String| value(name).and_then(|v| v.parse().ok()).unwrap_or(0);
        let source = Words::ALL.into_iter().find_map(|words| {
            let begin = words.source();
            value(format!("{begin}_enabled"))?;
            Some(SourceSide {
                words,
                enabled: truth(format!("{begin}_enabled")),
                active: truth(format!("{begin}_status")),
                clients: number(format!("{begin}_clients")),
                timeout: Duration::from_millis(number(format!("{begin}_timeout"))),
                wait_point: value(format!("{begin}_wait_point"))
                    .unwrap_or_default()
                    .to_owned(),
                waits_alone: truth(words.wait_alone().to_owned()),
            })
        });
        let replica = Words::ALL.into_iter().find_map(|words| {
            let begin = words.replica();
            value(format!("{begin}_enabled"))?;
            Some(ReplicaSide {
                words,
                enabled: truth(format!("{begin}_enabled")),
                active: truth(format!("{begin}_status")),
            })
        });
        Self { source, replica }
    }

    /// What an open server's commits wait for right now, in words.
    pub fn told(&self) -> String {
        let Some(source) = &self.source else {
            return "asynchronous: no semi-sync plugin".into();
        };
        let timeout = humantime::format_duration(source.timeout);
        match (source.enabled, source.acknowledged()) {
            (false, _) => format!(
                "asynchronous: the source side is off, {} capable replicas attached",
                source.clients
            ),
            (true, true) => format!(
                "semi-synchronous: {} replicas attached, timeout {timeout}, {}",
                source.clients, source.wait_point
            ),
            (true, false) if source.active => {
                format!("degraded: no replica is attached, the next commit waits up to {timeout}")
            }
            (true, false) => "degraded: commits do not wait for a replica".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(String, String)> {
        text.lines()
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    const MARIADB: &str = "rpl_semi_sync_master_enabled ON
        rpl_semi_sync_master_timeout 10000
        rpl_semi_sync_master_wait_no_slave ON
        rpl_semi_sync_master_wait_point AFTER_COMMIT
        rpl_semi_sync_slave_enabled OFF
        Rpl_semi_sync_master_clients 0
        Rpl_semi_sync_master_status ON
        Rpl_semi_sync_slave_status OFF";

    const MYSQL: &str = "rpl_semi_sync_replica_enabled ON
        rpl_semi_sync_source_enabled ON
        rpl_semi_sync_source_timeout 3000
        rpl_semi_sync_source_wait_for_replica_count 1
        rpl_semi_sync_source_wait_no_replica ON
        rpl_semi_sync_source_wait_point AFTER_SYNC
        Rpl_semi_sync_replica_status ON
        Rpl_semi_sync_source_clients 1
        Rpl_semi_sync_source_status ON";

    #[test]
    fn mariadb_says_on_with_nobody_attached_and_is_degraded() {
        let found = SemiSync::parse(&rows(MARIADB));
        let source = found.source.clone().expect("a source side");
        assert_eq!(source.words, Words::MasterSlave);
        assert!(source.active && source.degraded() && source.waits_alone);
        assert_eq!(source.timeout, Duration::from_secs(10));
        assert!(found.told().starts_with("degraded"), "{}", found.told());
        assert!(
            found
                .replica
                .is_some_and(|side| !side.enabled && !side.active)
        );
    }

    #[test]
    fn mysql_has_other_words() {
        let found = SemiSync::parse(&rows(MYSQL));
        let source = found.source.clone().expect("a source side");
        assert_eq!(source.words, Words::SourceReplica);
        assert!(source.acknowledged() && !source.degraded());
        assert_eq!(
            found.told(),
            "semi-synchronous: 1 replicas attached, timeout 3s, AFTER_SYNC"
        );
        assert!(
            found
                .replica
                .is_some_and(|side| side.enabled && side.active)
        );
    }

    #[test]
    fn after_a_timeout_it_is_degraded() {
        let text = MYSQL.replace("source_status ON", "source_status OFF");
        let found = SemiSync::parse(&rows(&text));
        assert_eq!(found.told(), "degraded: commits do not wait for a replica");
    }

    #[test]
    fn without_a_plugin_there_is_neither_side() {
        let found = SemiSync::parse(&[]);
        assert_eq!(found, SemiSync::default());
        assert_eq!(found.told(), "asynchronous: no semi-sync plugin");
    }

    #[test]
    fn each_side_may_be_of_another_kind() {
        let found = SemiSync::parse(&rows(
            "rpl_semi_sync_source_enabled OFF\nrpl_semi_sync_slave_enabled ON",
        ));
        assert_eq!(
            found.source.map(|side| side.words),
            Some(Words::SourceReplica)
        );
        assert_eq!(
            found.replica.map(|side| side.words),
            Some(Words::MasterSlave)
        );
    }
}
