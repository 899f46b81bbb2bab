use super::*;
use crate::server::dialect::Known;

fn dialect(version: &str) -> Dialect {
    Dialect::parse(version, "", Known::default()).expect("a version")
}

fn refused(version: &str, statement: &str, code: u16, message: &str) -> Denied {
    Denied::statement(
        "/run/mysqld/mysqld.sock",
        &dialect(version),
        "keepalived@localhost",
        statement,
        (code, "42000", message),
    )
}

#[test]
fn a_missing_privilege_is_named_with_the_account_and_the_grant() {
    let message = "Access denied; you need (at least one of) the READ_ONLY ADMIN privilege(s) for this operation";
    let denied = refused(
        "10.11.19-MariaDB",
        "SET GLOBAL read_only = 1",
        1227,
        message,
    );
    assert_eq!(
        denied.what(),
        "keepalived@localhost may not run SET GLOBAL read_only = 1 on /run/mysqld/mysqld.sock"
    );
    assert!(
        denied.detail().starts_with("the server says error 1227"),
        "{}",
        denied.detail()
    );
    assert!(
        denied.detail().ends_with("needs READ_ONLY ADMIN"),
        "{}",
        denied.detail()
    );
    assert_eq!(
        denied.hint(),
        "GRANT READ_ONLY ADMIN ON *.* TO 'keepalived'@'localhost'"
    );
}

#[test]
fn each_server_spells_the_privilege_in_its_own_way() {
    let cases = [
        ("5.6.24", "STOP SLAVE IO_THREAD", 1045, "SUPER"),
        ("5.7.44", "SET GLOBAL super_read_only = 1", 1227, "SUPER"),
        (
            "8.0.40",
            "SET GLOBAL super_read_only = 1",
            1227,
            "SYSTEM_VARIABLES_ADMIN",
        ),
        (
            "9.7.4",
            "STOP REPLICA IO_THREAD",
            1227,
            "REPLICATION_SLAVE_ADMIN",
        ),
        (
            "10.5.29-MariaDB",
            "STOP SLAVE IO_THREAD",
            1227,
            "REPLICATION SLAVE ADMIN",
        ),
        (
            "11.8.6-MariaDB",
            "SHOW ALL SLAVES STATUS",
            1227,
            "SLAVE MONITOR",
        ),
        (
            "9.7.4",
            "UPDATE keepalived_mysql.fence SET epoch = 1",
            1290,
            "CONNECTION_ADMIN",
        ),
        ("11.8.6-MariaDB", "RESET SLAVE ALL", 1227, "RELOAD"),
        (
            "11.8.6-MariaDB",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
            1227,
            "SUPER",
        ),
    ];
    for (version, statement, code, privilege) in cases {
        let denied = refused(version, statement, code, "denied");
        assert_eq!(
            denied.hint(),
            format!("GRANT {privilege} ON *.* TO 'keepalived'@'localhost'"),
            "{version} {statement}"
        );
    }
}

#[test]
fn the_suites_own_tables_are_granted_by_schema() {
    let sql = "UPDATE keepalived_mysql.fence SET epoch = 1 WHERE id = 1";
    let denied = refused("9.7.4", sql, 1142, "UPDATE command denied");
    assert_eq!(
        denied.hint(),
        "GRANT SELECT, INSERT, UPDATE, DELETE ON keepalived_mysql.* TO 'keepalived'@'localhost'"
    );
}

#[test]
fn an_unknown_statement_points_to_the_file_of_grants() {
    let denied = refused("5.6.24", "OPTIMIZE TABLE t", 1142, "denied");
    assert_eq!(denied.needs, None);
    assert!(
        denied.hint().ends_with("examples/grants/mysql-5.6.sql"),
        "{}",
        denied.hint()
    );
}

#[test]
fn no_secret_is_shown() {
    let sql = "CHANGE MASTER TO MASTER_HOST = 'b', MASTER_PASSWORD = 'geheim'";
    let denied = refused("5.6.24", sql, 1045, "Access denied");
    assert!(!denied.to_string().contains("geheim"), "{denied}");
    assert!(
        denied
            .what()
            .starts_with("keepalived@localhost may not run CHANGE MASTER")
    );
}

#[test]
fn who_is_not_let_in_is_told_what_to_compare() {
    let denied = Denied::login("[::1]:3306", "keepalived", (1045, "28000", "Access denied"));
    assert_eq!(denied.what(), "[::1]:3306 does not let keepalived in");
    assert!(denied.hint().contains("[accounts]"), "{}", denied.hint());
}

#[test]
fn only_read_only_options_are_a_matter_of_privileges() {
    let read_only = "The MySQL server is running with the --read-only option so it cannot execute this statement";
    let secure = "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement";
    assert!(Denied::is_privilege(1290, read_only));
    assert!(!Denied::is_privilege(1290, secure));
    assert!(!Denied::is_privilege(1205, "Lock wait timeout exceeded"));
}

#[test]
fn the_statement_is_found_by_its_place() {
    let sql = "SET @a = 'x;\\'y'; SHOW BINARY LOGS; SELECT ';'";
    assert_eq!(statement_at(sql, 0), "SET @a = 'x;\\'y'");
    assert_eq!(statement_at(sql, 1), "SHOW BINARY LOGS");
    assert_eq!(statement_at(sql, 2), "SELECT ';'");
    assert_eq!(statement_at(sql, 9), sql);
}
