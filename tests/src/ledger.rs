//! What the writers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A MariaDB GTID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gtid {
    /// The replication domain.
    pub domain: u32,
    /// The server that wrote the transaction.
    pub server_id: u32,
    /// Its number.
    pub seq: u64,
}

impl Gtid {
    /// Reads `0-11-123`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let gtid = Self {
            domain: parts.next()?.parse().ok()?,
            server_id: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(gtid)
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server_id, self.seq)
    }
}

/// An acknowledged row. Times are microseconds of CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// The row.
    pub id: u64,
    /// When it was sent.
    pub sent_us: u64,
    /// When the answer was there.
    pub acked_us: u64,
    /// Who answered, which epoch that server knew, and the transaction's GTID; absent if the connection broke
    /// just after the acknowledgement.
    pub by: Option<(u32, u64, Option<Gtid>)>,
}

/// What one writer was told.
#[derive(Debug, Clone, Default)]
pub struct WriterLog {
    /// The writer's name.
    pub name: String,
    /// Whether it writes through the VIP.
    pub through_vip: bool,
    /// Whether it writes through the VIP with a new connection for every row.
    pub fresh: bool,
    /// Acknowledged rows in order of time.
    pub acks: Vec<Ack>,
    /// Rows without an answer: (id, sent). They may or may not be there.
    pub unknown: Vec<(u64, u64)>,
    /// Refusals by the server, and connections that failed: text and how often.
    pub refused: BTreeMap<String, u64>,
}

/// A time without acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last acknowledgement before it.
    pub from_us: u64,
    /// The first one after it.
    pub to_us: u64,
}

impl Gap {
    /// Its length in milliseconds.
    #[must_use]
    pub fn ms(&self) -> f64 {
        ms(self.to_us.saturating_sub(self.from_us))
    }
}

/// Microseconds as milliseconds.
#[must_use]
pub fn ms(us: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a run lasts hours at most")]
    let us = us as f64;
    us / 1000.0
}

impl WriterLog {
    /// The longest time without acknowledgements that ended after `since_us`.
    #[must_use]
    pub fn gap_after(&self, since_us: u64) -> Option<Gap> {
        let pairs = self.acks.windows(2).map(|pair| Gap {
            from_us: pair[0].acked_us,
            to_us: pair[1].acked_us,
        });
        pairs
            .filter(|gap| gap.to_us >= since_us)
            .max_by_key(|gap| gap.to_us - gap.from_us)
    }
}

/// A server acknowledged a row that was sent when another one had acknowledged in a later epoch already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The earlier epoch and its server.
    pub earlier: (u64, u32),
    /// The later epoch and its server.
    pub later: (u64, u32),
    /// From the later one's first acknowledgement to the earlier one's last row.
    pub us: u64,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((epoch, server), (later, other)) = (self.earlier, self.later);
        write!(
            f,
            "server {server} acknowledged in epoch {epoch} for {:.1} ms after server {other} had begun epoch {later}",
            ms(self.us)
        )
    }
}

/// What all writers were told.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// One entry for each writer.
    pub writers: Vec<WriterLog>,
}

impl Ledger {
    /// All acknowledged rows.
    pub fn acks(&self) -> impl Iterator<Item = &Ack> {
        self.writers.iter().flat_map(|writer| &writer.acks)
    }

    /// How many rows were acknowledged.
    #[must_use]
    pub fn acked(&self) -> usize {
        self.acks().count()
    }

    /// How many rows were sent and never answered.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.writers.iter().map(|writer| writer.unknown.len()).sum()
    }

    /// What the clients of the VIP saw.
    #[must_use]
    pub fn vip(&self) -> Option<&WriterLog> {
        self.writers.iter().find(|writer| writer.through_vip)
    }

    /// What clients saw that connect anew for every row.
    #[must_use]
    pub fn fresh(&self) -> Option<&WriterLog> {
        self.writers.iter().find(|writer| writer.fresh)
    }

    /// Which servers acknowledged rows in which epoch.
    #[must_use]
    pub fn openers(&self) -> BTreeMap<u64, BTreeSet<u32>> {
        let mut all = BTreeMap::<u64, BTreeSet<u32>>::new();
        for (server_id, epoch, _) in self.acks().filter_map(|ack| ack.by) {
            all.entry(epoch).or_default().insert(server_id);
        }
        all
    }

    /// Every pair of servers that accepted writes at the same time.
    #[must_use]
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut spans = BTreeMap::<(u64, u32), (u64, u64)>::new();
        for ack in self.acks() {
            let Some((server, epoch, _)) = ack.by else {
                continue;
            };
            let span = spans.entry((epoch, server)).or_insert((u64::MAX, 0));
            *span = (span.0.min(ack.acked_us), span.1.max(ack.sent_us));
        }
        let mut found = Vec::new();
        for (&earlier, &(_, last_sent)) in &spans {
            for (&later, &(first_acked, _)) in &spans {
                if later.0 > earlier.0 && later.1 != earlier.1 && last_sent > first_acked {
                    let us = last_sent - first_acked;
                    found.push(Overlap { earlier, later, us });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Ack, Ledger, WriterLog};

    fn ack(sent_us: u64, server: u32, epoch: u64) -> Ack {
        Ack {
            id: sent_us,
            sent_us,
            acked_us: sent_us + 10,
            by: Some((server, epoch, None)),
        }
    }

    fn ledger(acks: Vec<Ack>) -> Ledger {
        let writer = WriterLog {
            acks,
            ..WriterLog::default()
        };
        Ledger {
            writers: vec![writer],
        }
    }

    #[test]
    fn two_servers_at_the_same_time_are_seen() {
        let apart = vec![
            ack(0, 11, 1),
            ack(100, 11, 1),
            ack(105, 12, 2),
            ack(200, 11, 3),
        ];
        assert!(ledger(apart).overlaps().is_empty());
        let overlaps = ledger(vec![ack(0, 11, 1), ack(50, 12, 2), ack(100, 11, 1)]).overlaps();
        assert_eq!((overlaps.len(), overlaps[0].us), (1, 40));
    }
}
