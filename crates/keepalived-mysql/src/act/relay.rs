//! Keeping relay logs aside, before a forced promotion throws them away.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::servers::SHORT;
use crate::deadline::Deadline;
use crate::decide::rule::{Refusal, Rule};
use crate::node::Contact;
use crate::sys::utc_now;

/// Copies the server's relay logs into the state folder and says where they are.
///
/// # Errors
/// A refusal where they cannot be copied: what was received must not be lost for want of a copy.
pub fn keep_aside(here: &Here, contact: &mut Contact) -> Result<String, Failure> {
    let rows = contact
        .session
        .rows(contact.dialect.relay_logs(), Deadline::after(SHORT))
        .map_err(|error| Failure::server("asking where the relay logs are", &error))?;
    let base = rows.first().and_then(|row| row.at(0)).map(PathBuf::from);
    let state = here.state.as_ref().map(|state| state.path().to_owned());
    let (Some(base), Some(state)) = (base, state) else {
        return Err(refused(
            "neither the relay logs nor the state folder can be found",
        ));
    };
    let target = state.join(format!("relay-logs-{}", utc_now()));
    let copied = copy_logs(&base, &target).map_err(|error| {
        // Half a copy helps nobody and takes the room that the next try needs.
        let _ = fs::remove_dir_all(&target);
        refused(&error.to_string())
    })?;
    Ok(format!(
        "{copied} relay logs are kept in {}",
        target.display()
    ))
}

fn refused(why: &str) -> Failure {
    Failure::Refused(Refusal::new(
        Rule::Drain,
        format!(
            "the relay logs hold transactions that are not applied, and they cannot be copied aside: {why}"
        ),
        "make room in the state folder, or wait for the applier",
    ))
}

/// Copies `base.000001` and the like, those of named channels (`base-name.000001`) included.
fn copy_logs(base: &Path, target: &Path) -> std::io::Result<usize> {
    let missing = || std::io::Error::other(format!("{} is no file name", base.display()));
    let folder = base.parent().ok_or_else(missing)?;
    let stem = base
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(missing)?;
    fs::DirBuilder::new().mode(0o700).create(target)?;
    let mut copied = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(stem));
        if rest.is_some_and(|rest| rest.starts_with(['.', '-'])) {
            fs::copy(entry.path(), target.join(&name))?;
            copied += 1;
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_logs_are_copied_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder.path().join("relay-bin");
        for name in [
            "relay-bin.000001",
            "relay-bin.index",
            "relay-bin-ch1.000002",
            "binlog.000001",
            "relay",
        ] {
            fs::write(folder.path().join(name), name).expect("write");
        }
        let target = folder.path().join("kept");
        assert_eq!(copy_logs(&base, &target).expect("copied"), 3);
        assert!(target.join("relay-bin-ch1.000002").exists());
        assert!(!target.join("binlog.000001").exists());
    }
}
