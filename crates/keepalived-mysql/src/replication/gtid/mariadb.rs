//! MariaDB's GTIDs, positions and binlog states.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::GtidError;

/// One MariaDB transaction id, `domain-server-sequence` (manual: "Global Transaction ID").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariadbGtid {
    /// Replication domain, `@@gtid_domain_id`; 0 unless configured.
    pub domain: u32,
    /// `@@server_id` of the server that first wrote the transaction.
    pub server_id: u32,
    /// Rises within the domain; the next transaction gets the highest number seen in the domain plus one.
    pub sequence: u64,
}

/// The newest transaction of each domain: `@@gtid_slave_pos`, `@@gtid_binlog_pos`, `@@gtid_current_pos`
/// or `Gtid_IO_Pos`. The text form is MariaDB's own; empty means that nothing has happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariadbPosition {
    newest: BTreeMap<u32, MariadbGtid>,
}

/// The newest transaction of each domain and server in a binary log: `@@gtid_binlog_state`.
///
/// The text form lists domains and servers in rising order. MariaDB itself puts the newest of a domain last;
/// that order is not kept, so do not set the variable from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariadbBinlogState {
    newest: BTreeMap<(u32, u32), u64>,
}

/// Transactions of one server in one domain: all sequence numbers from `from` up to and with `to`.
///
/// Not every number in between need exist: other servers of the domain draw from the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MariadbGtidRange {
    /// Replication domain.
    pub domain: u32,
    /// The server that first wrote them.
    pub server_id: u32,
    /// First number, one above the newest that the other side has; 1 if it has none.
    pub from: u64,
    /// Last number.
    pub to: u64,
}

impl MariadbPosition {
    /// Whether no domain is named.
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// The newest transaction of a domain.
    pub fn get(&self, domain: u32) -> Option<MariadbGtid> {
        self.newest.get(&domain).copied()
    }

    /// One transaction for each domain, by rising domain.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> + '_ {
        self.newest.values().copied()
    }

    /// Whether in each domain of `other` our sequence number is at least theirs. An empty `other` is covered.
    ///
    /// Sequence numbers order a domain only under `gtid_strict_mode`; without it, and with two writers in a
    /// domain, a higher number proves nothing and [`contains_exactly`](Self::contains_exactly) is the test.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|theirs| {
            self.get(theirs.domain)
                .is_some_and(|ours| ours.sequence >= theirs.sequence)
        })
    }

    /// Whether each domain of `other` stands at the very same transaction here. An empty `other` is contained.
    pub fn contains_exactly(&self, other: &Self) -> bool {
        other
            .iter()
            .all(|theirs| self.get(theirs.domain) == Some(theirs))
    }

    /// Takes over from `other` each domain that is unknown here or has a higher sequence number there.
    pub fn merge_max(&mut self, other: &Self) {
        for theirs in other.iter() {
            let ours = self.newest.entry(theirs.domain).or_insert(theirs);
            if theirs.sequence > ours.sequence {
                *ours = theirs;
            }
        }
    }
}

impl MariadbBinlogState {
    /// Whether the binary log has no transaction at all.
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// The newest sequence number of a server in a domain.
    pub fn get(&self, domain: u32, server_id: u32) -> Option<u64> {
        self.newest.get(&(domain, server_id)).copied()
    }

    /// One transaction for each domain and server, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> + '_ {
        self.newest
            .iter()
            .map(|(&(domain, server_id), &sequence)| MariadbGtid {
                domain,
                server_id,
                sequence,
            })
    }

    /// What this history has and `other` lacks, by domain and server.
    pub fn missing_in(&self, other: &Self) -> Vec<MariadbGtidRange> {
        self.iter()
            .filter_map(|ours| {
                let theirs = other.get(ours.domain, ours.server_id).unwrap_or(0);
                (ours.sequence > theirs).then_some(MariadbGtidRange {
                    domain: ours.domain,
                    server_id: ours.server_id,
                    from: theirs.saturating_add(1),
                    to: ours.sequence,
                })
            })
            .collect()
    }

    /// The highest sequence number in a domain that both histories are sure to hold; 0 if none.
    pub fn shared_end(&self, other: &Self, domain: u32) -> u64 {
        self.iter()
            .filter(|ours| ours.domain == domain)
            .filter_map(|ours| {
                let theirs = other.get(ours.domain, ours.server_id)?;
                Some(ours.sequence.min(theirs))
            })
            .max()
            .unwrap_or(0)
    }

    /// Adds what a replica has applied but need not have in its own binary log (`log_slave_updates` off).
    ///
    /// A position names only the newest transaction of a domain, so servers that wrote before it stay unknown.
    pub fn extend_with_position(&mut self, position: &MariadbPosition) {
        for gtid in position.iter() {
            let newest = self
                .newest
                .entry((gtid.domain, gtid.server_id))
                .or_insert(gtid.sequence);
            *newest = gtid.sequence.max(*newest);
        }
    }
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server_id, self.sequence)
    }
}

impl fmt::Display for MariadbPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.iter())
    }
}

impl fmt::Display for MariadbBinlogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.iter())
    }
}

impl fmt::Display for MariadbGtidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server_id, self.from)?;
        if self.to > self.from {
            write!(f, "..{}", self.to)?;
        }
        Ok(())
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, gtids: impl Iterator<Item = MariadbGtid>) -> fmt::Result {
    for (index, gtid) in gtids.enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{gtid}")?;
    }
    Ok(())
}

fn parse_list(text: &str) -> impl Iterator<Item = Result<MariadbGtid, GtidError>> + '_ {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse)
}

fn number<T: FromStr>(text: Option<&str>) -> Option<T> {
    // The standard parser would take a plus sign, which the server never writes.
    text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

impl FromStr for MariadbGtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('-');
        let domain = number(parts.next());
        let server_id = number(parts.next());
        let sequence = number(parts.next());
        match (domain, server_id, sequence, parts.next()) {
            (Some(domain), Some(server_id), Some(sequence), None) => Ok(Self {
                domain,
                server_id,
                sequence,
            }),
            _ => Err(GtidError::Mariadb(text.to_owned())),
        }
    }
}

impl FromIterator<MariadbGtid> for MariadbPosition {
    /// Of several transactions in a domain the one with the highest sequence number is kept.
    fn from_iter<I: IntoIterator<Item = MariadbGtid>>(gtids: I) -> Self {
        let mut position = Self::default();
        for gtid in gtids {
            position.merge_max(&Self {
                newest: BTreeMap::from([(gtid.domain, gtid)]),
            });
        }
        position
    }
}

impl FromStr for MariadbPosition {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut newest = BTreeMap::new();
        for gtid in parse_list(text) {
            let gtid = gtid?;
            if newest.insert(gtid.domain, gtid).is_some() {
                return Err(GtidError::Duplicate(text.to_owned()));
            }
        }
        Ok(Self { newest })
    }
}

impl FromStr for MariadbBinlogState {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut newest = BTreeMap::new();
        for gtid in parse_list(text) {
            let gtid = gtid?;
            let stream = (gtid.domain, gtid.server_id);
            if newest.insert(stream, gtid.sequence).is_some() {
                return Err(GtidError::Duplicate(text.to_owned()));
            }
        }
        Ok(Self { newest })
    }
}

/// Lets serde write a type as its text form and read it back through the parser.
macro_rules! text_form {
    ($($kind:ty),+) => {$(
        impl TryFrom<String> for $kind {
            type Error = GtidError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )+};
}

text_form!(MariadbGtid, MariadbPosition, MariadbBinlogState);
