//! Disks that are full, and disks that lied about what they had written.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Node;

impl Node {
    /// Fills the file system of the data folder to the last byte (`LabOptions::data_size` gives it one of its own).
    pub fn fill_disk(&self) -> Result<u64> {
        anyhow::ensure!(
            self.own_disk,
            "the data folder lies on the machine's disk: set data_size"
        );
        let at = self.fault("the disk is full");
        let mut file = File::create(self.ballast())?;
        let block = vec![0_u8; 64 << 10];
        let mut size = block.len();
        while size > 0 {
            if file.write_all(&block[..size]).is_err() {
                size /= 2;
            }
        }
        Ok(at)
    }

    /// Gives the space back.
    pub fn free_disk(&self) -> Result<()> {
        self.note("the disk has space again");
        Ok(fs::remove_file(self.ballast())?)
    }

    /// Fills the suite's state and run folders to the last byte (`LabOptions::suite_folder_size` gives them file
    /// systems of their own).
    pub fn fill_suite_folders(&self) -> Result<()> {
        self.fault("the suite's folders are full");
        for folder in self.paths.suite_folders() {
            let mut ballast = File::create(folder.join("ballast"))?;
            while ballast.write_all(&[0; 512]).is_ok() {}
        }
        Ok(())
    }

    /// Gives that space back.
    pub fn free_suite_folders(&self) -> Result<()> {
        self.note("the suite's folders have space again");
        for folder in self.paths.suite_folders() {
            fs::remove_file(folder.join("ballast"))?;
        }
        Ok(())
    }

    /// The newest binary log of the data folder.
    pub fn last_binlog(&self) -> Result<PathBuf> {
        let names = fs::read_dir(self.paths.data())?
            .flatten()
            .map(|entry| entry.path());
        let is_binlog = |path: &PathBuf| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.strip_prefix("binlog.")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        };
        names.filter(is_binlog).max().context("no binary log")
    }

    /// Cuts bytes off the end of the newest binary log of a server that is down: a power loss without fsync.
    pub fn truncate_binlog(&self, bytes: u64) -> Result<()> {
        anyhow::ensure!(self.server_pid().is_none(), "the server runs");
        let path = self.last_binlog()?;
        let file = OpenOptions::new().write(true).open(&path)?;
        let length = file.metadata()?.len().saturating_sub(bytes);
        self.fault(&format!("{} loses its last {bytes} bytes", path.display()));
        Ok(file.set_len(length)?)
    }

    fn ballast(&self) -> PathBuf {
        self.paths.data().join("ballast")
    }
}
