//! What a server answers: rows of text.

use std::sync::Arc;

use mysql::Conn;
use mysql::prelude::Queryable;

/// One row: column names shared with its result set, values as text, NULL as `None`.
#[derive(Debug, Clone)]
pub struct Row {
    names: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Row {
    /// A row of as many values as there are names.
    pub(in crate::server) fn new(names: Arc<[String]>, values: Vec<Option<String>>) -> Self {
        Self { names, values }
    }

    /// The value in the first column that is called `name`, in whichever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self
            .names
            .iter()
            .position(|n| n.eq_ignore_ascii_case(name))?;
        self.values.get(at)?.as_deref()
    }

    /// The value at a place, counted from zero.
    pub fn at(&self, index: usize) -> Option<&str> {
        self.values.get(index)?.as_deref()
    }

    /// Name and value of each column, in the server's order.
    pub fn columns(&self) -> impl Iterator<Item = (String, Option<String>)> + '_ {
        self.names.iter().cloned().zip(self.values.iter().cloned())
    }
}

/// What one statement gave back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Its rows; empty for a statement that has none.
    pub rows: Vec<Row>,
    /// Rows changed, for INSERT, UPDATE and DELETE.
    pub affected: u64,
}

/// Collects an answer for each statement; after an error, those for the statements before it.
pub(super) fn answers(
    connection: &mut Conn,
    sql: &str,
    answers: &mut Vec<Answer>,
) -> mysql::Result<()> {
    let mut result = connection.query_iter(sql)?;
    while let Some(set) = result.iter() {
        let names: Arc<[String]> = set
            .columns()
            .as_ref()
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect();
        let affected = set.affected_rows();
        let mut rows = Vec::new();
        for row in set {
            rows.push(Row {
                names: Arc::clone(&names),
                values: row?.unwrap().into_iter().map(text).collect(),
            });
        }
        answers.push(Answer { rows, affected });
    }
    Ok(())
}

fn text(value: mysql::Value) -> Option<String> {
    match value {
        mysql::Value::NULL => None,
        mysql::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
