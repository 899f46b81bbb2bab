//! Where the lab's own executable and the build's target folder are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The `lab` executable: ourselves, or the one that was built next to the running test.
pub fn lab() -> Result<PathBuf> {
    let me = std::env::current_exe().context("own executable")?;
    if me.file_name().is_some_and(|name| name == "lab") {
        return Ok(me);
    }
    if let Some(named) = std::env::var_os("CARGO_BIN_EXE_lab") {
        return Ok(named.into());
    }
    let beside = me
        .parent()
        .and_then(Path::parent)
        .map(|profile| profile.join("lab"));
    match beside {
        Some(path) if path.is_file() => Ok(path),
        _ => bail!(
            "no `lab` executable beside {}: build it with cargo build -p lab",
            me.display()
        ),
    }
}

/// The target folder that the lab's executable was built in.
pub fn target_dir() -> Result<PathBuf> {
    let lab = lab()?;
    let target = lab
        .parent()
        .and_then(Path::parent)
        .context("the lab lies outside a target folder")?;
    Ok(target.to_path_buf())
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}
