//! What keepalived's hooks need to move a MySQL or MariaDB pair safely.
//!
//! The ground floor: configuration, messages and exit codes, logging, the recorded role, the
//! lock between transitions, state files, the virtual addresses and keepalived itself. Nothing in
//! these rooms talks to a database server.

pub mod cli;
pub mod config;
pub mod keepalived;
pub mod ledger;
pub mod lock;
pub mod logging;
pub mod message;
pub mod role;
pub mod sys;
pub mod vip;
