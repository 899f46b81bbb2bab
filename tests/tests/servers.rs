//! Every server: MariaDB 10.11 and MySQL 9.7 in full, the others in a short form. `make test-servers` runs all of
//! them in full.

use anyhow::Result;
use lab::Server;
use lab::matrix::{Form, Table, run_server};

fn cases(server: Server, form: Form) -> Result<()> {
    let mut table = Table::default();
    let done = run_server(server, form, &mut table);
    println!("{table}");
    done
}

#[test]
fn mariadb_10_11_in_full() -> Result<()> {
    cases(Server::MariaDb1011, Form::Full)
}

#[test]
fn mysql_9_7_in_full() -> Result<()> {
    cases(Server::MySql97, Form::Full)
}

#[test]
fn mariadb_11_8_in_short() -> Result<()> {
    cases(Server::MariaDb118, Form::Short)
}

#[test]
fn mariadb_10_5_in_short() -> Result<()> {
    cases(Server::MariaDb105, Form::Short)
}

#[test]
fn mysql_5_6_in_short() -> Result<()> {
    cases(Server::MySql56, Form::Short)
}
