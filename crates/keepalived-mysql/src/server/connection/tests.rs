use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

fn target(endpoint: Endpoint) -> Target {
    Target {
        endpoint,
        user: "keepalived".into(),
        password: None,
        encryption: None,
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(300))
}

#[test]
fn a_missing_socket_is_not_listening() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("none.sock");
    let error = Session::connect(&target(Endpoint::Socket(path)), soon()).expect_err("error");
    assert!(matches!(error, ServerError::NotListening { .. }), "{error}");
}

#[test]
fn a_stale_socket_is_not_listening() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("stale.sock");
    drop(UnixListener::bind(&path).expect("bind"));
    let error = Session::connect(&target(Endpoint::Socket(path)), soon()).expect_err("error");
    assert!(matches!(error, ServerError::NotListening { .. }), "{error}");
}

#[test]
fn a_server_that_accepts_and_never_speaks_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let endpoint = Endpoint::Tcp("127.0.0.1".parse().expect("address"), port);
    let started = std::time::Instant::now();
    let error = Session::connect(&target(endpoint), soon()).expect_err("error");
    assert!(matches!(error, ServerError::Silent { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_server_that_speaks_garbage_is_lost_not_a_crash() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("accept");
        let _ = peer.write_all(b"\xff\xff\x00\x00HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = peer.read(&mut [0; 64]);
    });
    let endpoint = Endpoint::Tcp("127.0.0.1".parse().expect("address"), port);
    let error = Session::connect(&target(endpoint), soon()).expect_err("error");
    assert!(
        matches!(error, ServerError::Lost { .. } | ServerError::Silent { .. }),
        "{error}"
    );
}

/// A packet of the protocol with its length and number.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).expect("short");
    [&[length, 0, 0, number], body].concat()
}

fn skip_packet(peer: &mut impl Read) {
    let mut head = [0; 4];
    peer.read_exact(&mut head).expect("a packet");
    let mut body = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8];
    peer.read_exact(&mut body).expect("its body");
}

/// A MariaDB that asks for an ed25519 signature of something that ends in zero. The library leaves the
/// zero out, so this server refuses the first of two right answers.
fn ask_for_ed25519(peer: &mut (impl Read + Write), verdict: &[u8]) {
    let mut greeting =
        b"\x0a10.11.19-MariaDB\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\0\xff\x81\x15".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"abcdefghijkl\0mysql_native_password\0");
    peer.write_all(&packet(0, &greeting)).expect("greet");
    skip_packet(peer);
    let signed = [[7; 31].as_slice(), &[0]].concat();
    let question = [b"\xfeclient_ed25519\0", signed.as_slice()].concat();
    peer.write_all(&packet(2, &question)).expect("ask");
    skip_packet(peer);
    peer.write_all(&packet(4, verdict)).expect("judge");
}

#[test]
fn one_ed25519_login_in_256_is_not_a_wrong_password() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        let verdicts = [
            b"\xff\x15\x04#28000Access denied".as_slice(),
            b"\0\0\0\x02\0\0\0",
        ];
        for verdict in verdicts {
            let (mut peer, _) = listener.accept().expect("accept");
            ask_for_ed25519(&mut peer, verdict);
            let _ = peer.read(&mut [0; 64]);
        }
    });
    let mut target = target(Endpoint::Tcp("127.0.0.1".parse().expect("address"), port));
    target.password = Some(Secret::new("secret"));
    let session = Session::connect(&target, Deadline::after(Duration::from_secs(10)));
    assert!(session.is_ok(), "{session:?}");
}
