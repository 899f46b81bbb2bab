//! MySQL's GTID sets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::GtidError;

/// Highest transaction number that MySQL knows (manual: "GTID Format and Storage").
const HIGHEST: u64 = i64::MAX as u64;
/// Longest tag (manual: "GTID Format and Storage", MySQL 8.3 and later).
const LONGEST_TAG: usize = 32;

/// A set of MySQL transactions, `uuid:1-5:9,uuid:tag:1-3`: `@@gtid_executed`, `@@gtid_purged`,
/// `Retrieved_Gtid_Set`, `Executed_Gtid_Set`.
///
/// Parsing takes what a server or a person writes: line breaks and blanks between parts, capital letters,
/// unordered and overlapping intervals, and the tags of MySQL 8.3 and later. The text form is canonical: UUIDs
/// and tags in rising order and small letters, intervals joined, no blanks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MysqlGtidSet {
    streams: BTreeMap<Stream, Vec<Interval>>,
}

/// Who numbered the transactions: a server's UUID in small letters, and a tag, which is mostly empty.
type Stream = (String, String);

/// First and last number, both inside. A stream's intervals rise and neither overlap nor touch.
type Interval = (u64, u64);

impl MysqlGtidSet {
    /// Whether there is no transaction in the set.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The number of transactions in the set.
    pub fn count(&self) -> u64 {
        self.streams
            .values()
            .flatten()
            .fold(0, |sum: u64, (first, last)| {
                sum.saturating_add(last - first + 1)
            })
    }

    /// Whether every transaction of `other` is in this set (`GTID_SUBSET(other, self)`).
    pub fn contains(&self, other: &Self) -> bool {
        other.subtract(self).is_empty()
    }

    /// The transactions that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut streams = self.streams.clone();
        for (stream, intervals) in &other.streams {
            streams.entry(stream.clone()).or_default().extend(intervals);
        }
        Self::normalised(streams)
    }

    /// The transactions of this set that are not in `other` (`GTID_SUBTRACT(self, other)`).
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let streams = self
            .streams
            .iter()
            .map(|(stream, ours)| {
                let theirs = other.streams.get(stream).map_or(&[][..], Vec::as_slice);
                (stream.clone(), subtract_intervals(ours, theirs))
            })
            .collect();
        Self::normalised(streams)
    }

    /// Those of its transactions that the server with this UUID committed first.
    #[must_use]
    pub fn of_server(&self, uuid: &str) -> Self {
        let ours = self
            .streams
            .iter()
            .filter(|((server, _), _)| server.eq_ignore_ascii_case(uuid));
        Self {
            streams: ours.map(|(s, i)| (s.clone(), i.clone())).collect(),
        }
    }

    fn normalised(mut streams: BTreeMap<Stream, Vec<Interval>>) -> Self {
        for intervals in streams.values_mut() {
            *intervals = join_intervals(std::mem::take(intervals));
        }
        streams.retain(|_, intervals| !intervals.is_empty());
        Self { streams }
    }
}

/// Sorts, and joins what overlaps or touches.
fn join_intervals(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for (first, last) in intervals {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// What is left of `ours` without `theirs`; both rise without overlap.
fn subtract_intervals(ours: &[Interval], theirs: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::new();
    let mut skip = 0;
    for &(first, last) in ours {
        let mut next = first;
        // Those that end before this interval cannot matter to a later one either.
        skip += theirs[skip..]
            .iter()
            .take_while(|(_, end)| *end < first)
            .count();
        for &(cut_first, cut_last) in theirs[skip..].iter().take_while(|(cut, _)| *cut <= last) {
            if cut_first > next {
                left.push((next, cut_first - 1));
            }
            next = next.max(cut_last + 1);
        }
        if next <= last {
            left.push((next, last));
        }
    }
    left
}

impl fmt::Display for MysqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous: Option<&str> = None;
        for ((uuid, tag), intervals) in &self.streams {
            // MySQL writes the tags of one UUID behind each other, after its untagged intervals.
            if previous != Some(uuid) {
                write!(f, "{}{uuid}", if previous.is_some() { "," } else { "" })?;
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (first, last) in intervals {
                write!(f, ":{first}")?;
                if last > first {
                    write!(f, "-{last}")?;
                }
            }
            previous = Some(uuid);
        }
        Ok(())
    }
}

impl FromStr for MysqlGtidSet {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut streams = BTreeMap::new();
        let parts = text.split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            parse_uuid_set(part, &mut streams)?;
        }
        Ok(Self::normalised(streams))
    }
}

/// Adds `uuid:interval:...[:tag:interval:...]` to `streams`.
fn parse_uuid_set(
    part: &str,
    streams: &mut BTreeMap<Stream, Vec<Interval>>,
) -> Result<(), GtidError> {
    let shape = || GtidError::Shape(part.to_owned());
    let mut tokens = part.split(':').map(str::trim);
    let uuid = tokens
        .next()
        .and_then(parse_uuid)
        .ok_or_else(|| GtidError::Uuid(part.to_owned()))?;
    let mut tag = String::new();
    let mut seen_interval = false;
    for token in tokens {
        if token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            if !tag.is_empty() && !seen_interval {
                return Err(shape());
            }
            tag = parse_tag(token).ok_or_else(shape)?;
            seen_interval = false;
        } else {
            let stream = (uuid.clone(), tag.clone());
            streams
                .entry(stream)
                .or_default()
                .push(parse_interval(token)?);
            seen_interval = true;
        }
    }
    if seen_interval { Ok(()) } else { Err(shape()) }
}

/// The usual form of 8-4-4-4-12 hexadecimal digits, in small letters.
fn parse_uuid(token: &str) -> Option<String> {
    let groups: Vec<&str> = token.split('-').collect();
    let right_lengths = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    let digits = groups
        .iter()
        .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    (right_lengths && digits).then(|| token.to_ascii_lowercase())
}

fn parse_tag(token: &str) -> Option<String> {
    let letters = token
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (letters && token.len() <= LONGEST_TAG).then(|| token.to_ascii_lowercase())
}

fn parse_interval(token: &str) -> Result<Interval, GtidError> {
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok())??;
        (1..=HIGHEST).contains(&number).then_some(number)
    };
    let (first, last) = token.split_once('-').unwrap_or((token, token));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(GtidError::Interval(token.to_owned())),
    }
}

impl TryFrom<String> for MysqlGtidSet {
    type Error = GtidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MysqlGtidSet> for String {
    fn from(set: MysqlGtidSet) -> Self {
        set.to_string()
    }
}
