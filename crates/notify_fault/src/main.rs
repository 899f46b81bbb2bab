//! `notify_fault`: see the library's `programs`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    keepalived_mysql::programs::notify_fault()
}
