//! Putting back what a promotion changed before it failed.

use crate::act::close;
use crate::act::drain;
use crate::act::failure::Failure;
use crate::act::receipt::Receipt;
use crate::act::servers::{self, SHORT};
use crate::act::steps::{Opening, Run};
use crate::deadline::Deadline;
use crate::decide::plan::Step;
use crate::ledger::record::RecordState;
use crate::node::Contact;
use crate::view::State;

impl Run<'_> {
    /// Puts back what this run changed. Peers that it closed stay closed: their own checks decide.
    pub fn undo(&mut self, failure: Failure, receipt: &mut Receipt) -> Failure {
        let opened_by_us = self.opening == Opening::MayBeOpen && self.was != State::Open;
        if opened_by_us {
            let closed = receipt.time(&Step::Close, || {
                close::close_server(self.here, self.here.config.close.timeout)
                    .map(|closed| (closed.clone(), servers::described(&closed)))
            });
            if let Err(error) = closed {
                return Failure::Incomplete(format!(
                    "{failure}; and it cannot be closed again: {error}"
                ));
            }
            if self.nothing_was_written() {
                self.opening = Opening::NotOpened;
            }
        }
        if self.opening == Opening::NotOpened {
            self.withdraw(receipt);
            self.replicate_again(receipt);
        }
        match failure {
            Failure::Incomplete(why) => Failure::Changed(why),
            other => other,
        }
    }

    /// Whether the closed server's history still ends where it began under this epoch: then the epoch
    /// holds nothing that anybody would miss, and another node need not wait for this one.
    fn nothing_was_written(&self) -> bool {
        let begins = self
            .record
            .as_ref()
            .and_then(|record| record.details.as_ref());
        let target = self.here.target(&self.here.node);
        let deadline = Deadline::after(SHORT);
        let ends = Contact::open(&target, deadline).and_then(|mut contact| {
            let mut facts = contact.facts(deadline)?;
            facts.binlog_end = contact.binlog_end(deadline)?;
            Ok(facts.log_bin.then(|| facts.coordinates()))
        });
        match (begins, ends) {
            (Some(details), Ok(Some(ends))) => !self.reopening && details.begins == ends,
            _ => false,
        }
    }

    /// An epoch under which nothing was opened is withdrawn, so that nobody waits for it. One under
    /// which this server was open before holds acknowledged writes and stays.
    fn withdraw(&mut self, receipt: &mut Receipt) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if self.reopening {
            return;
        }
        record.state = RecordState::Withdrawn;
        if let Err(error) = servers::write_record(self.here, &record) {
            receipt
                .warnings
                .push(format!("the claim could not be withdrawn: {error}"));
        }
    }

    /// Starts replication again, unless that could purge what was received and not applied: on
    /// MariaDB with GTID a start with both threads stopped does.
    fn replicate_again(&mut self, receipt: &mut Receipt) {
        let channel = self
            .replication_stopped
            .clone()
            .or(self.receiver_stopped.clone());
        let Some(channel) = channel else {
            return;
        };
        if let Err(why) = self.start_channel(&channel) {
            receipt
                .warnings
                .push(format!("replication is not started again: {why}"));
        }
    }

    fn start_channel(&self, channel: &str) -> Result<(), String> {
        let target = self.here.target(&self.here.node);
        let deadline = Deadline::after(SHORT);
        let mut contact = Contact::open(&target, deadline).map_err(|error| error.to_string())?;
        let seen =
            drain::look(&mut contact, channel, deadline).map_err(|error| error.to_string())?;
        let sql = match (seen.status.applier_running, self.proved) {
            (true, _) => contact.dialect.start_receiver(channel),
            (false, true) => contact.dialect.start_replication(channel),
            (false, false) => {
                return Err(
                    "the relay logs hold what is not applied, and a start could purge them".into(),
                );
            }
        };
        contact
            .session
            .run(&sql, deadline)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}
