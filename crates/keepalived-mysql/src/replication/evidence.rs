//! Proofs from facts: has everything received been applied, and how do two histories relate.
//!
//! Every function here takes what servers have said and returns what follows from it. What cannot follow from it,
//! the caller has to know: after a power loss with relaxed durability a server's own binary log may be shorter
//! than what it sent, and without a binary log, or with filters on it, there is no history to compare. None of these
//! functions may be asked then; the answer is [`Relation::Unknown`].

mod drain;
mod lost;
mod relation;

pub use drain::{Drain, LastTransaction, drained, whole_applied};
pub use lost::Lost;
pub use relation::{
    BinlogEventSummary, Lack, Relation, lacks_mariadb, lacks_mysql, lacks_position, vet_mariadb,
    vet_mysql, vet_position,
};
