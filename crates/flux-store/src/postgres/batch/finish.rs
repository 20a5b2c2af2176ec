//! Ends of root branches, and with them of their runs.

use std::collections::HashMap;

use diesel::sql_types::{Integer, Nullable};
use flux_core::ports::branches::{Commit, Committed, Then};
use flux_core::ports::runs::Outcome;

use super::super::conn::Conn;
use super::super::shared::queries::cancel;
use super::super::shared::queries::commit::mark;
use super::super::shared::queries::effects::Effects;
use super::super::shared::queries::end::{self, Closed};
use super::super::shared::writer::Answer;
use super::super::{Id, RawId};
use super::owners;
use crate::codec::{final_state, run_state, signed, to_json};
use crate::error::Fail;
use crate::sql::sql;

/// Everything that the end of a run with one branch changes. All parts of the statement see the
/// tables as they were before it, so a branch does not count itself. A branch that failed keeps
/// its memory and the node of its commit point. `ANY` keeps the plan on the primary keys, and nothing
/// here fits the condition of a partial index, which the planner would rather read in full. Values: arrays of branch, owner, epoch, commit
/// number, mark, node, run, events, time, state of the branch, its fault, state of the run, outcome;
/// then the branches, the owners and the runs again.
pub(crate) const FINISH: &str = "\
    WITH wanted AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
        AS w(id, owner, epoch, commit_no, mark, node, run_id, events, now, state, fault, \
            run_state, outcome)), \
    done AS (DELETE FROM branch USING wanted w \
        WHERE branch.id = ANY(?) AND branch.id = w.id AND branch.owner IS NOT DISTINCT FROM w.owner \
            AND branch.epoch = w.epoch AND branch.commit_no = w.commit_no AND branch.root = 1 \
        RETURNING branch.id, branch.created_at, branch.node AS last_node, branch.memory, w.owner, \
            w.epoch, w.commit_no + 1 AS commit_no, w.mark, w.node, w.run_id, w.events, w.now, w.state, \
            w.fault, w.run_state, w.outcome), \
    kept AS (INSERT INTO history (run_id, branch_id, commit_no, epoch, engine, at, node, events) \
        SELECT run_id, id, commit_no, epoch, coalesce(owners.name, ''), now, node, events \
        FROM done LEFT JOIN (SELECT incarnation, name FROM member WHERE incarnation = ANY(?)) AS owners \
            ON owners.incarnation = done.owner), \
    buried AS (INSERT INTO ended_branch (run_id, id, parent_id, idx, root, state, epoch, \
            commit_no, lost, node, created_at, updated_at, last_commit, memory, fault) \
        SELECT run_id, id, NULL, 0, 1, state, epoch, commit_no, 0, \
            CASE WHEN state = 4 THEN last_node ELSE node END, created_at, now, mark, \
            CASE WHEN state = 4 THEN memory END, fault \
        FROM done), \
    closed AS (UPDATE run SET state = w.run_state, outcome = w.outcome, ended_at = w.now \
        FROM done w \
        WHERE run.id = ANY(?) AND run.id = w.run_id AND run.ended_at IS NULL \
        RETURNING w.id, run.parent_branch, run.attached, \
            CAST(EXISTS (SELECT 1 FROM schedule WHERE schedule.last_run = run.id) AS INTEGER) \
                AS scheduled, \
            CAST(EXISTS (SELECT 1 FROM branch WHERE branch.run_id = run.id \
                AND branch.id <> w.id) AS INTEGER) AS branches, \
            CAST(EXISTS (SELECT 1 FROM subscription WHERE subscription.run_id = run.id) \
                OR EXISTS (SELECT 1 FROM inbox WHERE inbox.run_id = run.id) \
                OR EXISTS (SELECT 1 FROM signal WHERE signal.run_id = run.id) \
                OR EXISTS (SELECT 1 FROM arrival WHERE arrival.run_id = run.id) AS INTEGER) AS kept, \
            CAST(EXISTS (SELECT 1 FROM run AS child WHERE child.parent_branch = w.id \
                AND child.ended_at IS NULL) AS INTEGER) AS children) \
    SELECT done.id, closed.parent_branch, coalesce(closed.attached, 0), \
        coalesce(closed.scheduled, 0), coalesce(closed.branches, 0), coalesce(closed.kept, 0), \
        coalesce(closed.children, 0), CAST(closed.id IS NOT NULL AS INTEGER) \
    FROM done LEFT JOIN closed ON closed.id = done.id";

type Row = (RawId, Option<RawId>, i32, i32, i32, i32, i32, i32);
type Types = (
    Id,
    Nullable<Id>,
    Integer,
    Integer,
    Integer,
    Integer,
    Integer,
    Integer,
);

/// Ends of other branches find no row, and are left alone.
pub(super) async fn all(
    conn: &mut Conn,
    commits: &[(usize, &Commit, &Outcome)],
    answers: &mut [Option<Answer>],
) -> Result<(), Fail> {
    if commits.is_empty() {
        return Ok(());
    }
    let rows = finish(conn, commits).await?;
    let mut done: HashMap<RawId, Row> = rows.into_iter().map(|row| (row.0, row)).collect();
    for (place, c, outcome) in commits {
        if let Some(row) = done.remove(&c.branch.uuid()) {
            let committed = settle(conn, c, outcome, row).await?;
            answers[*place] = Some(Answer::Committed(committed));
        }
    }
    Ok(())
}

async fn finish(conn: &mut Conn, commits: &[(usize, &Commit, &Outcome)]) -> Result<Vec<Row>, Fail> {
    let ids = || commits.iter().map(|(_, c, _)| c.branch.uuid()).collect();
    let runs = || commits.iter().map(|(_, c, _)| c.run.uuid()).collect();
    let each = || commits.iter().map(|(_, c, _)| *c);
    let outcomes = || commits.iter().map(|(_, _, outcome)| *outcome);
    let mut faults = Vec::with_capacity(commits.len());
    let mut texts = Vec::with_capacity(commits.len());
    for outcome in outcomes() {
        faults.push(match outcome {
            Outcome::Faulted { fault } => Some(to_json(fault)?),
            _ => None,
        });
        texts.push(Some(to_json(outcome)?));
    }
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Faulted { .. });
    let statement = sql(FINISH)
        .ids(ids())
        .ids(each().map(|c| c.fence.owner.uuid()).collect())
        .ints(each().map(|c| signed(c.fence.epoch.get())).collect())
        .ints(each().map(|c| signed(c.fence.commit_no.get())).collect())
        .ids(each().map(mark).collect())
        .texts(each().map(|c| c.node.as_str()))
        .ids(runs())
        .texts(each().map(|c| c.history.as_str()))
        .ints(each().map(|c| c.now.as_micros()).collect())
        .ints(outcomes().map(|o| if failed(o) { 4 } else { 5 }).collect())
        .owned_texts(faults)
        .ints(
            outcomes()
                .map(|o| i64::from(run_state(final_state(o))))
                .collect(),
        )
        .owned_texts(texts)
        .ids(ids())
        .ids(owners(each()))
        .ids(runs())
        .rows::<Types>();
    conn.with_hash_joins(async |conn| statement.load(conn).await)
        .await
}

/// What the end of a run sets off.
async fn settle(
    conn: &mut Conn,
    c: &Commit,
    outcome: &Outcome,
    (_, parent, attached, scheduled, branches, kept, children, closed): Row,
) -> Result<Committed, Fail> {
    let mut fx = Effects::at(c.now);
    if closed == 1 {
        let context = match &c.then {
            Then::End { context, .. } => context.as_deref(),
            _ => None,
        };
        let closed = Closed {
            parent: parent.filter(|_| attached == 1),
            scheduled: scheduled == 1,
            branches: branches == 1,
            kept: kept == 1,
        };
        end::settle(conn, &mut fx, c.run.uuid(), &closed, outcome, context).await?;
        if children == 1 {
            cancel::offspring(conn, &mut fx, c.branch.uuid()).await?;
        }
    }
    Ok(Committed::Yes {
        commit_no: c.fence.commit_no.next(),
        woke: fx.woke,
        cancelled: fx.cancelled,
        paused: false,
    })
}
