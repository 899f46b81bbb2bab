//! What the commands that only look have in common.

use std::io::{self, IsTerminal as _, Write as _};

use crate::act::here::Here;
use crate::cli::{CommonArgs, Exit, report_failure};
use crate::config::{Config, LogConfig, Node, load_or_last_good};
use crate::logging::{self, Origin};
use crate::report::Paint;
use crate::sys;

const PROGRAM: &str = "keepalived-mysql";

/// Where this program is.
pub(super) struct Looking {
    config: Config,
    node: Node,
}

impl Looking {
    /// Reads the configuration, or its last good copy. Nothing is made or written, no log file either: the
    /// hooks may belong to another user, and what this one makes they could not use.
    pub(super) fn start(common: &CommonArgs) -> Result<Self, Exit> {
        sys::prepare_process();
        let failed = |error| report_failure(&error);
        let path = common.config_path().map_err(failed)?;
        let (config, warning) = load_or_last_good(&path).map_err(failed)?;
        if let Some(warning) = warning {
            let _ = writeln!(io::stderr(), "{warning}");
        }
        let origin = Origin {
            program: PROGRAM.into(),
            group: config.group.clone(),
        };
        let only_here = LogConfig {
            file: None,
            journal: false,
            ..config.log.clone()
        };
        logging::init(&only_here, &origin, common.verbosity());
        let node = config.local(common.node.as_deref()).map_err(failed)?;
        let node = node.clone();
        Ok(Self { config, node })
    }

    /// This node as it is now: role and marks are read anew.
    pub(super) fn here(&self) -> Here {
        Here::look(self.config.clone(), self.node.clone(), PROGRAM)
    }
}

/// Prints; an error is a reader that has gone.
pub(super) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a document, indented.
pub(super) fn say_json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    say(&format!("{text}\n"))
}

/// Colours are for terminals, and not for those who set NO_COLOR (no-color.org).
pub(super) fn paint() -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if io::stdout().is_terminal() && !unwanted && !dumb {
        Paint::Colours
    } else {
        Paint::Plain
    }
}
