//! The steps of a promotion, one by one.

mod opening;
mod undo;

use std::collections::HashMap;

use crate::act::drain;
use crate::act::failure::Failure;
use crate::act::here::Here;
use crate::act::receipt::Receipt;
use crate::act::relay;
use crate::act::servers::{self, SHORT};
use crate::act::settings;
use crate::act::stop;
use crate::config::{Positioning as Wish, UnreachablePeer};
use crate::deadline::Deadline;
use crate::decide::plan::{Plan, Planned, Step};
use crate::decide::rule::{Refusal, Rule};
use crate::epoch::Epoch;
use crate::ledger::record::{
    AppliedOf, Coordinates, Method, PromotionRecord, RecordDetails, RecordState,
};
use crate::node::{Contact, observe_peer};
use crate::switches::{Safety, off, reached};
use crate::sys::{run_bounded, terminated, utc_now};
use crate::view::{Facts, NodeView, State, method_of};

/// A promotion under way.
#[derive(Debug)]
pub struct Run<'a> {
    here: &'a Here,
    local: Contact,
    facts: Option<Facts>,
    peers: Vec<NodeView>,
    ends: HashMap<String, Coordinates>,
    followed: Option<AppliedOf>,
    method: Option<Method>,
    overrides: Vec<Rule>,
    record: Option<PromotionRecord>,
    receiver_stopped: Option<String>,
    replication_stopped: Option<String>,
    opening: Opening,
    /// What the server did for applications before this run.
    was: State,
    /// Whether this server was open under the epoch before.
    reopening: bool,
    /// Whether everything received was proved to be applied.
    proved: bool,
}

/// What became of the opening statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// It was never sent, or the server answered that it stays closed.
    NotOpened,
    /// It was sent, and the server may accept writes.
    MayBeOpen,
}

type Note = Result<((), String), Failure>;

fn done(note: impl Into<String>) -> Note {
    Ok(((), note.into()))
}

impl<'a> Run<'a> {
    /// A run of `plan` that has not begun.
    pub fn new(
        here: &'a Here,
        local: Contact,
        me: NodeView,
        peers: Vec<NodeView>,
        plan: &Plan,
    ) -> Self {
        let method = me.channel_from(&peers).map(method_of);
        Self {
            here,
            local,
            facts: me.facts,
            peers,
            ends: HashMap::new(),
            followed: None,
            method,
            overrides: plan.overrides.clone(),
            record: None,
            receiver_stopped: None,
            replication_stopped: None,
            opening: Opening::NotOpened,
            was: me.state,
            reopening: false,
            proved: false,
        }
    }

    /// Runs every step. Stops at the first failure, unless the server is open by then.
    pub fn all(&mut self, plan: &Plan, receipt: &mut Receipt) -> Result<(), Failure> {
        for Planned { step, .. } in &plan.steps {
            reached(&format!("{}.before", step.name()));
            if !step.critical() && !step.after_opening() {
                self.check_wanted()?;
            }
            let result = receipt.time(step, || self.one(step));
            reached(&format!("{}.after", step.name()));
            match result {
                Err(failure) if step.after_opening() => {
                    receipt
                        .warnings
                        .push(format!("{} is left to repair: {failure}", step.name()));
                }
                Err(failure) => return Err(failure),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), Failure> {
        if !self.here.still_wanted() {
            return Err(Failure::Superseded);
        }
        if terminated() {
            return Err(Failure::Terminated);
        }
        Ok(())
    }

    fn one(&mut self, step: &Step) -> Note {
        match step {
            Step::Claim { epoch } => self.claim(epoch),
            Step::RaiseFence { node, epoch } => self.raise_fence(node, epoch),
            Step::Drain { channel } => {
                done(drain::nearly_applied(self.here, &mut self.local, channel)?)
            }
            Step::FencePeer { node } => self.fence_peer(node),
            Step::FenceCommand { node } => self.fence_command(node),
            Step::CatchUp { node, channel } => self.catch_up(node, channel),
            Step::StopReceiver { channel } => {
                self.receiver_stopped = Some(channel.clone());
                done(drain::stop_receiver(self.here, &mut self.local, channel)?)
            }
            Step::ProveApplied { channel } => self.prove_applied(channel),
            Step::SaveChannel { channel } => self.save_channel(channel),
            Step::StopReplication { channel } => self.stop_replication(channel),
            Step::RecordOpening { epoch } => self.record_opening(epoch),
            Step::Open { epoch } => self.open(epoch),
            Step::RecordOpened { epoch } => self.record_opened(epoch),
            // What a relaxed standby committed before is flushed by the next check: that takes a new
            // binary log, and an undo tells by the log's end whether anything was written.
            Step::Durability => done(set_durability(&mut self.local)?),
            Step::ClearReplication { channel } => self.run_local(
                "clearing replication",
                &self.local.dialect.reset_replication(channel),
            ),
            setting if setting.is_setting() => done(settings::one(self.here, setting)?),
            other => Err(Failure::Failed(format!(
                "{} is no step of a promotion",
                other.name()
            ))),
        }
    }

    fn run_local(&mut self, doing: &str, sql: &str) -> Note {
        self.local
            .session
            .run(sql, Deadline::after(SHORT))
            .map_err(|error| Failure::server(doing, &error))?;
        done("")
    }

    fn claim(&mut self, epoch: &Epoch) -> Note {
        self.here.remember_epoch(epoch).map_err(|error| {
            Failure::Refused(Refusal::new(
                Rule::State,
                format!("the claim cannot be written down: {error}"),
                "make room in the state folder or make it writable; without a record nothing is opened",
            ))
        })?;
        let record = self.new_record(epoch, RecordState::Claim);
        servers::write_record(self.here, &record)?;
        self.record = Some(record);
        done("")
    }

    /// A record of `epoch`; an earlier one of the same epoch keeps its story, because a server that
    /// reopens in place goes on with the history that it began then.
    fn new_record(&self, epoch: &Epoch, state: RecordState) -> PromotionRecord {
        let earlier = self
            .record
            .clone()
            .filter(|record| record.epoch == *epoch)
            .or_else(|| {
                let facts = self.facts.as_ref()?;
                facts.promotions.iter().find(|r| r.epoch == *epoch).cloned()
            })
            .and_then(|record| record.details);
        let details = earlier.unwrap_or_else(|| RecordDetails {
            method: self.method(),
            followed: None,
            begins: Coordinates::default(),
            overrides: self.overrides.iter().map(|rule| rule.to_string()).collect(),
            durable: false,
            boot_id: self.here.boot_id.clone(),
            by: self.here.program.to_owned(),
            at: utc_now(),
        });
        PromotionRecord {
            epoch: epoch.clone(),
            server_identity: self
                .facts
                .as_ref()
                .map(|facts| facts.identity.clone())
                .unwrap_or_default(),
            state,
            details: Some(details),
        }
    }

    fn method(&self) -> Method {
        match self.here.config.replication.positioning {
            Wish::Gtid => Method::Gtid,
            Wish::Position => Method::Position,
            Wish::Auto => self.method.unwrap_or_else(|| {
                if self.facts.as_ref().is_some_and(Facts::gtid_possible) {
                    Method::Gtid
                } else {
                    Method::Position
                }
            }),
        }
    }

    fn node(&self, name: &str) -> Result<&'a crate::config::Node, Failure> {
        self.here
            .peer(name)
            .ok_or_else(|| Failure::Failed(format!("no node {name} in the configuration")))
    }

    /// The plan closes the peers that were open when they were looked at. One that has opened since
    /// then, under a claim below ours, is seen here at the latest.
    fn raise_fence(&mut self, node: &str, epoch: &Epoch) -> Note {
        let open = servers::raise_fence(self.here, self.node(node)?, epoch)?;
        let seen_closed = |peer: &NodeView| peer.name == node && peer.state != State::Open;
        if open && self.peers.iter().any(seen_closed) && !off(Safety::Fence) {
            return Err(Failure::Changed(format!(
                "{node} has opened since it was looked at"
            )));
        }
        done("")
    }

    fn fence_peer(&mut self, name: &str) -> Note {
        let (end, note) = servers::fence_peer(self.here, self.node(name)?)?;
        self.ends.insert(name.to_owned(), end);
        done(note)
    }

    fn fence_command(&mut self, name: &str) -> Note {
        let promote = &self.here.config.promote;
        let command: Vec<String> = promote
            .fence_command
            .iter()
            .map(|word| word.replace("{node}", name))
            .collect();
        let why = match run_bounded(&command, self.here.config.close.timeout) {
            Ok(outcome) if outcome.succeeded() => return done("the fence command says it is off"),
            Ok(outcome) => format!("the fence command failed ({outcome:?})"),
            Err(error) => error.to_string(),
        };
        let all_the_same = promote.unreachable_peer == UnreachablePeer::Promote
            || self.overrides.contains(&Rule::PeerSilent);
        if all_the_same {
            return done(format!("{why}; going on all the same"));
        }
        Err(Failure::Refused(Refusal::new(
            Rule::PeerSilent,
            format!("{name} does not answer, and {why}"),
            "make sure by hand that the node is off, then --override peer-silent",
        )))
    }

    fn catch_up(&mut self, name: &str, channel: &str) -> Note {
        let node = self.node(name)?;
        let look = || {
            observe_peer(
                &self.here.config,
                node,
                Deadline::after(self.here.config.promote.peer_timeout),
            )
            .0
        };
        let end = match self.ends.get(name) {
            Some(end) => end.clone(),
            None => {
                let view = look();
                let facts = view.facts.ok_or_else(|| {
                    Failure::Changed(format!("{name} no longer answers: {}", view.why))
                })?;
                facts.coordinates()
            }
        };
        done(drain::caught_up(
            self.here,
            &mut self.local,
            channel,
            &end,
            look,
        )?)
    }

    fn prove_applied(&mut self, channel: &str) -> Note {
        let (look, mut note) = drain::prove_applied(self.here, &mut self.local, channel)?;
        if note.starts_with(drain::FORCED) {
            let kept = relay::keep_aside(self.here, &mut self.local)?;
            note = format!("{note}; {kept}");
        }
        self.proved = !note.starts_with(drain::FORCED);
        self.note_followed(&look);
        done(note)
    }

    fn note_followed(&mut self, look: &drain::Look) {
        let source = self
            .peers
            .iter()
            .find(|peer| peer.is_source_of(&look.status));
        self.followed = Some(AppliedOf {
            node: source.map(|peer| peer.name.clone()),
            host: look.status.source_host.clone(),
            applied: Coordinates {
                position: look.status.applied.clone(),
                mariadb: look.slave_pos.clone(),
                mariadb_state: None,
                mysql: look.status.executed_mysql.clone(),
            },
        });
    }

    fn save_channel(&mut self, channel: &str) -> Note {
        let look = drain::look(&mut self.local, channel, Deadline::after(SHORT))
            .map_err(|error| Failure::server("looking at replication", &error))?;
        if self.followed.is_none() {
            self.note_followed(&look);
        }
        self.here.keep_channel(&look.status);
        done("")
    }

    fn stop_replication(&mut self, channel: &str) -> Note {
        self.replication_stopped = Some(channel.to_owned());
        done(stop::stop_replication(
            self.here,
            &mut self.local,
            channel,
            self.proved,
        )?)
    }
}

/// Makes every commit durable before it is acknowledged, where it is not so already.
pub fn set_durability(contact: &mut Contact) -> Result<String, Failure> {
    let facts = contact
        .facts(Deadline::after(SHORT))
        .map_err(|error| Failure::server("reading the durability settings", &error))?;
    let mut set = Vec::new();
    for (is, name) in [
        (facts.sync_binlog, "sync_binlog"),
        (facts.flush_log, "innodb_flush_log_at_trx_commit"),
    ] {
        if is != 1 {
            contact
                .session
                .run(&format!("SET GLOBAL {name} = 1"), Deadline::after(SHORT))
                .map_err(|error| Failure::server(&format!("setting {name}"), &error))?;
            set.push(format!("{name} {is} -> 1"));
        }
    }
    Ok(set.join(", "))
}

/// Rewrites the newest record of an open server as opened; for a repair after a crash in between.
pub fn complete_record(here: &Here, facts: &Facts) -> Result<(), Failure> {
    let Some(mut record) = facts.last_opening().cloned() else {
        return Ok(());
    };
    record.state = RecordState::Opened;
    if let Some(details) = record.details.as_mut() {
        details.durable = facts.is_durable();
    }
    servers::write_record(here, &record)
}
