//! The opening itself: recorded before, checked by the server, read back, recorded after.

use std::time::Duration;

use crate::act::failure::Failure;
use crate::act::servers::{self, SHORT};
use crate::act::steps::{Note, Opening, Run, done};
use crate::deadline::Deadline;
use crate::decide::rule::{Refusal, Rule};
use crate::epoch::Epoch;
use crate::gate;
use crate::ledger::files::Durability;
use crate::ledger::record::RecordState;
use crate::role::Role;
use crate::server::access::kill_queued_closers;
use crate::server::connection::ServerError;
use crate::switches::{Safety, off, reached};

/// An opening that came in time may still take a moment to be answered on a busy host.
const ANSWER: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) fn record_opening(&mut self, epoch: &Epoch) -> Note {
        let failed = |error: &ServerError| Failure::server("preparing to open", error);
        if !gate::take(&mut self.local, Deadline::after(SHORT)).map_err(|e| failed(&e))? {
            return Err(Failure::Changed(
                "another program holds this server's gate".into(),
            ));
        }
        let mut killed = self.end_queued_closers()?;
        let deadline = Deadline::after(SHORT);
        let mut facts = self.local.facts(deadline).map_err(|e| failed(&e))?;
        facts.binlog_end = self.local.binlog_end(deadline).map_err(|e| failed(&e))?;
        let again = facts
            .promotions
            .iter()
            .any(|record| record.epoch == *epoch && record.state.counts());
        self.reopening = again;
        let mut record = self.new_record(epoch, RecordState::Opening);
        if let (false, Some(details)) = (again, record.details.as_mut()) {
            details.followed.clone_from(&self.followed);
            details.begins = facts.coordinates();
            details.method = self.method();
        }
        servers::write_record(self.here, &record)?;
        // On MySQL the record itself leaves one behind where super_read_only could not be set again.
        killed += self.end_queued_closers()?;
        self.facts = Some(facts);
        self.record = Some(record);
        done(match killed {
            0 => String::new(),
            count => format!("ended {count} closing statements that were still queued"),
        })
    }

    fn end_queued_closers(&mut self) -> Result<usize, Failure> {
        kill_queued_closers(
            &mut self.local,
            &self.here.own_users(),
            Deadline::after(SHORT),
        )
        .map_err(|error| Failure::server("preparing to open", &error))
    }

    /// Intent, VIP, keepalived and fence row, once more.
    fn four_conditions(&mut self, epoch: &Epoch) -> Result<(), Failure> {
        if !self.here.still_wanted() {
            return Err(Failure::Superseded);
        }
        let site = self.here.site();
        let overridden = |rule: Rule| self.overrides.contains(&rule);
        let missing = [
            (
                Rule::Intent,
                site.role == Some(Role::Master),
                "keepalived no longer says MASTER",
            ),
            (
                Rule::Vip,
                site.vip_here,
                "the VIP is no longer on this host",
            ),
            (
                Rule::Keepalived,
                site.keepalived_live,
                "keepalived no longer lives",
            ),
        ]
        .into_iter()
        .find(|(rule, holds, _)| !holds && !overridden(*rule) && !off(Safety::IntentRecheck));
        if let Some((rule, _, why)) = missing {
            return Err(Failure::Refused(Refusal::new(
                rule,
                why,
                "check_mysql tries again when it is so again",
            )));
        }
        let facts = self
            .local
            .facts(Deadline::after(SHORT))
            .map_err(|error| Failure::server("reading the fence row", &error))?;
        if facts.fence.epoch > *epoch && !off(Safety::Gate) {
            return Err(Failure::Refused(Refusal::new(
                Rule::HigherEpoch,
                format!(
                    "{} claimed epoch {} meanwhile",
                    facts.fence.told_by, facts.fence.epoch
                ),
                "the higher claim goes first",
            )));
        }
        self.facts = Some(facts);
        Ok(())
    }

    pub(super) fn open(&mut self, epoch: &Epoch) -> Note {
        self.four_conditions(epoch)?;
        let lifetime = self.here.config.promote.opening_expires_after();
        let sql = self.opening_statement(epoch)?;
        self.opening = Opening::MayBeOpen;
        reached("open.send");
        let answers = self
            .local
            .session
            .run(&sql, Deadline::after(lifetime + ANSWER))
            .map_err(|error| {
                Failure::Incomplete(format!(
                    "it is not known whether the server opened: {error}"
                ))
            })?;
        reached("open.sent");
        let last = answers.last().and_then(|answer| answer.rows.first());
        if last.and_then(|row| row.at(0)) == Some("1") {
            self.opening = Opening::NotOpened;
            return Err(Failure::Changed(
                "the server refused to open: a higher epoch was claimed, or the opening came too late".into(),
            ));
        }
        self.read_back()?;
        self.four_conditions(epoch)?;
        done("")
    }

    fn read_back(&mut self) -> Result<(), Failure> {
        let read_only = self
            .local
            .session
            .rows(self.local.dialect.refuses_writes(), Deadline::after(SHORT))
            .map_err(|error| {
                Failure::Incomplete(format!("the opened server cannot be read back: {error}"))
            })?;
        if read_only.first().and_then(|row| row.at(0)) == Some("0") {
            return Ok(());
        }
        Err(Failure::Changed(
            "the server opened and was closed by somebody else at once".into(),
        ))
    }

    fn opening_statement(&mut self, epoch: &Epoch) -> Result<String, Failure> {
        if off(Safety::Gate) {
            return Ok("SET GLOBAL read_only = 0".into());
        }
        let lifetime = self.here.config.promote.opening_expires_after();
        let seconds = lifetime.as_secs_f64();
        let rows = self
            .local
            .session
            .rows(
                &format!("SELECT SYSDATE(6) + INTERVAL {seconds} SECOND"),
                Deadline::after(SHORT),
            )
            .map_err(|error| Failure::server("reading the server's clock", &error))?;
        let expiry = rows
            .first()
            .and_then(|row| row.at(0))
            .ok_or_else(|| Failure::Failed("the server did not say what time it is".into()))?;
        Ok(self.local.dialect.open(epoch.number, &epoch.node, expiry))
    }

    pub(super) fn record_opened(&mut self, epoch: &Epoch) -> Note {
        let facts = self
            .local
            .facts(Deadline::after(SHORT))
            .map_err(|error| Failure::server("reading the opened server back", &error))?;
        let mut record = self.new_record(epoch, RecordState::Opened);
        if let Some(details) = record.details.as_mut() {
            details.durable = facts.is_durable();
            details.boot_id.clone_from(&self.here.boot_id);
        }
        servers::write_record(self.here, &record)?;
        gate::release(&mut self.local, Deadline::after(SHORT))
            .map_err(|error| Failure::server("giving the gate back", &error))?;
        self.here.note_opened();
        if let Err(error) = self
            .here
            .keep("master-position.json", &record, Durability::Fsync)
        {
            log::warn!("cannot write master-position: {error}");
        }
        self.record = Some(record);
        done("")
    }
}
