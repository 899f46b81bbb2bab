//! Several channels on one server: ours is worked on, the other one runs on.

use keepalived_mysql::act::drain::{self, look};
use keepalived_mysql::deadline::Deadline;
use keepalived_mysql::node::Contact;
use keepalived_mysql::replication::position::BinlogPosition;
use keepalived_mysql::replication::replica::Receiver;
use keepalived_mysql::server::connection::ServerError;
use keepalived_mysql::server::dialect::Start;

use crate::servers::{self, Family, PATIENCE, Server, connect, found, run, wait_until};

fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

fn follow(contact: &mut Contact, channel: &str, source: &Server) {
    let options = servers::source(
        source.port,
        Start::Position(BinlogPosition::new("binlog.000001", 4)),
    );
    for sql in contact.dialect.change_source(channel, &options) {
        run(contact, &sql).unwrap();
    }
    run(contact, &contact.dialect.start_replication(channel)).unwrap();
}

#[test]
fn ours_is_stopped_and_forgotten_and_the_other_one_runs_on() {
    for kind in found() {
        if kind.family == Family::MySql56 {
            continue;
        }
        let [ours, other] = [(), ()].map(|()| Server::listening(&kind, &[]));
        let replica = Server::listening(&kind, &[]);
        for server in [&ours, &other, &replica] {
            server.grant();
        }
        let contact = &mut connect(&replica.local());
        follow(contact, "ours", &ours);
        follow(contact, "", &other);
        let running = |contact: &mut Contact, channel| {
            look(contact, channel, soon()).unwrap().status.is_running()
        };
        for channel in ["ours", ""] {
            wait_until(|| kind.name, || running(contact, channel));
        }
        let facts = contact.facts(soon()).unwrap();
        let address = "127.0.0.1".parse().unwrap();
        let found: Vec<&str> = facts
            .channels
            .iter()
            .filter(|channel| channel.reads_from("node-b", address, ours.port))
            .map(|channel| channel.channel.as_str())
            .collect();
        assert_eq!(
            (found, facts.channels.len()),
            (vec!["ours"], 2),
            "{}",
            kind.name
        );
        let dialect = contact.dialect;
        run(contact, &dialect.stop_receiver("ours")).unwrap();
        assert_eq!(
            look(contact, "ours", soon()).unwrap().status.receiver,
            Receiver::Stopped
        );
        run(contact, &dialect.stop_replication("ours")).unwrap();
        run(contact, &dialect.reset_replication("ours")).unwrap();
        let gone = drain::look(contact, "ours", soon()).unwrap_err();
        assert!(gone.to_string().contains("'ours' is gone"), "{gone}");
        assert!(
            running(contact, ""),
            "{}: the other channel was touched",
            kind.name
        );
        let error = run(contact, &dialect.stop_replication("ours")).unwrap_err();
        let unknown = if kind.family == Family::MySql {
            3074
        } else {
            1617
        };
        assert!(
            matches!(error, ServerError::Answered { code, .. } if code == unknown),
            "{error}"
        );
    }
}
