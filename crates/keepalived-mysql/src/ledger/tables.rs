//! The suite's tables in a server: `keepalived_mysql.fence` and `keepalived_mysql.promotion`.
//!
//! They are the truth about epochs. Each server has its own; nothing in them is replicated, because
//! every session of ours that writes them has its binary log off.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::epoch::Epoch;
use crate::ledger::record::{FenceRow, PromotionRecord, RecordState};
use crate::node::Contact;
use crate::server::connection::{Answer, Row, ServerError, Session};
use crate::server::dialect::quoted;
use crate::view::{Facts, Tables};

/// Reads both tables; what [`fill`] takes. Every opening counts, however old; of claims that came to nothing only the newest do.
pub const READ: &str = "SELECT epoch, node, told_by, reason, told_at FROM keepalived_mysql.fence WHERE id = 1; \
     SELECT epoch, node, server_identity, state, record FROM keepalived_mysql.promotion \
     WHERE state IN ('opening', 'opened') ORDER BY epoch DESC, node DESC LIMIT 1000; \
     SELECT epoch, node, server_identity, state, record FROM keepalived_mysql.promotion \
     WHERE state IN ('claim', 'withdrawn') ORDER BY epoch DESC, node DESC LIMIT 16";

/// Reads both tables into `facts`. Missing tables are a finding, not an error.
pub fn read_into(
    session: &mut Session,
    facts: &mut Facts,
    deadline: Deadline,
) -> Result<(), ServerError> {
    let answers = match session.run(READ, deadline) {
        Ok(answers) => answers,
        Err(error @ (ServerError::Answered { .. } | ServerError::Denied(_))) => {
            facts.tables = Tables::Missing(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    fill(facts, answers);
    Ok(())
}

/// Puts the answers to [`READ`] into `facts`.
pub fn fill(facts: &mut Facts, answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    match answers.next().and_then(|mut answer| answer.rows.pop()) {
        Some(row) => facts.fence = fence_row(&row),
        None => facts.tables = Tables::Missing("keepalived_mysql.fence has no row".into()),
    }
    let mut records: Vec<PromotionRecord> = answers
        .flat_map(|answer| answer.rows)
        .filter_map(|row| promotion_record(&row))
        .collect();
    records.sort_by(|a, b| b.epoch.cmp(&a.epoch));
    let (own, foreign): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.server_identity == facts.identity);
    facts.promotions = own;
    facts.foreign_promotions = foreign.len();
}

fn epoch_of(row: &Row) -> Option<Epoch> {
    let number = row.get("epoch")?.parse().ok()?;
    Some(Epoch::new(number, row.get("node")?))
}

fn fence_row(row: &Row) -> FenceRow {
    let text = |name: &str| row.get(name).unwrap_or_default().to_owned();
    FenceRow {
        epoch: epoch_of(row).unwrap_or_default(),
        told_by: text("told_by"),
        reason: text("reason"),
        told_at: text("told_at"),
    }
}

fn promotion_record(row: &Row) -> Option<PromotionRecord> {
    Some(PromotionRecord {
        epoch: epoch_of(row)?,
        server_identity: row.get("server_identity")?.to_owned(),
        state: RecordState::from_word(row.get("state")?)?,
        details: row
            .get("record")
            .and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// The statement that raises the fence row to `epoch`, and leaves a higher one as it is.
pub fn raise_fence_sql(epoch: &Epoch, told_by: &str, reason: &str) -> String {
    format!(
        "UPDATE keepalived_mysql.fence SET epoch = {number}, node = {node}, told_by = {told_by}, \
         reason = {reason}, told_at = NOW(6) \
         WHERE id = 1 AND (epoch < {number} OR (epoch = {number} AND node < {node}))",
        number = epoch.number,
        node = quoted(&epoch.node),
        told_by = quoted(told_by),
        reason = quoted(reason),
    )
}

/// The statement that writes a promotion record, over an earlier one of the same epoch.
pub fn record_sql(record: &PromotionRecord) -> String {
    let details = record
        .details
        .as_ref()
        .and_then(|details| serde_json::to_string(details).ok())
        .unwrap_or_else(|| "null".into());
    format!(
        "REPLACE INTO keepalived_mysql.promotion (epoch, node, server_identity, state, record, updated_at) \
         SELECT {}, {}, {}, {}, {}, NOW(6) FROM DUAL WHERE TRUE",
        record.epoch.number,
        quoted(&record.epoch.node),
        quoted(&record.server_identity),
        quoted(record.state.word()),
        quoted(&details),
    )
}

/// The statement that withdraws a claim, if it is still no more than that.
pub fn withdraw_sql(epoch: &Epoch) -> String {
    format!(
        "UPDATE keepalived_mysql.promotion SET state = 'withdrawn', updated_at = NOW(6) \
         WHERE epoch = {} AND node = {} AND state = 'claim'",
        epoch.number,
        quoted(&epoch.node),
    )
}

/// Raises the fence row, and returns what it says afterwards: `epoch`, or the higher one in the way.
pub fn raise_fence(
    contact: &mut Contact,
    epoch: &Epoch,
    told_by: &str,
    reason: &str,
    deadline: Deadline,
) -> Result<Epoch, ServerError> {
    write(contact, &raise_fence_sql(epoch, told_by, reason), deadline)?;
    let rows = contact.session.rows(
        "SELECT epoch, node FROM keepalived_mysql.fence WHERE id = 1",
        deadline,
    )?;
    let stands = rows.first().and_then(epoch_of).unwrap_or_default();
    if stands < *epoch {
        // No row, or a statement that the server ran too late: nobody is fenced by that.
        return Err(ServerError::Lost {
            endpoint: contact.dialect.to_string(),
            detail: format!("the fence row says {stands} after {epoch} was written"),
        });
    }
    Ok(stands)
}

/// Writes a promotion record and makes sure that it survives a power loss.
pub fn write_record(
    contact: &mut Contact,
    record: &PromotionRecord,
    deadline: Deadline,
) -> Result<(), ServerError> {
    if write(contact, &record_sql(record), deadline)? == 0 {
        return Err(ServerError::Lost {
            endpoint: contact.dialect.to_string(),
            detail: "the record came too late to be written".into(),
        });
    }
    Ok(())
}

/// Withdraws a claim that nobody works on.
pub fn withdraw(
    contact: &mut Contact,
    epoch: &Epoch,
    deadline: Deadline,
) -> Result<(), ServerError> {
    write(contact, &withdraw_sql(epoch), deadline).map(drop)
}

/// Writes into the suite's tables: binary log off, waiting no longer than `deadline` for a lock, and
/// flushed to disk by the server whatever its own setting is. Returns the number of rows changed.
///
/// A statement that we abandon because the server froze or made it wait would be executed later,
/// over what was written meanwhile. So each carries the time until which it may be.
fn write(contact: &mut Contact, statement: &str, deadline: Deadline) -> Result<u64, ServerError> {
    // Rounded down, so that the server gives up before we do.
    let seconds = deadline.remaining().as_secs().max(1);
    let prepare = format!(
        "SET SESSION sql_log_bin = 0, SESSION lock_wait_timeout = {seconds}, \
         SESSION innodb_lock_wait_timeout = {seconds}; SELECT SYSDATE(6) + INTERVAL {seconds} SECOND"
    );
    let answers = contact.session.run(&prepare, deadline)?;
    let expiry = answers
        .last()
        .and_then(|answer| answer.rows.first())
        .and_then(|row| row.at(0));
    let statement = format!(
        "{statement} AND SYSDATE(6) < {}",
        quoted(expiry.unwrap_or_default())
    );
    let mut lifted = lift(contact, deadline)?;
    let mut written = contact.session.run(&statement, deadline);
    if written
        .as_ref()
        .is_err_and(|error| error.code() == Some(READ_ONLY))
    {
        // Another program that wrote a record here set super_read_only again in between.
        lifted |= lift(contact, deadline)?;
        written = contact.session.run(&statement, deadline);
    }
    if lifted {
        restore(contact, deadline)?;
    }
    let changed = written?.iter().map(|answer| answer.affected).sum();
    // A promise about epochs must not be lost with the page cache; the standby may run with
    // innodb_flush_log_at_trx_commit = 2.
    contact
        .session
        .run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", deadline)?;
    Ok(changed)
}

/// Under `super_read_only` nobody writes at all (error 1290), so it is lifted to `read_only`.
pub fn lift(contact: &mut Contact, deadline: Deadline) -> Result<bool, ServerError> {
    let Some(statement) = contact.dialect.lift_for_records() else {
        return Ok(false);
    };
    let rows = contact
        .session
        .rows(contact.dialect.is_lift_needed(), deadline)?;
    if rows.first().and_then(|row| row.at(0)) != Some("1") {
        return Ok(false);
    }
    contact.session.run(statement, deadline)?;
    Ok(true)
}

/// Sets `super_read_only` again. It waits for everything that closing waits for, and an applier in the
/// middle of a transaction that its source will never finish keeps it waiting for ever: a record must
/// not fail for that. `read_only` stands, which no application can pass, and a check restores the rest.
pub fn restore(contact: &mut Contact, deadline: Deadline) -> Result<(), ServerError> {
    match close_tighter(contact, deadline) {
        Err(error) if error.code() == Some(LOCK_WAIT_TIMEOUT) => {
            log::warn!("super_read_only stays off for now: {error}");
            Ok(())
        }
        done => done,
    }
}

/// ER_OPTION_PREVENTS_STATEMENT.
const READ_ONLY: u16 = 1290;

/// ER_LOCK_WAIT_TIMEOUT.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Closes a server that is closed already with its strictest switch, if nothing is in the way.
///
/// # Errors
/// The server's own; 1205 after a second behind somebody's lock.
pub fn close_tighter(contact: &mut Contact, deadline: Deadline) -> Result<(), ServerError> {
    let sql = format!(
        "SET SESSION lock_wait_timeout = 1; {}",
        contact.dialect.close()
    );
    contact.session.run(&sql, deadline).map(drop)
}

/// At least one: MySQL's lock timeouts are whole seconds.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs_f64().ceil().max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_row_is_never_lowered() {
        let sql = raise_fence_sql(&Epoch::new(7, "node-b"), "node-b", "promotion");
        assert!(
            sql.contains("epoch < 7 OR (epoch = 7 AND node < 'node-b')"),
            "{sql}"
        );
    }

    #[test]
    fn lock_timeouts_are_whole_and_positive() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1200)), 2);
    }
}
