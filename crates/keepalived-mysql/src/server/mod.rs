//! One MySQL or MariaDB server, as its own answers describe it.

pub mod status;
