//! Small commands of other packages (ip, nft, cargo), with their complaint in the error.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command to its end; an exit code other than 0 is an error that quotes stderr.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    check(&format!("{command:?}"), output)
}

/// Runs a command that reads `input`.
pub fn feed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    check(
        &format!("{command:?} <<< {input}"),
        child.wait_with_output()?,
    )
}

/// Several `ip` commands in one process.
pub fn ip(batch: &str) -> Result<()> {
    feed(Command::new("ip").args(["-batch", "-"]), batch).map(drop)
}

fn check(what: &str, output: Output) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    bail!("{what}: {}: {}", output.status, stderr.trim())
}
