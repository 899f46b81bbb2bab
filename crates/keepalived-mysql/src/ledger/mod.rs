//! What the suite remembers: rows in the servers, files on the node.

pub mod files;
pub mod record;
pub mod tables;
