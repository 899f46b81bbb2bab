//! Opening files without being led astray.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc;

/// Open what `options` say, without following a symbolic link in the last place, without waiting
/// for a pipe's other end, and refusing everything but a regular file.
///
/// # Errors
/// As `open(2)`; `InvalidInput` if it is not a regular file.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<(File, Metadata)> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    open_checked(options.custom_flags(flags), path)
}

fn open_checked(options: &OpenOptions, path: &Path) -> io::Result<(File, Metadata)> {
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, metadata))
}

/// The text of a regular file of at most `limit` bytes. Follows symbolic links: an operator's
/// file may be one. Never waits for a pipe.
///
/// # Errors
/// As `open(2)` and `read(2)`; `InvalidInput` if it is not a regular file, `FileTooLarge` above
/// the limit, `InvalidData` if it is not UTF-8.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<(String, Metadata)> {
    let mut options = OpenOptions::new();
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    options.read(true).custom_flags(flags);
    let (file, metadata) = open_checked(&options, path)?;
    // Room for all of it, so that one read does; a file in /proc says 0.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or(0);
    let mut text = String::with_capacity(expected + 64);
    file.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        let error = format!("larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, error));
    }
    Ok((text, metadata))
}

/// Whether the file belongs to the user that runs us.
pub fn owned_by_us(metadata: &Metadata) -> bool {
    metadata.uid() == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_regular_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(read_regular(&file, 3).unwrap().0, "abc");
        let too_large = read_regular(&file, 2).unwrap_err();
        assert_eq!(too_large.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_regular(folder.path(), 10).is_err());
        // A pipe that nobody writes to must not hang.
        let pipe = folder.path().join("p");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_regular(&pipe, 10).is_err());
    }

    #[test]
    fn does_not_follow_links_when_told_not_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        std::fs::write(&file, "abc").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(open_regular(OpenOptions::new().read(true), &link).is_err());
        assert!(open_regular(OpenOptions::new().read(true), &file).is_ok());
        assert!(read_regular(&link, 10).is_ok());
    }
}
