//! The option files of `examples/mycnf`.

use std::path::Path;

use crate::servers::{Family, found};

/// A server that reads a line which it does not know does not start.
#[test]
fn every_server_knows_every_line_of_its_example() {
    for kind in found() {
        let name = match kind.family {
            Family::MariaDb => "mariadb.cnf",
            Family::MySql => "mysql-8.cnf",
            Family::MySql56 => "mysql-5.6.cnf",
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/mycnf")
            .join(name);
        let output = kind.explain(&file);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}, {name}: {said}", kind.name);
        let values = String::from_utf8_lossy(&output.stdout);
        let closed = values.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("read-only") && words.next() == Some("TRUE")
        });
        assert!(
            closed || kind.family == Family::MySql,
            "{}: {name} does not close it",
            kind.name
        );
    }
}
