//! Writing chosen transactions into a file that the servers' own tools decode.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::binlog::event::{HEADER, RawEvent, kind};

/// What every binary log begins with.
pub const MAGIC: &[u8; 4] = b"\xfebin";

/// Room that is left to others on the disk.
pub const RESERVE: u64 = 16 << 20;

/// How often the room is looked at, in bytes written.
const LOOK_EVERY: u64 = 4 << 20;

/// A binary log with some transactions of another one.
///
/// The format description of the file that a transaction comes from stands before it. Where that
/// changes on the way (a server that was upgraded, checksums switched on) another one is written
/// between two transactions, as the servers' own relay logs have it.
#[derive(Debug)]
pub struct BinlogFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// The description that applies to the events to come.
    description: Option<RawEvent>,
    /// Whether it is in the file already.
    described: bool,
    length: u64,
    /// Where the transaction begins that is being written.
    began: u64,
    looked: u64,
}

impl BinlogFile {
    /// A new file, readable by its owner only.
    ///
    /// # Errors
    /// When it exists already or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(MAGIC)?;
        let length = MAGIC.len() as u64;
        Ok(Self {
            path: path.to_owned(),
            file,
            description: None,
            described: false,
            length,
            began: length,
            looked: 0,
        })
    }

    /// The description of the file that the next events come from.
    pub fn describe(&mut self, event: &RawEvent) {
        if self
            .description
            .as_ref()
            .is_none_or(|old| differs(old, event))
        {
            self.description = Some(event.clone());
            self.described = false;
        }
    }

    /// The transaction that follows begins here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        if let (false, Some(description)) = (self.described, self.description.take()) {
            self.put(&description)?;
            self.description = Some(description);
            self.described = true;
        }
        self.began = self.length;
        Ok(())
    }

    /// The next event of the transaction.
    ///
    /// # Errors
    /// When it cannot be written, or would take the room that is left to others.
    pub fn put(&mut self, event: &RawEvent) -> io::Result<()> {
        if self.length - self.looked >= LOOK_EVERY {
            self.looked = self.length;
            if free(&self.path)? < RESERVE + event.size() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.file.write_all(event.bytes())?;
        self.length += event.size();
        Ok(())
    }

    /// Takes back the transaction that was begun last: it is not whole.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn take_back(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().set_len(self.began)?;
        self.file.seek(SeekFrom::Start(self.began))?;
        self.length = self.began;
        self.looked = self.looked.min(self.length);
        Ok(())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When that fails.
    pub fn finish(mut self) -> io::Result<u64> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.length)
    }
}

/// Whether two descriptions say different things; when they were written does not count.
fn differs(one: &RawEvent, other: &RawEvent) -> bool {
    // Version 2 and the server's version 50; then 4 bytes with the time.
    const BEFORE_TIME: usize = 52;
    let parts = |event: &RawEvent| {
        let bytes = event.bytes();
        let body = HEADER.min(bytes.len());
        let rest = (HEADER + BEFORE_TIME + 4).min(bytes.len());
        // The checksum's algorithm is the byte before the checksum.
        let end = bytes.len().saturating_sub(4).max(rest);
        let head = bytes[body..(HEADER + BEFORE_TIME).min(bytes.len())].to_vec();
        (head, bytes[rest..end].to_vec())
    };
    one.kind() != kind::FORMAT_DESCRIPTION || parts(one) != parts(other)
}

/// Bytes that we may use on the file system of `path`.
///
/// # Errors
/// When it cannot be asked.
pub fn free(path: &Path) -> io::Result<u64> {
    let fs = statvfs(path)?;
    // The width of these numbers differs between platforms.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Ok(fs.blocks_available() as u64 * fs.fragment_size() as u64)
}
