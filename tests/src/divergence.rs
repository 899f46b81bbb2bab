//! A node that says it has diverged: its claim, and whether the lab's own eyes confirm it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::ledger::Gtid;
use crate::node::Node;

#[derive(Debug, Deserialize)]
struct Document {
    data: Memory,
}

#[derive(Debug, Deserialize)]
struct Memory {
    diverged: Option<String>,
}

/// Why the node calls itself diverged, if it does.
#[must_use]
pub fn claimed(node: &Node) -> Option<String> {
    let path = node.paths().state().join("VI_1/memory.json");
    let text = fs::read_to_string(path).ok()?;
    serde_json::from_str::<Document>(&text).ok()?.data.diverged
}

/// What stands on a node and not on the serving one, read by the lab itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surplus {
    /// Rows of the ledger.
    pub rows: usize,
    /// Transactions of the binary log, in the server's own notation.
    pub beyond: String,
}

/// Looks for what `node` has and `serving` lacks. None if there is nothing.
pub fn surplus(node: &Node, serving: &Node) -> Result<Option<Surplus>> {
    let (ours, theirs) = (ledger(node)?, ledger(serving)?);
    let rows = ours.difference(&theirs).count();
    let beyond = if node.server().is_mariadb() {
        beyond_state(node, serving)?
    } else {
        let theirs = one(serving, "SELECT @@global.gtid_executed")?;
        one(
            node,
            &format!("SELECT GTID_SUBTRACT(@@global.gtid_executed, '{theirs}')"),
        )?
    };
    Ok((rows > 0 || !beyond.is_empty()).then_some(Surplus { rows, beyond }))
}

/// For each domain and server: the last number, where the other node has only lower ones.
fn beyond_state(node: &Node, serving: &Node) -> Result<String> {
    let (ours, theirs) = (state(node)?, state(serving)?);
    let beyond: Vec<String> = ours
        .into_iter()
        .filter(|((domain, server_id), seq)| {
            theirs.get(&(*domain, *server_id)).is_none_or(|t| seq > t)
        })
        .map(|((domain, server_id), seq)| {
            Gtid {
                domain,
                server_id,
                seq,
            }
            .to_string()
        })
        .collect();
    Ok(beyond.join(","))
}

fn one(node: &Node, question: &str) -> Result<String> {
    let rows = node.query_local(question)?;
    Ok(rows.first().map(|row| row.at(0)).unwrap_or_default().into())
}

/// Makes sure of a claimed divergence: it is true, the node is closed and its check keeps it out of election.
pub fn prove(node: &Node, serving: &Node) -> Result<String> {
    let id = node.id();
    let why = claimed(node).with_context(|| format!("{id} does not say that it diverged"))?;
    let surplus = surplus(node, serving)?.with_context(|| {
        format!("{id} says that it diverged ({why}) and has nothing that the serving node lacks")
    })?;
    ensure!(!node.is_open(), "{id} has diverged and is open");
    let check = node.run_suite("check_mysql", &[])?;
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    ensure!(
        check.status.code() == Some(1) && said.contains("diverged: "),
        "the check of a diverged node ends with {}: {said}",
        check.status
    );
    Ok(format!("{why} (seen: {surplus:?})"))
}

fn ledger(node: &Node) -> Result<BTreeSet<u64>> {
    let rows = node.query_local("SELECT id FROM lab.ledger")?;
    Ok(rows.iter().filter_map(|r| r.at(0).parse().ok()).collect())
}

fn state(node: &Node) -> Result<BTreeMap<(u32, u32), u64>> {
    Ok(one(node, "SELECT @@gtid_binlog_state")?
        .split(',')
        .filter_map(Gtid::parse)
        .map(|gtid| ((gtid.domain, gtid.server_id), gtid.seq))
        .collect())
}
