//! The rules that refuse a promotion, each with the word that overrides exactly that rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A rule that can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// keepalived's newest word for this node is not MASTER.
    Intent,
    /// The VIP is not on this host.
    Vip,
    /// No live keepalived holds it.
    Keepalived,
    /// The local server does not answer, or the suite's tables are missing.
    LocalServer,
    /// This node holds transactions that the serving node does not have.
    Diverged,
    /// Replication stopped with an error, so what was received cannot be applied.
    BrokenApplier,
    /// Not everything received was applied in time.
    Drain,
    /// A peer answers, but will not let us look.
    PeerAlive,
    /// A peer holds transactions that we lack, and we do not replicate from it.
    PeerAhead,
    /// An epoch above ours was opened elsewhere.
    HigherEpoch,
    /// A peer does not answer, and the policy wants it fenced first.
    PeerSilent,
    /// Nobody can say how old our data are, and the node has not waited for its peer long enough.
    BootRule,
    /// Another node fenced us while our keepalived said MASTER.
    Fenced,
    /// An earlier attempt failed half way and was put back.
    Attempt,
    /// The host restarted while this standby ran with relaxed durability.
    RelaxedDurability,
    /// State that must be written down before opening could not be written.
    State,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 16] = [
        Self::Intent,
        Self::Vip,
        Self::Keepalived,
        Self::LocalServer,
        Self::Diverged,
        Self::BrokenApplier,
        Self::Drain,
        Self::PeerAlive,
        Self::PeerAhead,
        Self::HigherEpoch,
        Self::PeerSilent,
        Self::BootRule,
        Self::Fenced,
        Self::Attempt,
        Self::RelaxedDurability,
        Self::State,
    ];

    /// The word for `--override`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Vip => "vip",
            Self::Keepalived => "keepalived",
            Self::LocalServer => "local-server",
            Self::Diverged => "diverged",
            Self::BrokenApplier => "broken-applier",
            Self::Drain => "drain",
            Self::PeerAlive => "peer-alive",
            Self::PeerAhead => "peer-ahead",
            Self::HigherEpoch => "higher-epoch",
            Self::PeerSilent => "peer-silent",
            Self::BootRule => "boot-rule",
            Self::Fenced => "fenced",
            Self::Attempt => "attempt",
            Self::RelaxedDurability => "relaxed-durability",
            Self::State => "state",
        }
    }

    /// Whether a person may set this rule aside. Without a server, tables or a place for the
    /// record there is nothing that could be opened safely.
    pub fn overridable(self) -> bool {
        !matches!(self, Self::LocalServer | Self::Attempt | Self::State)
    }

    /// Whether only another attempt can find out that the reason is gone.
    pub fn found_by_trying(self) -> bool {
        matches!(
            self,
            Self::Attempt | Self::Drain | Self::BrokenApplier | Self::PeerSilent | Self::State
        )
    }

    /// Whether a node refused by this rule should keep the VIP and try again, because giving it up
    /// would help nobody.
    pub fn worth_waiting(self) -> bool {
        matches!(
            self,
            Self::BootRule | Self::Intent | Self::Vip | Self::Keepalived
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .filter(|rule| rule.overridable())
            .find(|rule| rule.word() == word)
            .ok_or_else(|| {
                let words: Vec<_> = Self::ALL
                    .iter()
                    .filter(|r| r.overridable())
                    .map(|r| r.word())
                    .collect();
                format!(
                    "no rule {word:?} that can be overridden; there are {}",
                    words.join(", ")
                )
            })
    }
}

/// Why a promotion was refused. Refused means that nothing changed anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
    /// What is in the way, as a sentence.
    pub why: String,
    /// What to do about it.
    pub hint: String,
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(rule: Rule, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            rule,
            why: why.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by rule {}: {}", self.rule, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_some_rules_cannot_be_set_aside() {
        for rule in Rule::ALL.into_iter().filter(|rule| rule.overridable()) {
            assert_eq!(rule.word().parse::<Rule>(), Ok(rule));
        }
        assert!("local-server".parse::<Rule>().is_err());
        assert!("everything".parse::<Rule>().is_err());
    }
}
