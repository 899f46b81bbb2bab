//! Encryption of a connection to another node, and what its failures mean.

mod greeting;
mod trouble;
mod without;

use std::fs::File;
use std::path::PathBuf;

use mysql::{ClientIdentity, SslOpts};

use crate::config::{Config, Node, Tls, TlsMode};

pub(super) use greeting::greets;
pub(super) use trouble::{Trouble, trouble};
use without::Without;

// Another crate of the name would let every public authority vouch for a node.
const _: () = assert!(webpki_roots::NOBODY_IS_TRUSTED);

/// How connections to one other node are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    mode: TlsMode,
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    without: Without,
}

impl Encryption {
    /// As `[tls]` wants it for `node`; none where it is disabled.
    pub fn of(config: &Config, node: &Node) -> Option<Self> {
        let mark = config
            .run_dir
            .join(&config.group)
            .join(format!("no-tls-{}", node.name));
        Self::new(&config.tls, mark)
    }

    /// As `tls` wants it. `mark` is a file that keeps, for a while, that this server offers none.
    pub fn new(tls: &Tls, mark: PathBuf) -> Option<Self> {
        if tls.mode == TlsMode::Disabled {
            return None;
        }
        Some(Self {
            mode: tls.mode,
            ca: tls.ca.clone(),
            identity: tls.cert.clone().zip(tls.key.clone()),
            without: Without::new(mark),
        })
    }

    /// Whether clear text will do where the server offers nothing else.
    pub(super) fn is_optional(&self) -> bool {
        self.mode == TlsMode::Preferred
    }

    /// Whether the server was found, a short while ago, to offer no encryption.
    pub fn is_known_missing(&self) -> bool {
        self.is_optional() && self.without.is_known()
    }

    pub(super) fn note_missing(&self) {
        self.without.note();
    }

    pub(super) fn forget_missing(&self) {
        self.without.forget();
    }

    /// What the library is told.
    pub(super) fn options(&self) -> SslOpts {
        let verifies = self.mode.verifies();
        let identity = self
            .identity
            .clone()
            .map(|(cert, key)| ClientIdentity::new(cert, key));
        SslOpts::default()
            .with_client_identity(identity)
            .with_root_cert_path(self.ca.clone().filter(|_| verifies))
            .with_danger_accept_invalid_certs(!verifies)
            .with_danger_skip_domain_validation(self.mode != TlsMode::VerifyIdentity)
    }

    /// The first of its files that cannot be read now, and why.
    ///
    /// The library reports it in the words for a socket that is not there, and a server that is not
    /// there counts as closed.
    pub(super) fn unreadable(&self) -> Option<Trouble> {
        let (cert, key) = self
            .identity
            .as_ref()
            .map(|(cert, key)| (cert, key))
            .unzip();
        let files = [("ca", self.ca.as_ref()), ("cert", cert), ("key", key)];
        files.into_iter().find_map(|(name, path)| {
            let path = path?;
            let why = File::open(path).err()?;
            let problem = format!("cannot read '{name}' of [tls], {}: {why}", path.display());
            Some(Trouble::new(problem, "correct [tls], or the file"))
        })
    }
}
