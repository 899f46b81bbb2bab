//! The programs: command line in, exit code out.

mod check;
mod hook;
mod operator;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::act::here::Here;
use crate::cli::{CommonArgs, Exit, report_failure};
use crate::config::{Config, ConfigError, load_or_last_good, save_last_good};
use crate::logging::{self, Origin};
use crate::role::Role;
use crate::sys;

/// `check_mysql`, run by `vrrp_script` each second.
pub fn check_mysql() -> ExitCode {
    check::main().into()
}

/// `notify_master`.
pub fn notify_master() -> ExitCode {
    hook::main("notify_master", Role::Master).into()
}

/// `notify_backup`.
pub fn notify_backup() -> ExitCode {
    hook::main("notify_backup", Role::Backup).into()
}

/// `notify_fault`.
pub fn notify_fault() -> ExitCode {
    hook::main("notify_fault", Role::Fault).into()
}

/// `notify_stop`, which has one second in all.
pub fn notify_stop() -> ExitCode {
    hook::main("notify_stop", Role::Stop).into()
}

/// `keepalived-mysql`, the operator's program.
pub fn keepalived_mysql() -> ExitCode {
    operator::main().into()
}

/// What to do when the configuration file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unusable {
    /// Refuse: nothing is opened or repointed on the strength of an old file.
    Refuse,
    /// Go on with the last good one: closing, and saying how the server is, must still work.
    LastGood,
}

/// A program that knows where it is.
#[derive(Debug)]
struct Started {
    here: Here,
    config_path: PathBuf,
}

fn parse<T: Parser>() -> Result<T, Exit> {
    T::try_parse().map_err(|error| {
        // A closed pipe is no reason for another exit code.
        let _ = error.print();
        if error.use_stderr() {
            Exit::Usage
        } else {
            Exit::Done
        }
    })
}

fn start(program: &'static str, common: &CommonArgs, unusable: Unusable) -> Result<Started, Exit> {
    sys::prepare_process();
    let path = common
        .config_path()
        .map_err(|error| report_failure(&error))?;
    let read = load(&path, unusable).map_err(|error| report_failure(&error))?;
    let config = read.config;
    let origin = Origin {
        program: program.to_owned(),
        group: config.group.clone(),
    };
    logging::init(&config.log, &origin, common.verbosity());
    if let Some(warning) = &read.warning {
        log::error!("{warning}");
    }
    let node = config
        .local(common.node.as_deref())
        .map_err(|error| report_failure(&error))?
        .clone();
    let mut here = Here::open(config, node, program);
    if read.age == Age::LastGood {
        // Closing and judging go on with an old file; nothing is opened on the strength of it.
        here.broken = here.broken.or(read.warning);
    }
    Ok(Started {
        here,
        config_path: path,
    })
}

/// Whether a configuration is the file's own or an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Current,
    LastGood,
}

/// A configuration as it was read.
#[derive(Debug)]
struct Read {
    config: Config,
    age: Age,
    warning: Option<String>,
}

fn load(path: &Path, unusable: Unusable) -> Result<Read, ConfigError> {
    let loaded = match (Config::load(path), unusable) {
        (Ok(loaded), _) => loaded,
        (Err(failure), Unusable::Refuse) => return Err(failure),
        (Err(failure), Unusable::LastGood) => return last_good(path, failure),
    };
    let mut warnings = loaded.warnings.clone();
    if let Err(error) = save_last_good(&loaded) {
        warnings.push(format!(
            "the configuration cannot be kept for a bad day: {error}"
        ));
    }
    let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    Ok(Read {
        config: loaded.config,
        age: Age::Current,
        warning,
    })
}

fn last_good(path: &Path, failure: ConfigError) -> Result<Read, ConfigError> {
    match load_or_last_good(path) {
        Ok((config, Some(warning))) => Ok(Read {
            config,
            age: Age::LastGood,
            warning: Some(warning.one_line()),
        }),
        // Somebody has just mended the file.
        Ok((config, None)) => Ok(Read {
            config,
            age: Age::Current,
            warning: None,
        }),
        Err(_) => Err(failure),
    }
}

/// The arguments with which a helper of ours finds the same node.
fn helper_args(started: &Started) -> Vec<String> {
    vec![
        "--config".into(),
        started.config_path.to_string_lossy().into_owned(),
        "--node".into(),
        started.here.node.name.clone(),
    ]
}

fn spawn_helper(started: &Started, more: &[&str]) {
    spawn_self(&words_for_helper(started, more));
}

fn words_for_helper(started: &Started, more: &[&str]) -> Vec<String> {
    let mut args = helper_args(started);
    args.extend(more.iter().map(|word| (*word).to_owned()));
    args
}

fn spawn_self(args: &[String]) {
    let spawned =
        std::env::current_exe().and_then(|program| sys::spawn_detached(&program, args, None));
    if let Err(error) = spawned {
        log::error!("cannot start a helper: {error}");
    }
}

fn print_json(value: &impl serde::Serialize) {
    use std::io::Write as _;
    if let Ok(text) = serde_json::to_string_pretty(value) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
