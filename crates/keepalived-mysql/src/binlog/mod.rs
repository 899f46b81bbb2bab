//! The binary log of this node's own server: its events as they are, read through the protocol.
//!
//! What the `mysql` crate can do is left to it: the connection, the request and the frame of an
//! event. What stands in an event is read here from the bytes, because the crate knows none of
//! MariaDB's own events and a salvage must not fail at a column type that it has never heard of.

pub mod event;
pub mod file;
pub mod packed;
pub mod rows;
pub mod stream;
pub mod summary;
pub mod take;
pub mod transaction;
