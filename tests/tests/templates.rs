//! The templates for keepalived: complete, accepted by keepalived, and good for serving.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Lab, LabOptions, Node, NodeId};

const HOOKS: [(&str, &str); 5] = [
    ("notify_master", "notify_master"),
    ("notify_backup", "notify_backup"),
    ("notify_fault", "notify_fault"),
    ("notify_stop", "notify_stop"),
    ("notify_master_rx_lower_pri", "notify_master"),
];
const LIBEXEC: &str = "/usr/libexec/keepalived-mysql";
const PATIENCE: Duration = Duration::from_secs(30);

/// False where no lab can be had.
fn possible() -> bool {
    let why = Lab::unavailable(lab::Server::chosen());
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

fn templates() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keepalived-templates");
    let mut all: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    all.retain(|path| path.extension().is_some_and(|ext| ext == "conf"));
    all.sort();
    ensure!(all.len() >= 2, "templates are missing: {all:?}");
    Ok(all)
}

/// Exactly one line of `text` that begins with `start`, without it.
fn only<'a>(text: &'a str, start: &str) -> Result<&'a str> {
    let found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(start))
        .collect();
    ensure!(
        found.len() == 1,
        "{} lines begin with {start:?}",
        found.len()
    );
    Ok(found[0].trim())
}

/// The template as an installation on `node` would have it: the lab's paths and addresses, and on
/// node-b what the header says of node-b.
fn installed(text: &str, node: &Node) -> String {
    let paths = node.paths();
    let mut text = text.to_owned();
    for program in HOOKS
        .map(|(_, program)| program)
        .into_iter()
        .chain(["check_mysql"])
    {
        let to = format!(
            "\"{}/{program} --config {}\"",
            paths.bin().display(),
            paths.config().display()
        );
        text = text.replace(&format!("\"{LIBEXEC}/{program}\""), &to);
    }
    let (own, peer) = (node.id().address(), node.id().other().address());
    let drain = paths.drain().display().to_string();
    for (from, to) in [
        ("/var/lib/keepalived-mysql/VI_1/drain", drain.as_str()),
        ("192.168.1.36", &own.to_string()),
        ("192.168.1.37", &peer.to_string()),
        ("192.168.1.38", "10.77.0.100"),
    ] {
        text = text.replace(from, to);
    }
    if node.id() == NodeId::B {
        text = text
            .replace("router_id node-a", "router_id node-b")
            .replace("priority 250", "priority 200");
    }
    text
}

/// `keepalived -t` inside the node's namespace: whether it accepts, and what it says.
fn accepted(node: &Node, text: &str) -> Result<(bool, String)> {
    let file = node.paths().etc().join("template.conf");
    fs::write(&file, text)?;
    let output = Command::new("/usr/sbin/keepalived")
        .args(["-s", node.netns().name(), "-t", "-f"])
        .arg(&file)
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok((output.status.success(), said))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[test]
fn each_has_a_header_and_all_hooks() -> Result<()> {
    for path in templates()? {
        let text = fs::read_to_string(&path)?;
        let check = || -> Result<()> {
            let header: Vec<&str> = text
                .lines()
                .take_while(|line| line.starts_with('#'))
                .collect();
            ensure!(
                header
                    .iter()
                    .any(|line| line.starts_with("# When to use it:")),
                "no header that says when to use it"
            );
            for (hook, program) in HOOKS {
                let command = only(&text, &format!("{hook} "))?;
                ensure!(
                    command == format!("\"{LIBEXEC}/{program}\""),
                    "{hook} {command}"
                );
            }
            let script = only(&text, "script ")?;
            ensure!(script == format!("\"{LIBEXEC}/check_mysql\""), "{script}");
            for (start, value) in [
                ("script_user ", "root"),
                ("state ", "BACKUP"),
                ("nopreempt", ""),
                ("enable_script_security", ""),
                ("umask ", "022"),
                ("timeout ", "1"),
            ] {
                ensure!(only(&text, start)? == value, "{start}is not {value}");
            }
            Ok(())
        };
        check().with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[test]
fn keepalived_accepts_each_and_serves_with_it() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    for path in templates()? {
        let text = fs::read_to_string(&path)?;
        let lab = Lab::start(LabOptions::default())?;
        for node in lab.nodes() {
            let ours = installed(&text, node);
            ensure!(
                !ours.contains(LIBEXEC) && !ours.contains("192.168."),
                "{ours}"
            );
            // keepalived -t says nothing about a hook that does not exist.
            for (_, program) in HOOKS {
                ensure!(
                    is_program(&node.paths().bin().join(program)),
                    "no {program}"
                );
            }
            let (ok, said) = accepted(node, &ours)?;
            ensure!(ok && said.is_empty(), "{}: {said}", path.display());
            let (ok, _) = accepted(node, &ours.replace("nopreempt", "no_preempt"))?;
            ensure!(!ok, "keepalived -t accepts anything");
            fs::write(node.paths().etc().join("keepalived.conf"), ours)?;
        }
        lab.start_keepalived()?;
        lab.b().wait_following(NodeId::A, PATIENCE)?;
        lab.a().term_keepalived()?;
        lab.b()
            .wait_serving(PATIENCE)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}
