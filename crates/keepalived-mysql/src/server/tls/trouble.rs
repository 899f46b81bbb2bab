//! The library's errors about encryption, in one sentence each.

use std::error::Error as _;
use std::io;

use mysql::DriverError;
use mysql::error::tls::TlsError;
use rustls::{AlertDescription, CertificateError, Error as Rustls};

/// What is wrong with the encryption of a connection, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Trouble {
    pub(in crate::server) problem: String,
    pub(in crate::server) remedy: &'static str,
}

impl Trouble {
    pub(in crate::server) fn new(problem: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            problem: problem.into(),
            remedy,
        }
    }

    /// The server, or something before it, ended the connection instead of speaking TLS.
    pub(in crate::server) fn broken_off() -> Self {
        Self::new("it breaks the TLS handshake off", OLD_SERVER)
    }
}

const OLD_SERVER: &str = "TLS 1.2 is the least: a server that knows no more than 1.1, as MySQL 5.6, needs \
     [tls] mode = \"disabled\"";
const OUR_FILES: &str =
    "correct 'ca', 'cert' and 'key' of [tls]: PEM, and the key is the certificate's";

/// What `error` says about encryption; none if it is about something else.
pub(in crate::server) fn trouble(error: &mysql::Error) -> Option<Trouble> {
    match error {
        mysql::Error::DriverError(DriverError::TlsNotSupported) => Some(Trouble::new(
            "the server offers no TLS, and [tls] asks for it",
            "set ssl_cert and ssl_key on that server and restart it, or choose another mode in [tls]",
        )),
        // Before a word is said: what the other side does comes as an input error.
        mysql::Error::TlsError(TlsError::Tls(Rustls::InconsistentKeys(_))) => {
            Some(Trouble::new("'key' does not belong to 'cert'", OUR_FILES))
        }
        mysql::Error::TlsError(why) => Some(Trouble::new(
            format!("TLS cannot be set up with the files of [tls]: {why}"),
            OUR_FILES,
        )),
        mysql::Error::IoError(why) => within(why).map(explain),
        mysql::Error::CodecError(codec) => codec
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .and_then(within)
            .map(explain),
        _ => None,
    }
}

fn within(error: &io::Error) -> Option<&Rustls> {
    error.get_ref()?.downcast_ref()
}

fn explain(error: &Rustls) -> Trouble {
    match error {
        Rustls::InvalidCertificate(why) => certificate(why),
        Rustls::AlertReceived(alert) => alerted(*alert),
        Rustls::PeerIncompatible(_) | Rustls::InvalidMessage(_) => Trouble::new(
            format!("its TLS and ours have nothing in common: {error}"),
            OLD_SERVER,
        ),
        other => Trouble::new(
            format!("TLS failed: {other}"),
            "see that server's error log",
        ),
    }
}

fn certificate(error: &CertificateError) -> Trouble {
    use CertificateError as Why;
    match error {
        Why::UnknownIssuer | Why::BadSignature => Trouble::new(
            "its certificate is not signed by the 'ca' of [tls]",
            "give 'ca' the authority that signed the server's ssl_cert, or give the server another one",
        ),
        Why::Expired | Why::ExpiredContext { .. } => Trouble::new(
            "its certificate has expired",
            "renew the server's ssl_cert, and look at this host's clock",
        ),
        Why::NotValidYet | Why::NotValidYetContext { .. } => Trouble::new(
            "its certificate is not valid yet",
            "look at the clocks of both hosts",
        ),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => Trouble::new(
            "its certificate does not name this address",
            "nodes are reached by address: the certificate needs an IP subjectAltName (IP:192.0.2.1), or \
             choose mode = \"verify-ca\"",
        ),
        other => Trouble::new(
            format!("its certificate cannot be accepted: {other}"),
            "give the server another ssl_cert",
        ),
    }
}

fn alerted(alert: AlertDescription) -> Trouble {
    use AlertDescription as Alert;
    match alert {
        Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            Trouble::new(
                format!("its TLS and ours have nothing in common: it says {alert:?}"),
                OLD_SERVER,
            )
        }
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::CertificateExpired
        | Alert::CertificateRequired
        | Alert::CertificateUnknown
        | Alert::CertificateRevoked
        | Alert::DecryptError
        | Alert::UnsupportedCertificate => Trouble::new(
            format!("it does not accept our certificate: it says {alert:?}"),
            "'cert' of [tls] must be signed by the authority in that server's ssl_ca",
        ),
        other => Trouble::new(
            format!("it ended the TLS handshake: it says {other:?}"),
            "see that server's error log",
        ),
    }
}
