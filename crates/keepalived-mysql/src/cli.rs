//! What all programs share on the command line: options, exit codes, and how a failure is told.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::error::ErrorKind;

use crate::config::{self, ConfigError};
use crate::message::Message;

/// Exit codes. keepalived treats every code but 0 alike; people, scripts and alerts do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Healthy, done, or nothing to do.
    Done = 0,
    /// Unhealthy (`check_mysql`), or refused: nothing changed.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Failed, and everything is as before.
    RolledBack = 3,
    /// Half done: somebody must act now.
    Incomplete = 4,
    /// This node holds transactions that the serving node never received; it stays closed.
    Diverged = 5,
    /// A lock or a server was not to be had in time; try again.
    TryAgain = 75,
    /// The configuration is wrong or cannot be read.
    Configuration = 78,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl std::process::Termination for Exit {
    fn report(self) -> std::process::ExitCode {
        self.into()
    }
}

/// A failure that a program can end with.
pub trait Failure {
    /// What to print.
    fn message(&self) -> Message;
    /// What to exit with.
    fn exit(&self) -> Exit;
}

impl Failure for Message {
    fn message(&self) -> Message {
        self.clone()
    }

    /// A bare message is a refusal: nothing was changed.
    fn exit(&self) -> Exit {
        Exit::Refused
    }
}

impl Failure for ConfigError {
    fn message(&self) -> Message {
        self.message.clone()
    }

    fn exit(&self) -> Exit {
        Exit::Configuration
    }
}

/// The log target of [`report_failure`]: standard error has the three lines already, so the log
/// does not repeat them there.
pub(crate) const FAILURE_TARGET: &str = "failure";

/// Print `ERROR`, `DETAIL` and `HINT` on standard error, log them, and say what to exit with.
pub fn report_failure(failure: &dyn Failure) -> Exit {
    report_failure_as(&failure.message(), failure.exit())
}

/// As [`report_failure`], with an exit code of the caller's choice.
pub fn report_failure_as(message: &Message, exit: Exit) -> Exit {
    // Under keepalived standard error is /dev/null, and by hand it may be a closed pipe.
    let _ = writeln!(std::io::stderr(), "{message}");
    log::error!(target: FAILURE_TARGET, "{}", message.one_line());
    exit
}

/// Options of every program. `--version` comes from clap.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Configuration file [default: the only *.toml in /etc/keepalived-mysql]
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "group")]
    pub config: Option<PathBuf>,
    /// Group to work on: /etc/keepalived-mysql/GROUP.toml
    #[arg(long, value_name = "GROUP", global = true)]
    pub group: Option<String>,
    /// Name of this node, if neither its addresses nor its host name tell
    #[arg(long, value_name = "NAME", global = true)]
    pub node: Option<String>,
    /// Say more; twice: everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl CommonArgs {
    /// Which configuration file is meant.
    ///
    /// # Errors
    /// When no file, or more than one, could be meant.
    pub fn config_path(&self) -> Result<PathBuf, ConfigError> {
        let env = std::env::var_os(config::CONFIG_ENV).map(PathBuf::from);
        config::find_config(
            self.config.as_deref(),
            self.group.as_deref(),
            env.as_deref(),
        )
    }

    /// How many levels more (or, negative, less) than configured to log.
    pub fn verbosity(&self) -> i8 {
        if self.quiet {
            -2
        } else {
            i8::try_from(self.verbose).unwrap_or(i8::MAX)
        }
    }
}

/// Options of every program that changes something.
#[derive(Debug, Clone, Default, Args)]
pub struct ActionArgs {
    /// Print the plan, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Act although RULE refuses; the refusal names its rule. May be given again
    #[arg(long = "override", value_name = "RULE")]
    pub overrides: Vec<String>,
}

impl ActionArgs {
    /// Whether this rule is overridden by name.
    pub fn overrides(&self, rule: &str) -> bool {
        self.overrides.iter().any(|name| name == rule)
    }
}

/// Options of the notify programs. keepalived's `notify` appends `INSTANCE|GROUP NAME STATE
/// PRIORITY`; those words are accepted and ignored, because the program's name says the role.
#[derive(Debug, Clone, Default, Args)]
pub struct HookArgs {
    /// Options of every program.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Options of every program that changes something.
    #[command(flatten)]
    pub action: ActionArgs,
    /// Ignored: what keepalived appends
    #[arg(value_name = "INSTANCE|GROUP NAME STATE PRIORITY", num_args = 0..=4)]
    pub keepalived: Vec<String>,
}

impl HookArgs {
    /// The instance that keepalived named, if it did.
    pub fn instance(&self) -> Option<&str> {
        self.keepalived.get(1).map(String::as_str)
    }

    /// Refuse words that keepalived does not append: a mistyped option that is silently ignored
    /// (`dry-run`) would change a server.
    ///
    /// # Errors
    /// A usage error, to be ended with [`clap::Error::exit`].
    pub fn validate(&self) -> Result<(), clap::Error> {
        let known = match self.keepalived.as_slice() {
            [] => true,
            [kind, _, _] | [kind, _, _, _] => kind == "INSTANCE" || kind == "GROUP",
            _ => false,
        };
        if known {
            return Ok(());
        }
        let what = crate::message::one_line(&self.keepalived.join(" "));
        let error = format!(
            "unexpected words '{what}': only what keepalived appends is accepted, INSTANCE|GROUP NAME STATE PRIORITY\n"
        );
        Err(clap::Error::raw(ErrorKind::UnknownArgument, error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Hook {
        #[command(flatten)]
        args: HookArgs,
    }

    fn parse(words: &[&str]) -> Result<HookArgs, clap::Error> {
        let args = Hook::try_parse_from([&["notify_master"], words].concat())?.args;
        args.validate()?;
        Ok(args)
    }

    #[test]
    fn ignores_what_keepalived_appends() {
        let args = parse(&["--config", "/x.toml", "INSTANCE", "VI_1", "MASTER", "200"]).unwrap();
        assert_eq!(args.instance(), Some("VI_1"));
        assert_eq!(args.common.config, Some(PathBuf::from("/x.toml")));
        assert!(parse(&["GROUP", "G", "STOP", "0"]).is_ok());
        assert!(parse(&["INSTANCE", "VI_1", "MASTER"]).is_ok());
        assert!(parse(&[]).is_ok());
    }

    #[test]
    fn refuses_other_words() {
        for words in [
            &["dry-run"][..],
            &["INSTANCE"],
            &["instance", "VI_1", "MASTER", "1"],
            &["INSTANCE", "VI_1", "MASTER", "1", "2"],
        ] {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn overrides_repeat_and_are_named_exactly() {
        let args = parse(&[
            "--dry-run",
            "--override",
            "stale",
            "--override",
            "peer-locked",
        ])
        .unwrap();
        assert!(args.action.dry_run);
        assert!(args.action.overrides("stale") && args.action.overrides("peer-locked"));
        assert!(!args.action.overrides("sta"));
    }

    #[test]
    fn verbosity_counts() {
        assert_eq!(parse(&["-vv"]).unwrap().common.verbosity(), 2);
        assert_eq!(parse(&["-q"]).unwrap().common.verbosity(), -2);
        assert!(parse(&["-q", "-v"]).is_err());
        assert!(parse(&["--config", "a", "--group", "b"]).is_err());
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Refused, 1),
            (Exit::Usage, 2),
            (Exit::RolledBack, 3),
            (Exit::Incomplete, 4),
            (Exit::Diverged, 5),
            (Exit::TryAgain, 75),
            (Exit::Configuration, 78),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
        assert_eq!(report_failure(&Message::new("x")), Exit::Refused);
    }
}
