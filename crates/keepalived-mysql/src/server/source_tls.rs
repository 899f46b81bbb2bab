//! How a replica's channel is encrypted: a part of `CHANGE ... SOURCE`.

use std::path::Path;

use crate::config::{Tls, TlsMode};
use crate::server::dialect::{Product, quoted};

/// How a channel is encrypted. The replica's own server reads the files, under its own user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTls<'a> {
    mode: TlsMode,
    ca: Option<&'a Path>,
    identity: Option<(&'a Path, &'a Path)>,
    offered: Offered,
}

/// What is known of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It offers TLS, or nobody has found that it does not.
    Tls,
    /// It offers none.
    Nothing,
}

impl<'a> SourceTls<'a> {
    /// As `[tls]` has it: `replication_ca`, `replication_cert` and `replication_key` where they are
    /// given, else `ca`, `cert` and `key`.
    pub fn new(tls: &'a Tls, offered: Offered) -> Self {
        let cert = tls.replication_cert.as_ref().or(tls.cert.as_ref());
        let key = tls.replication_key.as_ref().or(tls.key.as_ref());
        Self {
            mode: tls.mode,
            ca: tls
                .replication_ca
                .as_ref()
                .or(tls.ca.as_ref())
                .map(|path| path.as_path()),
            identity: cert
                .zip(key)
                .map(|(cert, key)| (cert.as_path(), key.as_path())),
            offered,
        }
    }

    /// The options, for a server whose word for a source is `word`: `SOURCE` or `MASTER`.
    ///
    /// Every option is written, because `RESET SLAVE ALL` leaves MariaDB's as they were, and MariaDB
    /// 11.8 verifies unless it is told not to. A `ca` alone makes every server verify the chain, with
    /// `SSL_VERIFY_SERVER_CERT` the name as well (MariaDB 10.5 to 11.8, MySQL 9.7; 11.8 also takes the
    /// password for a proof of identity).
    pub(super) fn options(&self, word: &str, product: Product) -> Vec<String> {
        let encrypted = self.is_encrypted(product);
        let verifies = self.mode.verifies();
        let names = self.mode == TlsMode::VerifyIdentity;
        let path = |path: Option<&Path>| {
            quoted(
                &path
                    .filter(|_| encrypted)
                    .map(Path::to_string_lossy)
                    .unwrap_or_default(),
            )
        };
        let (cert, key) = self.identity.unzip();
        vec![
            format!("{word}_SSL = {}", u8::from(encrypted)),
            format!("{word}_SSL_CA = {}", path(self.ca.filter(|_| verifies))),
            format!("{word}_SSL_CERT = {}", path(cert)),
            format!("{word}_SSL_KEY = {}", path(key)),
            format!("{word}_SSL_VERIFY_SERVER_CERT = {}", u8::from(names)),
        ]
    }

    /// MariaDB's `MASTER_SSL = 1` falls back to clear text by itself; MySQL's insists (tried on 9.7).
    fn is_encrypted(&self, product: Product) -> bool {
        match self.mode {
            TlsMode::Disabled => false,
            TlsMode::Preferred => product == Product::MariaDb || self.offered == Offered::Tls,
            TlsMode::Required | TlsMode::VerifyCa | TlsMode::VerifyIdentity => true,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tls(mode: TlsMode) -> Tls {
        Tls {
            mode,
            ca: Some("/tls/ca.pem".into()),
            cert: Some("/tls/cert.pem".into()),
            key: Some("/tls/key.pem".into()),
            replication_key: Some("/var/lib/mysql/it's.pem".into()),
            ..Tls::default()
        }
    }

    fn options(mode: TlsMode, product: Product, offered: Offered) -> String {
        let tls = tls(mode);
        SourceTls::new(&tls, offered)
            .options("MASTER", product)
            .join(", ")
    }

    #[test]
    fn each_mode_writes_every_option() {
        let identity =
            "MASTER_SSL_CERT = '/tls/cert.pem', MASTER_SSL_KEY = '/var/lib/mysql/it''s.pem'";
        let clear = "MASTER_SSL = 0, MASTER_SSL_CA = '', MASTER_SSL_CERT = '', MASTER_SSL_KEY = '', \
             MASTER_SSL_VERIFY_SERVER_CERT = 0";
        let table = [
            (TlsMode::Disabled, clear.to_owned()),
            (
                TlsMode::Preferred,
                format!(
                    "MASTER_SSL = 1, MASTER_SSL_CA = '', {identity}, MASTER_SSL_VERIFY_SERVER_CERT = 0"
                ),
            ),
            (
                TlsMode::Required,
                format!(
                    "MASTER_SSL = 1, MASTER_SSL_CA = '', {identity}, MASTER_SSL_VERIFY_SERVER_CERT = 0"
                ),
            ),
            (
                TlsMode::VerifyCa,
                format!(
                    "MASTER_SSL = 1, MASTER_SSL_CA = '/tls/ca.pem', {identity}, MASTER_SSL_VERIFY_SERVER_CERT = 0"
                ),
            ),
            (
                TlsMode::VerifyIdentity,
                format!(
                    "MASTER_SSL = 1, MASTER_SSL_CA = '/tls/ca.pem', {identity}, MASTER_SSL_VERIFY_SERVER_CERT = 1"
                ),
            ),
        ];
        for (mode, expected) in table {
            for product in [Product::MariaDb, Product::MySql] {
                assert_eq!(options(mode, product, Offered::Tls), expected, "{mode:?}");
            }
        }
    }

    #[test]
    fn a_source_without_tls_is_followed_in_clear_text_if_that_will_do() {
        let said = options(TlsMode::Preferred, Product::MySql, Offered::Nothing);
        assert!(
            said.starts_with("MASTER_SSL = 0, MASTER_SSL_CA = '', MASTER_SSL_CERT = ''"),
            "{said}"
        );
        let said = options(TlsMode::Required, Product::MySql, Offered::Nothing);
        assert!(said.starts_with("MASTER_SSL = 1,"), "{said}");
    }
}
