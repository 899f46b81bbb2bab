//! How two histories relate: what is proven to be lost, and what proves nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use keepalived_mysql::replication::evidence::{
    BinlogEventSummary, Lack, Relation, lacks_mariadb, lacks_mysql, lacks_position, vet_mariadb,
    vet_mysql, vet_position,
};
use keepalived_mysql::replication::gtid::{MariadbBinlogState, MariadbPosition, MysqlGtidSet};
use keepalived_mysql::replication::position::BinlogPosition;

fn mariadb(old: &str, new: &str, new_slave_pos: &str) -> Relation {
    let state = |text: &str| text.parse::<MariadbBinlogState>().unwrap();
    vet_mariadb(&state(old), &state(new), &new_slave_pos.parse().unwrap())
}

fn lost(relation: Relation) -> (String, Option<u64>) {
    match relation {
        Relation::Diverged { lost, lost_count } => (lost, lost_count),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mariadb_by_domain_and_server() {
    assert_eq!(mariadb("0-1-9", "0-1-9", ""), Relation::Identical);
    assert_eq!(mariadb("0-1-9", "0-1-9,0-2-12", ""), Relation::Behind);
    assert_eq!(mariadb("", "0-1-9", ""), Relation::Behind);
    // The new source keeps no log of what it applied, only its position.
    assert_eq!(mariadb("0-1-9", "", "0-1-9"), Relation::Identical);
    assert_eq!(mariadb("0-1-9", "", "0-1-11"), Relation::Behind);
    // What a real crash left behind: 432 rows, one transaction each.
    assert_eq!(
        lost(mariadb(
            "0-41111-1862",
            "0-41111-1430,0-41112-1431",
            "0-41111-1430"
        )),
        ("0-41111-1862 (known up to 1430)".into(), Some(432))
    );
    // Higher numbers of another server cover nothing.
    assert!(!mariadb("0-1-20", "0-1-10,0-2-90", "").may_follow());
    assert!(!mariadb("1-1-5", "0-1-10", "").may_follow());
}

#[test]
fn mariadb_counts_only_what_can_be_counted() {
    // One errant transaction on a replica that has followed server 1 up to 1000.
    assert_eq!(
        lost(mariadb("0-1-1000,0-2-1001", "0-1-1200", "")),
        ("0-2-1001 (none of this server known)".into(), Some(1))
    );
    // Two servers share the numbers of a domain.
    assert_eq!(
        lost(mariadb("0-1-1010,0-3-1005", "0-1-1000", "")).1,
        Some(10)
    );
    assert_eq!(
        lost(mariadb("0-1-12,5-1-3", "0-1-10", "")),
        (
            "0-1-12 (known up to 10), 5-1-3 (none of this server known)".into(),
            Some(5)
        )
    );
    // Numbers below the shared ones: no strict mode, no count.
    assert_eq!(lost(mariadb("0-1-1000,0-2-7", "0-1-1000", "")).1, None);
}

fn set(text: &str) -> MysqlGtidSet {
    let text = text
        .replace('A', "8cd92904-e4d0-11f1-ab4d-02fc00000001")
        .replace('B', "a520c946-e4d0-11f1-a195-02fc00000001");
    text.parse().unwrap()
}

#[test]
fn mysql_by_set() {
    let vet = |old, new, purged| vet_mysql(&set(old), &set(new), &set(purged));
    assert_eq!(vet("A:1-9", "A:1-9", ""), Relation::Identical);
    assert_eq!(vet("A:1-9", "A:1-9,B:1-3", "A:1-5"), Relation::Behind);
    assert!(matches!(
        vet("A:1-9", "A:1-9,B:1-3", "A:1-9,B:1"),
        Relation::Unrecoverable { .. }
    ));
    assert_eq!(
        lost(vet("A:1-3960", "A:1-3200,B:1-3", "B:1")),
        (set("A:3201-3960").to_string(), Some(760))
    );
    assert!(!vet("A:1-9,A:tag:1", "A:1-9", "").may_follow());
}

fn at(text: &str) -> BinlogPosition {
    text.parse().unwrap()
}

fn event(event_type: &str, end_offset: u64, info: &str) -> BinlogEventSummary {
    BinlogEventSummary {
        event_type: event_type.into(),
        server_id: 1,
        end_offset,
        info: info.into(),
    }
}

/// What a restart leaves behind a record at `binlog.000001:1849`.
fn restart() -> Vec<BinlogEventSummary> {
    vec![
        event("Stop", 1872, ""),
        event(
            "Format_desc",
            256,
            "Server ver: 10.11.19-MariaDB, Binlog ver: 4",
        ),
        event("Gtid_list", 299, "[0-1-7]"),
        event("Binlog_checkpoint", 339, "binlog.000002"),
    ]
}

fn by_position(end: &str, events: &[BinlogEventSummary]) -> Relation {
    vet_position(&at("binlog.000001:1849"), &at(end), events, 1)
}

#[test]
fn bookkeeping_after_the_record_is_nothing() {
    assert_eq!(by_position("binlog.000001:1849", &[]), Relation::Behind);
    assert_eq!(
        by_position("binlog.000002:339", &restart()),
        Relation::Behind
    );
    let mysql = [
        event("Rotate", 1893, "binlog.000002;pos=4"),
        event("Format_desc", 127, ""),
        event("Previous_gtids", 198, ""),
    ];
    assert_eq!(by_position("binlog.000002:198", &mysql), Relation::Behind);
}

#[test]
fn transactions_after_the_record_are_lost() {
    let mut mariadb = vec![
        event("Gtid", 1891, "BEGIN GTID 0-1-8"),
        event("Annotate_rows", 1950, "insert into t values (8)"),
        event("Table_map", 2000, "table_id: 30 (app.t)"),
        event("Write_rows_v1", 2040, "table_id: 30 flags: STMT_END_F"),
        event("Xid", 2071, "COMMIT /* xid=41 */"),
        event("Gtid", 2113, "GTID 0-1-9"),
        event("Query", 2200, "use `app`; create table u (a int)"),
    ];
    mariadb.extend(restart());
    let (text, count) = lost(by_position("binlog.000002:339", &mariadb));
    assert_eq!(count, Some(2));
    assert_eq!(
        text,
        "2 transactions between binlog.000001:1849 and binlog.000002:339"
    );
    let without_gtid = [
        event("Query", 1900, "BEGIN"),
        event("Query", 1950, "use `app`; insert into t values (8)"),
        event("Xid", 1981, "COMMIT /* xid=41 */"),
        event("Query", 2050, "BEGIN"),
        event("Table_map", 2090, ""),
        event("Query", 2150, "COMMIT"),
        event("Query", 2250, "use `app`; create table u (a int)"),
    ];
    let relation = by_position("binlog.000001:2250", &without_gtid);
    assert_eq!(lost(relation).1, Some(3));
    let anonymous = [event("Anonymous_Gtid", 1928, ""), event("Query", 2000, "")];
    assert_eq!(
        lost(by_position("binlog.000001:2000", &anonymous)).1,
        Some(1)
    );
    // A kind nobody has heard of counts as data.
    let strange = [event("Teleport", 1900, "")];
    assert_eq!(lost(by_position("binlog.000001:1900", &strange)).1, Some(1));
}

#[test]
fn what_positions_cannot_prove_is_unknown() {
    let mut missing_file = restart();
    missing_file.remove(1);
    for (end, events) in [
        ("binlog.000001:1500", vec![]),
        ("other.000001:1849", vec![]),
        ("binlog.000001:2000", vec![]),
        ("binlog.000001:2000", vec![event("Stop", 1872, "")]),
        ("binlog.000002:339", missing_file),
        ("binlog.000003:339", restart()),
    ] {
        let relation = by_position(end, &events);
        assert!(matches!(relation, Relation::Unknown { .. }), "{relation:?}");
    }
    let Relation::Unknown { why } = by_position("binlog.000001:1500", &[]) else {
        panic!("known");
    };
    assert!(why.starts_with("history shorter than the promotion record"));
}

#[test]
fn lacking_before_promotion() {
    let state = |text: &str| text.parse::<MariadbBinlogState>().unwrap();
    let applied: MariadbPosition = "0-1-9".parse().unwrap();
    assert_eq!(lacks_mariadb(&state(""), &applied, &state("0-1-9")), None);
    assert_eq!(
        lacks_mariadb(&state("0-1-8"), &applied, &state("0-1-11")),
        Some(Lack {
            what: "0-1-11 (known up to 9)".into(),
            count: Some(2)
        })
    );
    assert_eq!(lacks_mysql(&set("A:1-9,B:1"), &set("A:1-9")), None);
    assert_eq!(
        lacks_mysql(&set("A:1-9"), &set("A:1-11")).unwrap().count,
        Some(2)
    );
    assert_eq!(lacks_position(&at("b.000002:9"), &at("b.000002:9")), None);
    assert!(lacks_position(&at("b.000002:9"), &at("b.000003:4")).is_some());
    assert!(lacks_position(&at("b.000002:9"), &at("a.000001:4")).is_some());
}

#[test]
fn relations_survive_records() {
    for relation in [
        Relation::Identical,
        Relation::Behind,
        mariadb("0-1-2", "0-1-1", ""),
        by_position("binlog.000001:4", &[]),
    ] {
        let json = serde_json::to_string(&relation).unwrap();
        assert_eq!(serde_json::from_str::<Relation>(&json).unwrap(), relation);
    }
    assert_eq!(
        serde_json::to_string(&Relation::Behind).unwrap(),
        r#"{"relation":"behind"}"#
    );
}

/// What an old master applied of its new source stands in its own log under the source's number. Taken
/// for its own, the node would be called diverged; taken for nothing, it would be applied once more.
#[test]
fn events_of_another_server_are_not_its_own() {
    let foreign = |event_type: &str, end_offset| BinlogEventSummary {
        event_type: event_type.to_owned(),
        server_id: 2,
        end_offset,
        info: String::new(),
    };
    let events = [
        foreign("Gtid", 1900),
        foreign("Query", 2000),
        foreign("Xid", 2100),
    ];
    let relation = by_position("binlog.000001:2100", &events);
    assert!(matches!(relation, Relation::Unknown { .. }), "{relation:?}");
}
