//! Whether a server greets, asked without the library.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::deadline::Deadline;

/// The first byte of a greeting since MySQL 3.21: the protocol's version.
const PROTOCOL: u8 = 10;

/// The first byte of a greeting that is an error.
const REFUSAL: u8 = 0xff;

/// Whether somebody at `address` speaks first, as a MySQL or MariaDB server does.
///
/// That a connection broke during the TLS handshake says less than this: the server may have ended
/// it, or the host, or something in between that stands in for a server that is gone.
pub(in crate::server) fn greets(address: SocketAddr, deadline: Deadline) -> bool {
    // The system refuses a limit of zero.
    let limit = || deadline.remaining().max(Duration::from_millis(1));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, limit()) else {
        return false;
    };
    // Three bytes of length, one of sequence, then the packet.
    let mut start = [0; 5];
    stream
        .set_read_timeout(Some(limit()))
        .and_then(|()| stream.read_exact(&mut start))
        .is_ok_and(|()| matches!(start[4], PROTOCOL | REFUSAL))
}
