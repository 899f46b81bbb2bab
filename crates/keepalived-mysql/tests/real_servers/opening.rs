//! The opening statement: the server itself judges it, when it runs it.

use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::epoch::Epoch;
use keepalived_mysql::gate;
use keepalived_mysql::ledger::tables;
use keepalived_mysql::node::Contact;

use crate::servers::{PATIENCE, Server, cell, connect, found, run, wait_until};

const NEVER: &str = "2100-01-01 00:00:00";

fn in_a_moment(contact: &mut Contact, seconds: &str) -> String {
    cell(
        contact,
        &format!("SELECT SYSDATE(6) + INTERVAL {seconds} SECOND"),
    )
    .unwrap()
}

/// A closed server with the fence row at epoch 7 of node-b.
fn fenced(server: &Server) -> Contact {
    server.grant();
    let mut owned = connect(&server.local());
    let contact = &mut owned;
    let epoch = Epoch::new(7, "node-b");
    let deadline = Deadline::after(PATIENCE);
    tables::raise_fence(contact, &epoch, "node-b", "test", deadline).unwrap();
    run(contact, contact.dialect.close()).unwrap();
    owned
}

/// What the opening answers, and whether the server is then closed in full.
fn try_to_open(contact: &mut Contact, epoch: u64, node: &str, expiry: &str) -> (String, String) {
    let said = cell(contact, &contact.dialect.open(epoch, node, expiry));
    let closed = cell(contact, contact.dialect.is_closed());
    (said.unwrap(), closed.unwrap())
}

#[test]
fn the_server_opens_for_the_highest_epoch_in_time_and_for_nothing_else() {
    for kind in found() {
        let server = Server::start(&kind);
        let contact = &mut fenced(&server);
        let refused = ("1".to_owned(), "1".to_owned());
        let mut answer = |epoch, node, expiry: &str| try_to_open(contact, epoch, node, expiry);
        assert_eq!(answer(6, "node-c", NEVER), refused, "{}: lower", kind.name);
        assert_eq!(
            answer(7, "node-a", NEVER),
            refused,
            "{}: another node's",
            kind.name
        );
        assert_eq!(
            answer(8, "node-b", "2020-01-01"),
            refused,
            "{}: too late",
            kind.name
        );
        assert_eq!(answer(7, "node-b", NEVER).0, "0", "{}", kind.name);
    }
}

#[test]
fn without_a_fence_row_nothing_opens() {
    for kind in found() {
        let server = Server::start(&kind);
        let contact = &mut fenced(&server);
        let root = &mut server.root();
        run(root, &format!("SET SESSION sql_log_bin = 0; SET GLOBAL read_only = 0; DELETE FROM keepalived_mysql.fence; {}", contact.dialect.close())).unwrap();
        let answer = try_to_open(contact, 9, "node-b", NEVER);
        assert_eq!(answer, ("1".to_owned(), "1".to_owned()), "{}", kind.name);
    }
}

#[test]
fn a_fence_row_that_is_not_written_fences_nobody() {
    for kind in found() {
        let server = Server::start(&kind);
        let contact = &mut fenced(&server);
        run(&mut server.root(), "SET SESSION sql_log_bin = 0; SET GLOBAL read_only = 0; DELETE FROM keepalived_mysql.fence").unwrap();
        let epoch = Epoch::new(9, "node-a");
        let raised =
            tables::raise_fence(contact, &epoch, "node-a", "test", Deadline::after(PATIENCE));
        let error = raised.unwrap_err().to_string();
        assert!(
            error.contains("the fence row says"),
            "{}: {error}",
            kind.name
        );
    }
}

#[test]
fn an_opening_that_waits_for_a_lock_is_judged_when_it_runs() {
    for kind in found() {
        let server = Server::start(&kind);
        let contact = &mut fenced(&server);
        let mut blocker = server.root();
        // Nobody locks a table for writing while super_read_only is on.
        run(
            &mut blocker,
            "SET GLOBAL read_only = 0; LOCK TABLES keepalived_mysql.fence WRITE",
        )
        .unwrap();
        let expiry = in_a_moment(&mut blocker, "0.3");
        contact
            .session
            .send(&contact.dialect.open(8, "node-b", &expiry))
            .unwrap();
        wait_until(
            || "the opening is too late",
            || in_a_moment(&mut blocker, "0") > expiry,
        );
        assert!(
            contact.session.poll().is_none(),
            "{}: it did not wait",
            kind.name
        );
        run(&mut blocker, "UNLOCK TABLES").unwrap();
        let answer = contact
            .session
            .receive("open", Deadline::after(PATIENCE))
            .unwrap();
        assert_eq!(answer[1].rows[0].at(0), Some("1"), "{}", kind.name);
        let refuses = cell(contact, contact.dialect.refuses_writes());
        assert_eq!(refuses.as_deref(), Some("1"), "{}", kind.name);
    }
}

#[test]
fn one_session_holds_the_gate_of_a_closed_server() {
    for kind in found() {
        let server = Server::start(&kind);
        let mut holder = fenced(&server);
        let mut other = connect(&server.local());
        let soon = || Deadline::after(std::time::Duration::from_millis(200));
        assert!(gate::take(&mut holder, soon()).unwrap(), "{}", kind.name);
        assert!(!gate::take(&mut other, soon()).unwrap(), "{}", kind.name);
        drop(holder);
        wait_until(
            || "a session that ends gives the gate back",
            || gate::take(&mut other, soon()).unwrap(),
        );
    }
}
