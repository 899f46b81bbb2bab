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
