//! The programs under test: built once with their test switches, copied for each lab.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{exe, sh};

const PROGRAMS: [&str; 6] = [
    "check_mysql",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "keepalived-mysql",
];

/// Builds the programs, unless they are built.
pub fn prepare() -> Result<()> {
    built().map(drop)
}

/// Copies the programs to a folder that keepalived trusts.
pub(crate) fn install(bin: &Path) -> Result<()> {
    let built = built()?;
    fs::create_dir_all(bin)?;
    for program in PROGRAMS {
        let (from, to) = (built.join(program), bin.join(program));
        fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        fs::set_permissions(&to, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The folder of `LAB_BIN_DIR`, or the target folder after a build.
fn built() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LAB_BIN_DIR") {
        return Ok(folder.into());
    }
    let target = exe::target_dir()?;
    let lock = File::create(target.join("lab-programs.lock"))?;
    lock.lock().context("lock the build of the programs")?;
    let features: Vec<String> = PROGRAMS
        .iter()
        .map(|name| format!("{name}/test-switches"))
        .collect();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(exe::workspace())
        .args(["build", "--quiet", "--profile", "lab"]);
    command.arg("--target-dir").arg(&target);
    for program in PROGRAMS {
        command.args(["-p", program]);
    }
    command.args(["--features", &features.join(",")]);
    sh::run(&mut command).context("build the programs under test")?;
    Ok(target.join("lab"))
}
