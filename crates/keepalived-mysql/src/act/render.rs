//! Plans for people and machines: each step with its reason and the SQL that it sends.

use std::fmt::Write as _;

use serde::Serialize;

use crate::act::here::Here;
use crate::act::rejoin::repoint_sql;
use crate::act::settings;
use crate::decide::plan::{Plan, Step};
use crate::ledger::record::{PromotionRecord, RecordState};
use crate::ledger::tables;
use crate::server::dialect::Dialect;
use crate::server::masked::masked;

/// A step as `--dry-run` shows it.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The step with its arguments.
    #[serde(flatten)]
    pub step: Step,
    /// Why it is there.
    pub why: String,
    /// The statements that it sends, and where; secrets masked.
    pub sql: Vec<String>,
}

/// A plan as `--dry-run` shows it.
#[derive(Debug, Serialize)]
pub struct ShownPlan {
    /// The purpose.
    pub goal: String,
    /// Its steps.
    pub steps: Vec<Shown>,
    /// What stops nothing.
    pub warnings: Vec<String>,
}

/// The plan with its statements.
pub fn shown(here: &Here, plan: &Plan, dialect: Dialect, identity: &str) -> ShownPlan {
    ShownPlan {
        goal: plan.goal.clone(),
        warnings: plan.warnings.clone(),
        steps: plan
            .steps
            .iter()
            .map(|planned| Shown {
                step: planned.step.clone(),
                why: planned.why.clone(),
                sql: statements(here, &planned.step, dialect, identity)
                    .iter()
                    .map(|sql| masked(sql))
                    .collect(),
            })
            .collect(),
    }
}

/// The plan as text.
pub fn text(plan: &ShownPlan) -> String {
    let mut out = format!("Plan: {}\n", plan.goal);
    for warning in &plan.warnings {
        let _ = writeln!(out, "  WARNING: {warning}");
    }
    for (number, shown) in plan.steps.iter().enumerate() {
        let _ = writeln!(
            out,
            "{:>3}. {}: {}",
            number + 1,
            shown.step.name(),
            shown.why
        );
        for sql in &shown.sql {
            let _ = writeln!(out, "       {sql}");
        }
    }
    out.push_str("Nothing was changed.\n");
    out
}

fn record(epoch: &crate::epoch::Epoch, state: RecordState, identity: &str) -> String {
    tables::record_sql(&PromotionRecord {
        epoch: epoch.clone(),
        server_identity: identity.to_owned(),
        state,
        details: None,
    })
    .replace("'null'", "'<details as JSON>'")
}

fn statements(here: &Here, step: &Step, dialect: Dialect, identity: &str) -> Vec<String> {
    let lifetime = here.config.promote.opening_expires_after();
    match step {
        Step::Close => vec![dialect.close().to_owned()],
        Step::Claim { epoch } => vec![record(epoch, RecordState::Claim, identity)],
        Step::RaiseFence { node, epoch } => vec![
            format!("on {node}: SELECT GET_LOCK('keepalived_mysql.gate', 2)"),
            format!(
                "on {node}: {}",
                tables::raise_fence_sql(epoch, &here.node.name, here.program)
            ),
        ],
        Step::FencePeer { node } => vec![
            format!("on {node}: SELECT GET_LOCK('keepalived_mysql.gate', 2)"),
            format!(
                "on {node}, if it has not closed within {:?}: {}",
                here.config.promote.yield_timeout,
                dialect.close()
            ),
        ],
        Step::FenceCommand { node } => vec![format!(
            "run: {}",
            here.config
                .promote
                .fence_command
                .join(" ")
                .replace("{node}", node)
        )],
        Step::Drain { .. } | Step::CatchUp { .. } | Step::ProveApplied { .. } => {
            vec![dialect.replica_status().to_owned()]
        }
        Step::StopReceiver { channel } => vec![dialect.stop_receiver(channel)],
        Step::StopReplication { channel } => vec![dialect.stop_replication(channel)],
        Step::RecordOpening { epoch } => vec![
            "SELECT GET_LOCK('keepalived_mysql.gate', 3)".to_owned(),
            record(epoch, RecordState::Opening, identity),
        ],
        Step::Open { epoch } => vec![dialect.open(
            epoch.number,
            &epoch.node,
            &format!("<the server's time + {lifetime:?}>"),
        )],
        Step::RecordOpened { epoch } => vec![record(epoch, RecordState::Opened, identity)],
        Step::ClearReplication { channel } => vec![dialect.reset_replication(channel)],
        Step::Durability => vec![
            "SET GLOBAL sync_binlog = 1".to_owned(),
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1".to_owned(),
        ],
        Step::Repoint { .. } => repoint_sql(here, dialect, step).unwrap_or_default(),
        Step::StartReplication { channel } => vec![dialect.start_replication(channel)],
        Step::Salvage { lost, .. } => vec![
            "SHOW BINARY LOGS".to_owned(),
            format!("COM_BINLOG_DUMP of this node's own binary log: {lost}"),
        ],
        Step::VerifyReplication { .. } | Step::SaveChannel { .. } | Step::RecordPosition => {
            vec![dialect.replica_status().to_owned()]
        }
        setting => settings::statements(setting, dialect),
    }
}
