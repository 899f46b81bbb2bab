//! One folder of state files.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::StateError;
use crate::sys;

/// The format of the documents that we write, and the newest that we understand.
pub const FORMAT: u64 = 1;

/// Larger than any document of ours.
const MAX_DOCUMENT_BYTES: u64 = 32 << 20;

/// What a write must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power loss: the file and its folder are synced before the call returns.
    Fsync,
    /// The end of the program, however it ends.
    Cache,
}

/// What reading a document gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome<T> {
    /// There is no such file.
    Missing,
    /// There is one, and it cannot be trusted.
    Unreadable {
        /// Why, in one sentence.
        why: String,
        /// Where it is now, if it was set aside.
        set_aside: Option<PathBuf>,
    },
    /// The data.
    Ok(T),
}

impl<T> ReadOutcome<T> {
    /// The data, if there is any to trust.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Ok(data) => Some(data),
            Self::Missing | Self::Unreadable { .. } => None,
        }
    }
}

#[derive(Serialize)]
struct Written<'a, T: ?Sized> {
    format: u64,
    kind: &'a str,
    data: &'a T,
}

#[derive(Deserialize)]
struct Found {
    format: u64,
    kind: String,
    data: serde_json::Value,
}

/// Device and inode of a file.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Why a document cannot be trusted; with its file's identity if it is its content that is wrong.
struct Bad {
    why: String,
    content: Option<Identity>,
}

/// What a program does with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It keeps its documents there.
    Keep,
    /// It only looks: nothing is made, written, removed or set aside.
    Look,
}

/// A folder that belongs to us, or that is only looked into.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    used: Use,
}

impl Folder {
    pub(super) fn ensure(path: &Path) -> Result<Self, StateError> {
        let metadata = match fs::symlink_metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => make(path)?,
            found => found.map_err(|why| StateError::of("use", path, why))?,
        };
        refuse_foreign(path, &metadata)?;
        Ok(Self {
            path: path.to_owned(),
            used: Use::Keep,
        })
    }

    /// A folder to look into, whoever it belongs to; there may be none.
    pub(super) fn look(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            used: Use::Look,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to change what is only looked at.
    pub(super) fn may_change(&self) -> io::Result<()> {
        match self.used {
            Use::Keep => Ok(()),
            Use::Look => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "this program only looks",
            )),
        }
    }

    pub(super) fn write_document<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: &T,
        durability: Durability,
    ) -> Result<(), StateError> {
        let document = Written {
            format: FORMAT,
            kind: kind_of(name),
            data,
        };
        let mut bytes = serde_json::to_vec(&document)
            .map_err(|why| StateError::of("write", &self.path.join(name), why.into()))?;
        bytes.push(b'\n');
        self.write_bytes(name, &bytes, 0o640, durability)
    }

    pub(super) fn write_bytes(
        &self,
        name: &str,
        bytes: &[u8],
        mode: u32,
        durability: Durability,
    ) -> Result<(), StateError> {
        let path = self.path.join(name);
        self.may_change()
            .and_then(|()| self.replace(&path, bytes, mode, durability))
            .map_err(|why| StateError::of("write", &path, why))
    }

    fn replace(
        &self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        durability: Durability,
    ) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .tempfile_in(&self.path)?;
        file.write_all(bytes)?;
        // Not left to the umask: keepalived's own would make the file unreadable.
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        if durability == Durability::Fsync {
            file.as_file().sync_all()?;
        }
        file.persist(path).map_err(|failed| failed.error)?;
        if durability == Durability::Fsync {
            // The new name is durable only once its folder is.
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// Read a document; touch and log nothing.
    pub(super) fn peek_document<T: DeserializeOwned>(&self, name: &str) -> ReadOutcome<T> {
        match self.load(name) {
            Ok(found) => found,
            Err(bad) => ReadOutcome::Unreadable {
                why: bad.why,
                set_aside: None,
            },
        }
    }

    /// Read a document; set aside and log what cannot be trusted.
    pub(super) fn read_document<T: DeserializeOwned>(&self, name: &str) -> ReadOutcome<T> {
        let bad = match self.load(name) {
            Ok(found) => return found,
            Err(bad) => bad,
        };
        let set_aside = bad.content.and_then(|read| self.set_aside(name, read));
        let path = self.path.join(name);
        match &set_aside {
            Some(to) => log::warn!(
                "{} is set aside as {}: {}",
                path.display(),
                to.display(),
                bad.why
            ),
            None => log::warn!("{} is not used: {}", path.display(), bad.why),
        }
        ReadOutcome::Unreadable {
            why: bad.why,
            set_aside,
        }
    }

    fn load<T: DeserializeOwned>(&self, name: &str) -> Result<ReadOutcome<T>, Bad> {
        let path = self.path.join(name);
        // Seen before it is read, so that what a writer puts there meanwhile is another file.
        let seen = fs::symlink_metadata(&path).as_ref().map(identity).ok();
        let (text, metadata) = match sys::read_regular(&path, MAX_DOCUMENT_BYTES) {
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(ReadOutcome::Missing),
            Err(why) => {
                let content = seen.filter(|_| spoilt(&why));
                let why = why.to_string();
                return Err(Bad { why, content });
            }
        };
        match parse(&text, kind_of(name)) {
            Ok(data) => Ok(ReadOutcome::Ok(data)),
            Err(why) => Err(Bad {
                why,
                content: Some(identity(&metadata)),
            }),
        }
    }

    /// Rename what was read, unless a writer has replaced it since.
    fn set_aside(&self, name: &str, read: Identity) -> Option<PathBuf> {
        self.may_change().ok()?;
        let path = self.path.join(name);
        let now = fs::symlink_metadata(&path).ok()?;
        if read != identity(&now) {
            return None;
        }
        let target = |n: u32| self.path.join(format!("{name}.bad-{n}"));
        let free = (1..99)
            .map(target)
            .find(|to| fs::symlink_metadata(to).is_err());
        let to = free.unwrap_or_else(|| target(99));
        fs::rename(&path, &to).ok().map(|()| to)
    }

    /// Where it is only looked at, what a program would remove counts as removed for this run.
    pub(super) fn remove(&self, name: &str) -> Result<(), StateError> {
        if self.used == Use::Look {
            return Ok(());
        }
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(StateError::of("remove", &path, why))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the content, not the access to it, is what is wrong.
fn spoilt(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge
    )
}

/// `role.json` holds a document of the kind `role`.
fn kind_of(name: &str) -> &str {
    name.strip_suffix(".json").unwrap_or(name)
}

fn parse<T: DeserializeOwned>(text: &str, kind: &str) -> Result<T, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let found: Found = serde_json::from_str(text).map_err(|why| format!("it is damaged: {why}"))?;
    if found.format > FORMAT {
        return Err(format!(
            "its format {} is newer than {FORMAT}, the newest that this version understands",
            found.format
        ));
    }
    if found.kind != kind {
        let found = crate::message::one_line(&found.kind);
        return Err(format!("it holds '{found}' instead of '{kind}'"));
    }
    serde_json::from_value(found.data).map_err(|why| format!("its data are damaged: {why}"))
}

fn make(path: &Path) -> Result<Metadata, StateError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.exists()).collect();
    for folder in missing.into_iter().rev() {
        make_one(folder).map_err(|why| StateError::of("make", folder, why))?;
    }
    fs::symlink_metadata(path).map_err(|why| StateError::of("use", path, why))
}

fn make_one(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o750).create(folder) {
        // keepalived's umask would leave us without the right to enter.
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o750)),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(why) => Err(why),
    }
}

fn refuse_foreign(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    let path = path.to_owned();
    if !metadata.is_dir() {
        let source = io::Error::new(io::ErrorKind::NotADirectory, "not a folder");
        return Err(StateError::Io {
            doing: "use",
            path,
            source,
        });
    }
    if !sys::owned_by_us(metadata) {
        let owner = metadata.uid();
        return Err(StateError::NotOurs { path, owner });
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(StateError::OpenToOthers { path });
    }
    Ok(())
}
