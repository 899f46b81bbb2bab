use std::os::unix::net::UnixListener;
use std::time::Instant;

use super::*;

fn packets(stream: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut inbox = Inbox::default();
    let mut found = Vec::new();
    // One byte at a time: a packet may come in any number of pieces.
    for byte in stream {
        inbox.space()[0] = *byte;
        inbox.filled(1);
        while let Some((_, payload)) = inbox.packet()? {
            found.push(payload);
        }
    }
    Ok(found)
}

fn framed(payloads: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for (sequence, payload) in payloads.iter().enumerate() {
        let length = u8::try_from(payload.len()).unwrap();
        all.extend([length, 0, 0, u8::try_from(sequence).unwrap()]);
        all.extend(*payload);
    }
    all
}

fn column(name: &str) -> Vec<u8> {
    let mut bytes = vec![3, b'd', b'e', b'f', 0, 0, 0];
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend(name.as_bytes());
    bytes.extend([0, 12, 33, 0, 0, 0, 0, 0, 253, 0, 0, 0, 0, 0]);
    bytes
}

const END: &[u8] = &[0xFE, 0, 0, 2, 0];
const END_AND_MORE: &[u8] = &[0xFE, 0, 0, 10, 0];

fn answers(payloads: &[&[u8]]) -> Result<Vec<Answer>, &'static str> {
    let mut reply = Reply::default();
    let all = packets(&framed(payloads))?;
    for (index, packet) in all.iter().enumerate() {
        if reply.take(packet)? {
            assert_eq!(index + 1, all.len());
            return Ok(reply.answers);
        }
    }
    Err("not complete")
}

#[test]
fn reads_several_answers_of_one_round_trip() {
    let (a, b) = (column("a"), column("B"));
    let all = answers(&[
        &[2],
        &a,
        &b,
        END,
        &[1, b'x', 0xFB],
        &[0, 2, b'y', b'z'],
        END_AND_MORE,
        &[0, 3, 0, 10, 0, 0, 0],
        &[1],
        &a,
        END,
        END,
    ])
    .unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].rows[0].get("a"), Some("x"));
    assert_eq!(all[0].rows[0].get("b"), None);
    assert_eq!(all[0].rows[1].get("A"), Some(""));
    assert_eq!(all[0].rows[1].at(1), Some("yz"));
    assert_eq!((all[1].affected, all[1].rows.len()), (3, 0));
    assert!(all[2].rows.is_empty());
}

#[test]
fn garbage_is_unusual_and_never_a_panic() {
    let a = column("a");
    for bad in [
        &[&[0xFF, 1, 2][..]][..],
        &[&[]],
        &[&[1], &[0xFB]],
        &[&[1], &[200, 1]],
        &[&[1], &a, &a],
        &[&[1], &a, END, &[5, b'x']],
        &[&[1], &a, END, &[1, b'x', 1, b'y']],
        &[&[0xFE, 255, 255, 255, 255, 255, 255, 255, 255], &[0xFB]],
        &[&[0, 0xFC, 1]],
    ] {
        assert!(answers(bad).is_err(), "{bad:?}");
    }
    assert!(packets(&[0xFF, 0xFF, 0xFF, 0, 1]).is_err());
}

#[test]
fn greetings_name_the_dialect() {
    let dialect = |version| greeted(version).unwrap();
    for (version, product, numbers) in [
        ("5.5.5-10.11.6-MariaDB-log", Product::MariaDb, (10, 11, 6)),
        ("11.8.6-MariaDB-0+deb13u1", Product::MariaDb, (11, 8, 6)),
        ("9.7.4-1", Product::MySql, (9, 7, 4)),
        ("5.6.24-log", Product::MySql, (5, 6, 24)),
        ("5.5.5", Product::MySql, (5, 5, 5)),
    ] {
        let found = dialect(version);
        assert_eq!((found.product, found.version), (product, numbers));
        assert_eq!(found.known.server_uid, product == Product::MariaDb);
    }
    assert!(greeted("a proxy").is_none());
}

fn target(path: &Path) -> Target {
    Target {
        endpoint: Endpoint::Socket(path.to_owned()),
        user: "nobody".into(),
        password: None,
        encryption: None,
    }
}

fn asked(path: &Path, patience: Duration) -> NoAnswer {
    ask(
        &target(path),
        |_| "SELECT 1".into(),
        Deadline::after(patience),
    )
    .unwrap_err()
}

#[test]
fn nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let patience = Duration::from_secs(5);
    for _ in 0..2 {
        match asked(&path, patience) {
            NoAnswer::Failed(ServerError::NotListening { .. }) => {}
            other => panic!("{other:?}"),
        }
        // The second time there is a socket whose server has died.
        drop(UnixListener::bind(&path));
    }
}

#[test]
fn a_silent_server_costs_no_more_than_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let begun = Instant::now();
    match asked(&path, Duration::from_millis(60)) {
        NoAnswer::Failed(ServerError::Silent { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_full_backlog_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = dial(&path) {
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    match asked(&path, Duration::from_secs(5)) {
        NoAnswer::Unusual(_) => {}
        other => panic!("{other:?}"),
    }
}
