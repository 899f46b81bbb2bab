//! What is kept of a node that holds what nobody received.

use super::{Decision, Input, question};
use crate::decide::plan::{Plan, Step};
use crate::ledger::record::Method;
use crate::replication::evidence::{Lost, Relation};
use crate::view::{Facts, Gtids, NodeView};

/// Stays closed and follows nobody. What it alone committed is salvaged first.
pub(super) fn hold(
    input: &Input<'_>,
    me: &Facts,
    source: &NodeView,
    theirs: &Facts,
    relation: Relation,
    method: Method,
) -> Decision {
    let diverged = matches!(relation, Relation::Diverged { .. });
    let lost = diverged.then(|| lost(input, me, theirs, method)).flatten();
    let plan = lost.map(|lost| {
        let me = &input.me.name;
        let mut plan = Plan::to(format!("keep what {me} alone committed"));
        let node = source.name.clone();
        plan.then(
            Step::Salvage { lost, node },
            "what nobody received is copied before anything else touches it",
        );
        plan
    });
    Decision::Hold {
        relation,
        source: source.name.clone(),
        plan,
    }
}

/// What this node committed and the source never received, in the form in which it can be found.
fn lost(input: &Input<'_>, me: &Facts, theirs: &Facts, method: Method) -> Option<Lost> {
    if method == Method::Position {
        let from = question(input.me, input.peers, input.memory, input.wish)?;
        let server_id = me.server_id;
        return Some(Lost::Position { from, server_id });
    }
    match (&me.gtids, &theirs.gtids) {
        (
            Gtids::MariaDb { state: ours, .. },
            Gtids::MariaDb {
                state: theirs,
                slave,
                ..
            },
        ) => Lost::by_mariadb(ours, theirs, slave),
        (
            Gtids::MySql { executed: ours, .. },
            Gtids::MySql {
                executed: theirs, ..
            },
        ) => Lost::by_mysql(ours, theirs),
        _ => None,
    }
}
