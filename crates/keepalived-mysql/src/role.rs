//! The role that keepalived last told this node to play.
//!
//! keepalived's hooks run concurrently and start in any order, so the last one to write is not the
//! newest. Intents are ordered by the birth of the process that keepalived forked: [`supersedes`].

mod intent;
mod store;
#[cfg(test)]
mod tests;

pub use intent::{Intent, Role, RoleError, supersedes};
pub use store::{IntentStore, Recorded};
