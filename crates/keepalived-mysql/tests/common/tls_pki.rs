//! Certificate authorities and certificates that a test makes for itself.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// An authority and the folder that holds what it signs.
pub struct Authority {
    folder: PathBuf,
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// The key, PEM, mode 0600.
    pub key: PathBuf,
}

/// Whether a certificate is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// For a long time.
    Later,
    /// It has been out of date for years.
    Past,
}

impl Authority {
    /// Makes one; its certificate is `NAME.pem` in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("authority");
        let authority = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            issuer,
        };
        fs::write(authority.path(), authority.issuer.pem()).expect("write");
        authority
    }

    /// Its own certificate.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// The options of a server that trusts this authority and shows this certificate.
    pub fn server_options(&self, signed: &Signed) -> Vec<String> {
        vec![
            format!("--ssl-ca={}", self.path().display()),
            format!("--ssl-cert={}", signed.cert.display()),
            format!("--ssl-key={}", signed.key.display()),
        ]
    }

    /// Signs a certificate for these addresses.
    pub fn sign(&self, name: &str, addresses: &[&str], until: Until) -> Signed {
        let mut params = params(name, addresses);
        if until == Until::Past {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("key");
        let cert = params.signed_by(&key, &self.issuer).expect("certificate");
        let signed = Signed {
            cert: self.folder.join(format!("{}-{name}.pem", self.name)),
            key: self.folder.join(format!("{}-{name}.key", self.name)),
        };
        fs::write(&signed.cert, cert.pem()).expect("write");
        fs::write(&signed.key, key.serialize_pem()).expect("write");
        fs::set_permissions(&signed.key, fs::Permissions::from_mode(0o600)).expect("mode");
        signed
    }
}

fn params(name: &str, addresses: &[&str]) -> CertificateParams {
    let names: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("addresses");
    params.not_before = date_time_ymd(2015, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
