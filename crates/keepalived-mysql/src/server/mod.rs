//! One MySQL or MariaDB server: every call bounded in time, every dialect in one table.

pub mod access;
pub mod connection;
pub mod denied;
pub mod dialect;
pub mod masked;
pub mod quick;
pub mod source_tls;
pub mod status;
pub mod tls;
