//! Evidence, plans, closing and opening: what keepalived's hooks need to move MySQL and MariaDB safely.

pub mod replication;
pub mod server;
