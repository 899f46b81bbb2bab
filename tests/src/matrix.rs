//! What is run on every server in every way of replicating, and the table of how it went.

mod scenarios;
mod table;

use std::time::{Duration, Instant};

use anyhow::Result;

pub use scenarios::Case;
pub use table::Table;

use crate::options::{LabOptions, Positioning};
use crate::server::Server;

/// A way of replicating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// MySQL's auto position, MariaDB's `slave_pos`.
    Gtid,
    /// MariaDB's `current_pos`.
    GtidCurrent,
    /// File and position.
    Position,
    /// By GTID, acknowledged by the replica.
    SemiSync,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Gtid,
        Self::GtidCurrent,
        Self::Position,
        Self::SemiSync,
    ];

    /// As a DBA says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gtid => "gtid",
            Self::GtidCurrent => "current_pos",
            Self::Position => "position",
            Self::SemiSync => "semi-sync",
        }
    }

    /// Why a server cannot replicate in this way, if so.
    #[must_use]
    pub fn missing(self, server: Server) -> Option<&'static str> {
        match (self, server) {
            (Self::GtidCurrent, server) if !server.is_mariadb() => Some("MariaDB only"),
            (Self::SemiSync, Server::MySql56) => Some("no semi-sync plugin in the package"),
            _ => None,
        }
    }

    /// A lab that replicates in this way.
    #[must_use]
    pub fn options(self, server: Server) -> LabOptions {
        let options = LabOptions {
            server,
            positioning: match self {
                Self::Gtid | Self::SemiSync => Positioning::Gtid,
                Self::GtidCurrent => Positioning::GtidCurrent,
                Self::Position => Positioning::Position,
            },
            ..LabOptions::default()
        };
        if self == Self::SemiSync {
            options.with_semi_sync()
        } else {
            options
        }
    }
}

/// How one case went.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It passed: how long it took, and how long clients that connect anew could not write.
    Passed {
        /// The whole scenario.
        took: Duration,
        /// In milliseconds.
        gap: Option<f64>,
    },
    /// It failed: why.
    Failed(String),
    /// It was not run: why.
    Skipped(String),
}

/// Runs one case.
#[must_use]
pub fn run(server: Server, mode: Mode, case: Case) -> Outcome {
    if let Some(why) = mode.missing(server) {
        return Outcome::Skipped(why.to_owned());
    }
    if let Some(why) = crate::lab::Lab::unavailable(server) {
        return Outcome::Skipped(why);
    }
    let begun = Instant::now();
    match case.play(mode.options(server)) {
        Ok(Some(verdict)) => Outcome::Passed {
            took: begun.elapsed(),
            gap: verdict.fresh_gap.map(|gap| gap.ms()),
        },
        Ok(None) => Outcome::Skipped("no lab can be had here".to_owned()),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Every case in every way of replicating.
    Full,
    /// Two cases by GTID, one by position.
    Short,
}

/// Runs the cases of a server.
pub fn run_server(server: Server, form: Form, table: &mut Table) -> Result<()> {
    for mode in Mode::ALL {
        for case in Case::ALL {
            let outcome = match (form, mode, case) {
                (Form::Full, _, _)
                | (Form::Short, Mode::Gtid, Case::Failover | Case::Diverged)
                | (Form::Short, Mode::Position, Case::Failover) => run(server, mode, case),
                _ => Outcome::Skipped("short form".to_owned()),
            };
            println!(
                "{server}, {}, {}: {}",
                mode.name(),
                case.name(),
                table::word(&outcome)
            );
            table.add(server, mode, case, outcome);
        }
    }
    table.failures(server)
}
