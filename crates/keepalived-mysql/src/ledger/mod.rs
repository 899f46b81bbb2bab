//! What the programs remember.

pub mod files;
