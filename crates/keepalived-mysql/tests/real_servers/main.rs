//! Every statement and every assumption about servers, tried on real ones.
//!
//! The servers are those of the folder `$LAB_SERVERS` (default: the cache folder that tests/servers/fetch
//! fills) and the installed MariaDB. One that is not there is skipped, and the test says so. Data folders
//! are copies of templates under target/tmp; servers are killed by their own pid when a test ends.
#![allow(missing_docs, clippy::unwrap_used)]

mod applier;
mod channels;
mod closing;
mod gtid_algebra;
mod opening;
mod option_files;
mod privileges;
mod proxy;
mod servers;
mod statements;
