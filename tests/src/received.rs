//! What a standby was seen to have received.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::ledger::Gtid;
use crate::options::{NodeId, NodePaths};
use crate::server::Server;
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
    /// Takes over one row of a replica's status, if it is farther.
    pub(crate) fn note(&mut self, row: &Row) {
        for gtid in row.get("Gtid_IO_Pos").split(',').filter_map(Gtid::parse) {
            let seen = self.gtid.entry(gtid.server_id).or_default();
            *seen = gtid.seq.max(*seen);
        }
        let file = row.get("Master_Log_File").to_owned();
        let position = row.get("Read_Master_Log_Pos").parse().unwrap_or(0);
        if file.is_empty() || !matches!(row.get("Using_Gtid"), "No" | "") {
            return;
        }
        let seen = self
            .position
            .entry(row.get("Master_Host").to_owned())
            .or_default();
        *seen = (file, position).max(seen.clone());
    }

    /// Positions are translated by the source's own binary log.
    pub(crate) fn resolve(&self, server: Server, paths: [&NodePaths; 2]) -> Result<Transactions> {
        let mut all = Transactions {
            gtid: self.gtid.clone(),
            ..Transactions::default()
        };
        for node in NodeId::ALL {
            let Some((file, position)) = self.position.get(&node.address().to_string()) else {
                continue;
            };
            all.add_until(server, &paths[node.index()].data(), file, *position)?;
        }
        Ok(all)
    }
}

/// Complete transactions: by MariaDB's numbers, and by the rows of the ledger that they wrote, because MySQL does
/// not tell a client which number its transaction got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    gtid: BTreeMap<u32, u64>,
    rows: BTreeSet<u64>,
}

impl Transactions {
    /// Whether an acknowledged row is in one of them.
    pub(crate) fn contain(&self, id: u64, gtid: Option<Gtid>) -> bool {
        let by_number = gtid.is_some_and(|gtid| {
            let seen = self.gtid.get(&gtid.server_id);
            seen.is_some_and(|&seq| seq >= gtid.seq)
        });
        by_number || self.rows.contains(&id)
    }

    /// Adds what ends at or before a position in the binary logs of a data folder.
    fn add_until(&mut self, server: Server, data: &Path, last: &str, position: u64) -> Result<()> {
        let mut files: Vec<String> = std::fs::read_dir(data)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("binlog.0") && name.as_str() <= last)
            .collect();
        files.sort();
        for file in files {
            let mut command = Command::new(server.binlog_tool());
            command
                .args([
                    "--no-defaults",
                    "--base64-output=decode-rows",
                    "--verbose",
                    "--force-read",
                ])
                .arg(data.join(&file));
            let output = command.output()?;
            if output.stdout.is_empty() {
                sh::run(&mut command)?;
            }
            let end = if file == last { position } else { u64::MAX };
            self.read(&String::from_utf8_lossy(&output.stdout), end);
        }
        Ok(())
    }

    /// Reads what the binary log's tool prints: a transaction is complete where its Xid or COMMIT ends.
    fn read(&mut self, text: &str, end: u64) {
        let (mut current, mut rows, mut log_pos) = (None, Vec::new(), 0);
        let mut into_ledger = false;
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("end_log_pos ") {
                log_pos = number(rest).unwrap_or(0);
                if let Some((_, gtid)) = rest.split_once("GTID ") {
                    current = gtid.split_whitespace().next().and_then(Gtid::parse);
                }
            }
            if let Some(table) = line.strip_prefix("### INSERT INTO ") {
                into_ledger = table.trim() == "`lab`.`ledger`";
            }
            if let Some(id) = line.strip_prefix("###   @1=").filter(|_| into_ledger) {
                rows.extend(number(id));
            }
            if line.contains("\tXid = ") || line.starts_with("COMMIT") {
                let (gtid, ids) = (current.take(), std::mem::take(&mut rows));
                if log_pos <= end {
                    self.note(gtid, ids);
                }
            }
        }
    }

    fn note(&mut self, gtid: Option<Gtid>, rows: Vec<u64>) {
        if let Some(gtid) = gtid {
            let seen = self.gtid.entry(gtid.server_id).or_default();
            *seen = gtid.seq.max(*seen);
        }
        self.rows.extend(rows);
    }
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Gtid, Transactions};

    fn read(text: &str, end: u64) -> Transactions {
        let mut all = Transactions::default();
        all.read(text, end);
        all
    }

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
        for (end, last) in [(500, 5), (699, 5), (700, 6)] {
            let all = read(text, end);
            assert!(all.contain(0, Some(gtid(last))), "{end}");
            assert!(!all.contain(0, Some(gtid(last + 1))), "{end}");
        }
    }

    #[test]
    fn rows_of_the_ledger_are_known_by_their_number() {
        let text = "#251120 server id 11  end_log_pos 300 CRC32 0x1 \tWrite_rows: table id 9\n\
                    ### INSERT INTO `lab`.`ledger`\n### SET\n###   @1=1000000000001\n###   @2=1\n\
                    #251120 server id 11  end_log_pos 331 CRC32 0x1 \tXid = 7\nCOMMIT/*!*/;\n\
                    #251120 server id 11  end_log_pos 500 CRC32 0x1 \tWrite_rows: table id 9\n\
                    ### INSERT INTO `lab`.`ledger`\n### SET\n###   @1=1000000000002\n###   @2=1\n\
                    #251120 server id 11  end_log_pos 531 CRC32 0x1 \tXid = 8\nCOMMIT/*!*/;\n";
        let all = read(text, 400);
        assert!(all.contain(1_000_000_000_001, None));
        assert!(!all.contain(1_000_000_000_002, None));
    }
}
