//! From a target to a connection, encrypted or not, and what its failures mean.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use mysql::{Conn, DriverError, OptsBuilder};

use super::{Endpoint, ServerError, Target};
use crate::deadline::Deadline;
use crate::server::tls::{self, Encryption, Trouble};

/// After this long an abandoned connection thread gives up by itself.
const LONGEST_READ: Duration = Duration::from_secs(120);

/// Enough for every answer we ask for, and it spares the crate's question for the server's limit.
const LARGEST_PACKET: usize = 16 * 1024 * 1024;

/// CR_AUTH_PLUGIN_CANNOT_LOAD: what clients say who do not know a way to give a password.
const PLUGIN_CANNOT_BE_LOADED: u16 = 2059;

/// ER_ACCESS_DENIED_ERROR: a wrong password, or an account that is not there.
const ACCESS_DENIED: u16 = 1045;

/// Connects and authenticates. `limit` bounds each single wait; the caller bounds the whole.
pub(super) fn connect(target: &Target, limit: Duration) -> Result<Conn, ServerError> {
    match (&target.endpoint, &target.encryption) {
        (Endpoint::Tcp(address, port), Some(encryption)) => {
            let address = SocketAddr::new(*address, *port);
            connect_encrypted(target, encryption, address, limit)
        }
        _ => in_clear(target, limit),
    }
}

fn in_clear(target: &Target, limit: Duration) -> Result<Conn, ServerError> {
    log_in(options(target, limit)).map_err(|error| classify(&target.endpoint.to_string(), &error))
}

/// Logs in; after "access denied" once more.
///
/// The library cuts a zero off the end of what a server gives it to sign (mysql_common 0.37, mended in
/// 0.38.2), and MariaDB's ed25519 signs all of it: one right password in 256 was refused, and a peer that
/// refuses us counts as open.
fn log_in(options: OptsBuilder) -> mysql::Result<Conn> {
    match Conn::new(options.clone()) {
        Err(mysql::Error::MySqlError(said)) if said.code == ACCESS_DENIED => Conn::new(options),
        other => other,
    }
}

fn connect_encrypted(
    target: &Target,
    encryption: &Encryption,
    address: SocketAddr,
    limit: Duration,
) -> Result<Conn, ServerError> {
    let deadline = Deadline::after(limit);
    if encryption.is_known_missing() {
        match in_clear(target, limit) {
            // It may have learnt TLS meanwhile, and insist on it.
            Err(ServerError::Answered { .. }) => encryption.forget_missing(),
            other => return other,
        }
    }
    let endpoint = target.endpoint.to_string();
    let secure = options(target, limit).ssl_opts(Some(encryption.options()));
    match log_in(secure) {
        Ok(connection) => Ok(connection),
        Err(mysql::Error::DriverError(DriverError::TlsNotSupported))
            if encryption.is_optional() =>
        {
            encryption.note_missing();
            in_clear(target, limit)
        }
        Err(error) => Err(refused(endpoint, &error, encryption, address, deadline)),
    }
}

/// What a failed attempt at an encrypted connection means.
///
/// A server that answers and whose TLS fails is alive: taken for silent, it would be promoted over.
fn refused(
    endpoint: String,
    error: &mysql::Error,
    encryption: &Encryption,
    address: SocketAddr,
    deadline: Deadline,
) -> ServerError {
    if let Some(trouble) = tls::trouble(error) {
        return encryption_error(endpoint, trouble);
    }
    let classified = classify(&endpoint, error);
    // A dead peer is dead whatever has become of our own files.
    let answered = !matches!(
        (kind_of(error), &classified),
        (ErrorKind::ConnectionRefused, _) | (_, ServerError::Silent { .. })
    );
    if let Some(trouble) = encryption.unreadable().filter(|_| answered) {
        return encryption_error(endpoint, trouble);
    }
    match (kind_of(error), classified) {
        // A file of ours that went away after it was looked for; there is no socket here to be missing.
        (ErrorKind::NotFound, _) => {
            let problem = format!("a file of [tls] is missing: {}", in_plain_words(error));
            encryption_error(
                endpoint,
                Trouble::new(problem, "correct [tls], or the file"),
            )
        }
        (_, ServerError::Lost { .. }) if tls::greets(address, deadline) => {
            encryption_error(endpoint, Trouble::broken_off())
        }
        (_, other) => other,
    }
}

fn encryption_error(endpoint: String, trouble: Trouble) -> ServerError {
    ServerError::Encryption {
        endpoint,
        problem: trouble.problem,
        remedy: trouble.remedy,
    }
}

/// How a session with a server is made, encryption aside.
pub(crate) fn options(target: &Target, connect_timeout: Duration) -> OptsBuilder {
    let builder = OptsBuilder::new()
        .user(Some(target.user.clone()))
        .pass(target.password.as_ref().map(|p| p.expose().to_owned()))
        .prefer_socket(false)
        .max_allowed_packet(Some(LARGEST_PACKET))
        .read_timeout(Some(LONGEST_READ))
        .write_timeout(Some(LONGEST_READ));
    match &target.endpoint {
        Endpoint::Socket(path) => builder.socket(Some(path.to_string_lossy().into_owned())),
        Endpoint::Tcp(address, port) => builder
            .ip_or_hostname(Some(address.to_string()))
            .tcp_port(*port)
            .tcp_connect_timeout(Some(connect_timeout.max(Duration::from_millis(1)))),
    }
}

/// What a failure of the library means.
pub(crate) fn classify(endpoint: &str, error: &mysql::Error) -> ServerError {
    if let mysql::Error::MySqlError(said) = error {
        return ServerError::Answered {
            endpoint: endpoint.to_owned(),
            code: said.code,
            state: said.state.clone(),
            message: said.message.clone(),
        };
    }
    if let mysql::Error::DriverError(DriverError::UnknownAuthPlugin(plugin)) = error {
        // MySQL also asks like this for an account that it does not have (tried on 9.7: another
        // plugin for each unknown name), so that nobody learns who exists. It is alive.
        return ServerError::Answered {
            endpoint: endpoint.to_owned(),
            code: PLUGIN_CANNOT_BE_LOADED,
            state: "HY000".into(),
            message: format!(
                "it asks for a password by {plugin}, as MySQL does for unknown accounts too"
            ),
        };
    }
    let detail = in_plain_words(error);
    match kind_of(error) {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => ServerError::NotListening {
            endpoint: endpoint.to_owned(),
            detail,
        },
        ErrorKind::TimedOut
        | ErrorKind::WouldBlock
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => ServerError::Silent {
            endpoint: endpoint.to_owned(),
            waited: Duration::ZERO,
            doing: detail,
        },
        _ => ServerError::Lost {
            endpoint: endpoint.to_owned(),
            detail,
        },
    }
}

fn kind_of(error: &mysql::Error) -> ErrorKind {
    match error {
        mysql::Error::IoError(io) => io.kind(),
        mysql::Error::DriverError(DriverError::CouldNotConnect(Some((_, _, kind)))) => *kind,
        mysql::Error::DriverError(DriverError::ConnectTimeout | DriverError::Timeout) => {
            ErrorKind::TimedOut
        }
        _ => ErrorKind::Other,
    }
}

/// What went wrong, without the library's names for it.
fn in_plain_words(error: &mysql::Error) -> String {
    match error {
        mysql::Error::IoError(io) => io.to_string(),
        mysql::Error::DriverError(DriverError::CouldNotConnect(Some((_, why, _)))) => why.clone(),
        mysql::Error::DriverError(driver) => driver.to_string(),
        mysql::Error::CodecError(codec) => codec.to_string(),
        other => other.to_string(),
    }
}
