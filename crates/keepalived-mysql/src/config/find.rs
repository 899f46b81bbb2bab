//! Which configuration file is meant.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrorKind};
use super::is_plain_name;
use crate::message::Message;

/// Environment variable that names the configuration file.
pub const CONFIG_ENV: &str = "KEEPALIVED_MYSQL_CONFIG";

/// Where the configuration files of all groups are.
pub const CONFIG_FOLDER: &str = "/etc/keepalived-mysql";

/// Which file is meant: `file` (`--config`), else `group` (`--group`), else `env` (the value of
/// [`CONFIG_ENV`]), else the only `*.toml` in [`CONFIG_FOLDER`].
///
/// # Errors
/// When the group's name cannot be a file's name, or when no file or more than one could be meant.
pub fn find_config(
    file: Option<&Path>,
    group: Option<&str>,
    env: Option<&Path>,
) -> Result<PathBuf, ConfigError> {
    find_config_in(Path::new(CONFIG_FOLDER), file, group, env)
}

/// As [`find_config`], with another folder.
///
/// # Errors
/// As [`find_config`].
pub fn find_config_in(
    folder: &Path,
    file: Option<&Path>,
    group: Option<&str>,
    env: Option<&Path>,
) -> Result<PathBuf, ConfigError> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    if let Some(group) = group {
        return group_file(folder, group);
    }
    match env {
        Some(file) if !file.as_os_str().is_empty() => Ok(file.to_owned()),
        _ => only_file(folder),
    }
}

fn group_file(folder: &Path, group: &str) -> Result<PathBuf, ConfigError> {
    if is_plain_name(group) {
        return Ok(folder.join(format!("{group}.toml")));
    }
    let error = format!("--group '{group}' cannot be the name of a group");
    Err(not_found(
        Message::new(error).hint("a group's name is 1 to 64 of A-Z a-z 0-9 _ . -"),
    ))
}

fn only_file(folder: &Path) -> Result<PathBuf, ConfigError> {
    let entries = std::fs::read_dir(folder).map_err(|why| {
        let error = format!(
            "no configuration: cannot read the folder {}",
            folder.display()
        );
        not_found(Message::new(error).detail(why.to_string()).hint(HINT))
    })?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml") && path.is_file())
        .collect();
    files.sort();
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => {
            let error = format!("no configuration: no *.toml in {}", folder.display());
            Err(not_found(Message::new(error).hint(HINT)))
        }
        several => {
            let names: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            let error = format!(
                "which configuration? There are {} in {}",
                several.len(),
                folder.display()
            );
            let message = Message::new(error).detail(names.join(", ")).hint(HINT);
            Err(not_found(message))
        }
    }
}

const HINT: &str = "say --config FILE or --group NAME, or set KEEPALIVED_MYSQL_CONFIG";

fn not_found(message: Message) -> ConfigError {
    ConfigError::new(ConfigErrorKind::NotFound, message)
}
