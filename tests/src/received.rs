//! What a standby was seen to have received, as GTIDs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::ledger::Gtid;
use crate::options::{NodeId, NodePaths};
use crate::sh;
use crate::sql::Row;

/// The farthest that one node was seen to have received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// By `Gtid_IO_Pos`: for each server id the highest number. Only complete transactions count there.
    pub gtid: BTreeMap<u32, u64>,
    /// By file and position: for each source's address.
    pub position: BTreeMap<String, (String, u64)>,
}

impl Received {
    /// Takes over one row of SHOW ALL SLAVES STATUS, if it is farther.
    pub(crate) fn note(&mut self, row: &Row) {
        for gtid in row.get("Gtid_IO_Pos").split(',').filter_map(Gtid::parse) {
            let seen = self.gtid.entry(gtid.server_id).or_default();
            *seen = gtid.seq.max(*seen);
        }
        let file = row.get("Master_Log_File").to_owned();
        let position = row.get("Read_Master_Log_Pos").parse().unwrap_or(0);
        if file.is_empty() || row.get("Using_Gtid") != "No" {
            return;
        }
        let seen = self
            .position
            .entry(row.get("Master_Host").to_owned())
            .or_default();
        *seen = (file, position).max(seen.clone());
    }

    /// Positions are translated by the source's own binary log: the highest complete transaction of each server.
    pub(crate) fn resolve(&self, paths: [&NodePaths; 2]) -> Result<BTreeMap<u32, u64>> {
        let mut all = self.gtid.clone();
        for node in NodeId::ALL {
            let Some((file, position)) = self.position.get(&node.address().to_string()) else {
                continue;
            };
            for gtid in transactions(&paths[node.index()].data(), file, *position)? {
                let seen = all.entry(gtid.server_id).or_default();
                *seen = gtid.seq.max(*seen);
            }
        }
        Ok(all)
    }
}

/// The transactions in the binary logs of a data folder that end at or before a position.
fn transactions(data: &Path, last: &str, position: u64) -> Result<Vec<Gtid>> {
    let mut found = Vec::new();
    let mut files: Vec<String> = std::fs::read_dir(data)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("binlog.0") && name.as_str() <= last)
        .collect();
    files.sort();
    for file in files {
        let mut command = Command::new("mariadb-binlog");
        command
            .args([
                "--no-defaults",
                "--base64-output=decode-rows",
                "--force-read",
            ])
            .arg(data.join(&file));
        let output = command.output()?;
        if output.stdout.is_empty() {
            sh::run(&mut command)?;
        }
        let end = if file == last { position } else { u64::MAX };
        found.extend(complete(&String::from_utf8_lossy(&output.stdout), end));
    }
    Ok(found)
}

/// Reads the headers that mariadb-binlog prints: a transaction is complete where its Xid or COMMIT ends.
fn complete(text: &str, end: u64) -> Vec<Gtid> {
    let (mut found, mut current, mut log_pos) = (Vec::new(), None, 0);
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("end_log_pos ") {
            log_pos = rest
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
                .unwrap_or(0);
            if let Some((_, gtid)) = rest.split_once("GTID ") {
                current = gtid.split_whitespace().next().and_then(Gtid::parse);
            }
        }
        if (line.contains("\tXid = ") || line.starts_with("COMMIT")) && log_pos <= end {
            found.extend(current.take());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Gtid, complete};

    #[test]
    fn a_transaction_counts_where_it_ends() {
        let text = "#251120 server id 11  end_log_pos 400 CRC32 0x1 \tGTID 0-11-5 trans\n\
                    #251120 server id 11  end_log_pos 500 CRC32 0x1 \tXid = 7\nCOMMIT/*!*/;\n\
                    #251120 server id 11  end_log_pos 600 CRC32 0x1 \tGTID 0-11-6 trans\n\
                    #251120 server id 11  end_log_pos 700 CRC32 0x1 \tXid = 8\nCOMMIT/*!*/;\n";
        let gtid = |seq| Gtid {
            domain: 0,
            server_id: 11,
            seq,
        };
        assert_eq!(complete(text, 500), [gtid(5)]);
        assert_eq!(complete(text, 699), [gtid(5)]);
        assert_eq!(complete(text, 700), [gtid(5), gtid(6)]);
    }
}
