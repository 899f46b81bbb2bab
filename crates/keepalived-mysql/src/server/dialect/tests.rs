use super::*;
use crate::server::masked::masked;
use crate::server::source_tls::Offered;

fn dialect(version: &str, comment: &str) -> Dialect {
    Dialect::parse(version, comment, true).expect("a version")
}

fn source(start: Start) -> Source<'static> {
    Source {
        host: "192.168.1.37",
        port: 3306,
        user: "repl",
        password: "it's \\ secret",
        connect_retry: 1,
        retry_count: 86400,
        heartbeat: 2.0,
        tls: SourceTls::new(Box::leak(Box::default()), Offered::Tls),
        start,
    }
}

#[test]
fn products_and_versions() {
    let debian = dialect("10.11.19-MariaDB-0+deb12u1-log", "Debian 12");
    assert_eq!(debian.product, Product::MariaDb);
    assert_eq!(debian.version, (10, 11, 19));
    assert_eq!(dialect("9.7.4", "(Debian)").product, Product::MySql);
    assert_eq!(dialect("8.0.36-28", "Percona Server").version, (8, 0, 36));
    assert_eq!(Dialect::parse("nonsense", "", false), None);
}

#[test]
fn words_by_version() {
    let cases = [
        (
            "10.11.19-MariaDB",
            "STOP SLAVE IO_THREAD",
            "SHOW ALL SLAVES STATUS",
            "SHOW MASTER STATUS",
            "SET GLOBAL read_only = 1",
        ),
        (
            "5.6.24",
            "STOP SLAVE IO_THREAD",
            "SHOW SLAVE STATUS",
            "SHOW MASTER STATUS",
            "SET GLOBAL read_only = 1",
        ),
        (
            "5.7.44",
            "STOP SLAVE IO_THREAD",
            "SHOW SLAVE STATUS",
            "SHOW MASTER STATUS",
            "SET GLOBAL super_read_only = 1",
        ),
        (
            "8.0.40",
            "STOP REPLICA IO_THREAD",
            "SHOW REPLICA STATUS",
            "SHOW MASTER STATUS",
            "SET GLOBAL super_read_only = 1",
        ),
        (
            "8.4.3",
            "STOP REPLICA IO_THREAD",
            "SHOW REPLICA STATUS",
            "SHOW BINARY LOG STATUS",
            "SET GLOBAL super_read_only = 1",
        ),
        (
            "9.7.4",
            "STOP REPLICA IO_THREAD",
            "SHOW REPLICA STATUS",
            "SHOW BINARY LOG STATUS",
            "SET GLOBAL super_read_only = 1",
        ),
    ];
    for (version, stop, status, end, close) in cases {
        let d = dialect(version, "");
        assert_eq!(d.stop_receiver(""), stop, "{version}");
        assert_eq!(d.replica_status(), status, "{version}");
        assert_eq!(d.binlog_end(), end, "{version}");
        assert_eq!(d.close(), close, "{version}");
    }
}

#[test]
fn rejoining_by_gtid_uses_the_form_that_notices_divergence() {
    let new = dialect("10.11.19-MariaDB", "").change_source("", &source(Start::Gtid));
    assert_eq!(new.len(), 1);
    assert!(new[0].contains("MASTER_DEMOTE_TO_SLAVE = 1"), "{new:?}");
    let old = dialect("10.5.29-MariaDB", "").change_source("", &source(Start::Gtid));
    assert_eq!(
        old[0],
        "SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos"
    );
    let mysql = dialect("9.7.4", "").change_source("", &source(Start::Gtid));
    assert!(
        mysql[0].starts_with("CHANGE REPLICATION SOURCE TO SOURCE_HOST"),
        "{mysql:?}"
    );
    assert!(mysql[0].contains("SOURCE_AUTO_POSITION = 1"), "{mysql:?}");
}

#[test]
fn channels_are_named_in_each_servers_way() {
    assert_eq!(
        dialect("10.11.19-MariaDB", "").stop_replication("ch1"),
        "STOP SLAVE 'ch1'"
    );
    assert_eq!(
        dialect("9.7.4", "").reset_replication("ch1"),
        "RESET REPLICA ALL FOR CHANNEL 'ch1'"
    );
}

#[test]
fn passwords_are_masked_whatever_is_in_them() {
    let sql = dialect("10.11.19-MariaDB", "")
        .change_source("", &source(Start::Gtid))
        .remove(0);
    let masked_sql = masked(&sql);
    assert!(!masked_sql.contains("secret"), "{masked_sql}");
    assert!(
        masked_sql.contains("MASTER_PASSWORD = '***', MASTER_CONNECT_RETRY"),
        "{masked_sql}"
    );
    assert_eq!(
        masked("CREATE USER u IDENTIFIED BY 'a''b' REQUIRE SSL"),
        "CREATE USER u IDENTIFIED BY '***' REQUIRE SSL"
    );
    assert_eq!(masked("SELECT 1"), "SELECT 1");
}
