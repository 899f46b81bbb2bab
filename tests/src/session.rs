//! A client's session that stands in somebody's way.

use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::config::password;
use crate::node::Node;
use crate::scenario::PATIENCE;
use crate::sql::{self, Login, Row, Target};

/// A session on a node, through its own socket.
#[derive(Debug)]
pub struct Session(mysql::Conn);

impl Session {
    /// One of an application.
    pub fn of_app(node: &Node) -> Result<Self> {
        Self::of(node, Login::APP)
    }

    /// One of the suite's own account.
    pub fn of_suite(node: &Node) -> Result<Self> {
        let login = Login {
            user: "keepalived",
            password: Some(password::KEEPALIVED),
        };
        Self::of(node, login)
    }

    fn of(node: &Node, login: Login) -> Result<Self> {
        let target = Target::Socket(node.paths().socket());
        Ok(Self(sql::open(&target, login, &[], PATIENCE)?))
    }

    /// Its number in the server's process list.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.connection_id()
    }

    /// The rows of the last statement.
    pub fn run(&mut self, statements: &str) -> Result<Vec<Row>> {
        sql::rows(&mut self.0, statements)
    }

    /// Runs statements that may take long: how they ended.
    #[must_use]
    pub fn in_background(mut self, statements: &'static str) -> JoinHandle<Result<Vec<Row>>> {
        thread::spawn(move || self.run(statements))
    }
}
