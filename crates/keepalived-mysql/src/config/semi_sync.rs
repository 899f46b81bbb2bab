//! The section `[semi_sync]`: commits that wait until a replica has received them.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Config;

/// A node without a peer and without a witness closes after this long.
/// The default of `witness.isolation_timeout`, which this version does not read.
const ISOLATION: Duration = Duration::from_secs(3);

/// What a take-over needs beside the time that the isolated node takes to notice and to close.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// Who looks after semi-synchronous replication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManageSemiSync {
    /// The suite, where the server has the plugin.
    #[default]
    Auto,
    /// Nobody here: what is switched on or off stays so.
    Off,
}

/// How long a commit waits for a replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SemiSyncTimeout {
    /// Longer than an isolated node takes to close: [`Config::semi_sync_timeout`].
    #[default]
    Auto,
    /// As written.
    Fixed(Duration),
}

impl Serialize for SemiSyncTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(duration) => humantime_serde::serialize(duration, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SemiSyncTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        humantime::parse_duration(&text)
            .map(Self::Fixed)
            .map_err(|why| {
                D::Error::custom(format!(
                    "neither \"auto\" nor a duration with a time unit: {why}"
                ))
            })
    }
}

/// `[semi_sync]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SemiSync {
    /// Who looks after it. Default `auto`.
    pub manage: ManageSemiSync,
    /// How long a commit waits for a replica before it goes on alone. Default `auto`.
    pub timeout: SemiSyncTimeout,
}

impl Config {
    /// How long a node that is cut off from everybody goes on serving, at most, and a peer takes to open:
    /// a commit that waits longer than this is acknowledged by nobody whose history is given up.
    pub fn longest_isolated(&self) -> Duration {
        ISOLATION + self.close.timeout + TAKE_OVER
    }

    /// How long a commit waits for a replica before it goes on alone.
    pub fn semi_sync_timeout(&self) -> Duration {
        match self.semi_sync.timeout {
            SemiSyncTimeout::Auto => self.longest_isolated() + Duration::from_secs(1),
            SemiSyncTimeout::Fixed(timeout) => timeout,
        }
    }

    /// [`Config::semi_sync_timeout`] where the suite looks after semi-sync, else none.
    pub fn managed_semi_sync(&self) -> Option<Duration> {
        (self.semi_sync.manage == ManageSemiSync::Auto).then(|| self.semi_sync_timeout())
    }
}
