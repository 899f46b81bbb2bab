//! A server's status rows, and the replica status that is read out of them.
//!
//! Columns are found by name. MySQL 8.0.22 renamed Slave to Replica and Master to Source; MariaDB keeps the old
//! column names even for `SHOW REPLICA STATUS`. Values are taken as text, because the types differ by version.

use std::fmt::Display;
use std::str::FromStr;

use crate::replication::position::BinlogPosition;
use crate::replication::replica::{Positioning, Receiver, ReplicaStatus, ReplicationError};

/// What is wrong with a status row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// The server did not send this column under any of its names.
    #[error("the status has no column {0}")]
    Missing(&'static str),
    /// The column holds something else than it should.
    #[error("the status column {column} holds {value:?}: {reason}")]
    Bad {
        /// The column, under its new name.
        column: &'static str,
        /// What the server sent.
        value: String,
        /// What was expected instead.
        reason: String,
    },
}

/// One row of a `SHOW` statement: text or NULL by column name.
///
/// Names are found whatever their case, and under the old and the new word: `Source_Host` also finds
/// `Master_Host`, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusRow {
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    value: Option<String>,
}

/// The form of a name by which columns are found: small letters, new words. Byte by byte: a check looks
/// for some forty columns each second.
fn key_of(name: &str) -> impl Iterator<Item = u8> + '_ {
    let (mut rest, mut word) = (name.as_bytes(), &b""[..]);
    std::iter::from_fn(move || {
        for (old, new) in [(&b"slave"[..], &b"replica"[..]), (b"master", b"source")] {
            let found = rest.split_at_checked(old.len());
            if let (true, Some((_, after))) = (
                word.is_empty(),
                found.filter(|(head, _)| head.eq_ignore_ascii_case(old)),
            ) {
                (rest, word) = (after, new);
            }
        }
        let from = if word.is_empty() {
            &mut rest
        } else {
            &mut word
        };
        let (first, after) = from.split_first()?;
        *from = after;
        Some(first.to_ascii_lowercase())
    })
}

impl FromIterator<(String, Option<String>)> for StatusRow {
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(columns: I) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, value)| Column { name, value })
            .collect();
        Self { columns }
    }
}

impl StatusRow {
    /// The text of a column; `None` if it is NULL or there is no such column.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name)?.value.as_deref()
    }

    /// Whether there is such a column, NULL or not.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All columns in the server's order and under its names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> + '_ {
        self.columns
            .iter()
            .map(|column| (column.name.as_str(), column.value.as_deref()))
    }

    /// The text of a column that must be there; NULL reads as empty.
    ///
    /// # Errors
    /// [`StatusError::Missing`] if there is no such column.
    pub fn text(&self, name: &'static str) -> Result<&str, StatusError> {
        let column = self.find(name).ok_or(StatusError::Missing(name))?;
        Ok(column.value.as_deref().unwrap_or(""))
    }

    /// The parsed text of a column; `None` if it is missing, NULL or empty.
    ///
    /// # Errors
    /// [`StatusError::Bad`] if the text does not parse.
    pub fn parsed<T>(&self, name: &'static str) -> Result<Option<T>, StatusError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.get(name)
            .filter(|text| !text.is_empty())
            .map(|text| parse(name, text))
            .transpose()
    }

    fn find(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| key_of(&column.name).eq(key_of(name)))
    }
}

fn parse<T>(column: &'static str, text: &str) -> Result<T, StatusError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| bad(column, text, error))
}

fn bad(column: &'static str, value: &str, reason: impl Display) -> StatusError {
    StatusError::Bad {
        column,
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}

/// Reads one row of `SHOW REPLICA STATUS`, `SHOW SLAVE STATUS` or `SHOW ALL SLAVES STATUS`.
///
/// # Errors
/// [`StatusError`] names the column that is missing or holds something unknown.
pub fn parse_replica_status(row: &StatusRow) -> Result<ReplicaStatus, StatusError> {
    let positioning = positioning(row)?;
    let uses_mariadb_gtid = matches!(
        positioning,
        Positioning::MariadbSlavePos | Positioning::MariadbCurrentPos
    );
    Ok(ReplicaStatus {
        channel: channel(row),
        source_host: row.text("Source_Host")?.to_owned(),
        source_port: required(row, "Source_Port")?,
        source_user: row.text("Source_User")?.to_owned(),
        receiver: receiver(row)?,
        applier_running: yes_or_no(row, "Replica_SQL_Running")?,
        received: place(row, "Source_Log_File", "Read_Source_Log_Pos")?,
        applied: place(row, "Relay_Source_Log_File", "Exec_Source_Log_Pos")?,
        positioning,
        received_mariadb: if uses_mariadb_gtid {
            Some(required(row, "Gtid_IO_Pos")?)
        } else {
            None
        },
        retrieved_mysql: present(row, "Retrieved_Gtid_Set")?,
        executed_mysql: present(row, "Executed_Gtid_Set")?,
        receiver_error: error(row, "Last_IO_Errno", "Last_IO_Error")?,
        applier_error: error(row, "Last_SQL_Errno", "Last_SQL_Error")?,
        receiver_state: row.get("Replica_IO_State").unwrap_or("").to_owned(),
        applier_state: applier_state(row),
        seconds_behind: row.parsed("Seconds_Behind_Source")?,
        delay_seconds: row.parsed("SQL_Delay")?.unwrap_or(0),
        source_server_id: row.parsed("Source_Server_Id")?.filter(|id| *id != 0),
        source_uuid: non_empty(row, "Source_UUID"),
        connect_retry_seconds: row.parsed("Connect_Retry")?,
        filters: filters(row),
        uses_tls: row
            .get("Source_SSL_Allowed")
            .is_some_and(|text| text.eq_ignore_ascii_case("yes")),
    })
}

/// MySQL sends `Channel_Name`; MariaDB `Connection_name`, and only for all connections at once.
fn channel(row: &StatusRow) -> String {
    row.get("Channel_Name")
        .or_else(|| row.get("Connection_name"))
        .unwrap_or("")
        .to_owned()
}

fn receiver(row: &StatusRow) -> Result<Receiver, StatusError> {
    const COLUMN: &str = "Replica_IO_Running";
    let text = row.text(COLUMN)?;
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(Receiver::Running),
        "connecting" | "preparing" => Ok(Receiver::Connecting),
        "no" => Ok(Receiver::Stopped),
        _ => Err(bad(
            COLUMN,
            text,
            "expected Yes, No, Connecting or Preparing",
        )),
    }
}

fn yes_or_no(row: &StatusRow, column: &'static str) -> Result<bool, StatusError> {
    let text = row.text(column)?;
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(bad(column, text, "expected Yes or No")),
    }
}

fn positioning(row: &StatusRow) -> Result<Positioning, StatusError> {
    if let Some(text) = row.get("Using_Gtid") {
        return match text.to_ascii_lowercase().as_str() {
            "no" | "" => Ok(Positioning::FileAndOffset),
            "slave_pos" | "replica_pos" => Ok(Positioning::MariadbSlavePos),
            "current_pos" => Ok(Positioning::MariadbCurrentPos),
            _ => Err(bad(
                "Using_Gtid",
                text,
                "expected No, Slave_Pos or Current_Pos",
            )),
        };
    }
    match row.get("Auto_Position") {
        None | Some("0" | "") => Ok(Positioning::FileAndOffset),
        Some("1") => Ok(Positioning::MysqlAutoPosition),
        Some(text) => Err(bad("Auto_Position", text, "expected 0 or 1")),
    }
}

/// A column that must be there; NULL reads as empty text.
fn required<T>(row: &StatusRow, column: &'static str) -> Result<T, StatusError>
where
    T: FromStr,
    T::Err: Display,
{
    parse(column, row.text(column)?)
}

/// A column that only some servers have; an empty text is a value too.
fn present<T>(row: &StatusRow, column: &'static str) -> Result<Option<T>, StatusError>
where
    T: FromStr,
    T::Err: Display,
{
    row.get(column).map(|text| parse(column, text)).transpose()
}

fn place(
    row: &StatusRow,
    file_column: &'static str,
    offset_column: &'static str,
) -> Result<Option<BinlogPosition>, StatusError> {
    let file = row.text(file_column)?;
    let offset = required(row, offset_column)?;
    // Without a file the offset says nothing: 4 or 0, by server and thread.
    Ok((!file.is_empty()).then(|| BinlogPosition::new(file, offset)))
}

fn error(
    row: &StatusRow,
    code_column: &'static str,
    message_column: &'static str,
) -> Result<Option<ReplicationError>, StatusError> {
    let code: u32 = required(row, code_column)?;
    let message = row.text(message_column)?.to_owned();
    Ok((code != 0).then_some(ReplicationError { code, message }))
}

/// `Slave_SQL_State` of `SHOW ALL SLAVES STATUS` stands in where the other column is missing.
fn applier_state(row: &StatusRow) -> String {
    row.get("Replica_SQL_Running_State")
        .or_else(|| row.get("Replica_SQL_State"))
        .unwrap_or("")
        .to_owned()
}

fn non_empty(row: &StatusRow, column: &str) -> Option<String> {
    row.get(column)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn filters(row: &StatusRow) -> Vec<(String, String)> {
    row.columns
        .iter()
        .filter(|column| {
            let start = column.name.as_bytes().get(..10);
            start.is_some_and(|start| start.eq_ignore_ascii_case(b"replicate_"))
        })
        .filter_map(|column| {
            let value = column.value.as_deref().filter(|text| !text.is_empty())?;
            Some((column.name.clone(), value.to_owned()))
        })
        .collect()
}
