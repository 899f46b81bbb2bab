//! Epochs: the fencing tokens of the group.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number and the node that claimed it, ordered in that sequence. Numbers are never reused, and
/// where two nodes claimed the same number at once the node's name decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts promotions of the group; 0 means that there was none yet.
    pub number: u64,
    /// The node that claimed it; empty for number 0.
    pub node: String,
}

impl Epoch {
    /// An epoch of `node`.
    pub fn new(number: u64, node: impl Into<String>) -> Self {
        Self {
            number,
            node: node.into(),
        }
    }

    /// The lowest epoch of `node` that lies above this one.
    #[must_use]
    pub fn next_for(&self, node: &str) -> Self {
        Self::new(self.number + 1, node)
    }

    /// Whether anybody ever claimed it.
    pub fn exists(&self) -> bool {
        self.number > 0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exists() {
            write!(f, "{}@{}", self.number, self.node)
        } else {
            f.write_str("none")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides_and_then_the_node() {
        assert!(Epoch::new(2, "a") > Epoch::new(1, "b"));
        assert!(Epoch::new(2, "b") > Epoch::new(2, "a"));
        assert!(Epoch::default() < Epoch::new(1, "a"));
        assert_eq!(Epoch::new(7, "b").next_for("a"), Epoch::new(8, "a"));
    }
}
