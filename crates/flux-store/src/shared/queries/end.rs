//! The end of a branch, and of a run.
//!
//! A run ends with its root branch, or with any branch that says so. Branches that are left then,
//! also those that were cut loose from their join, are cancelled.

use diesel::sql_types::{Integer, Nullable};
use flux_core::branch::BranchState;
use flux_core::ports::runs::Outcome;
use uuid::Uuid;

use super::cancel;
use super::effects::Effects;
use super::wait;
use super::{Conn, Id, RawId, lock};
use crate::codec::{At, branch_state, final_state, run_state, to_json};
use crate::error::Fail;
use crate::sql::sql;

/// A result, unless it is there. Values: run, branch, index, ok, outcome, context.
pub(crate) const INSERT_ARRIVAL: &str = "\
    INSERT INTO arrival (run_id, branch_id, idx, ok, outcome, context) \
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
pub(crate) const INSERT_ENDED: &str = "\
    INSERT INTO ended_branch (run_id, id, parent_id, idx, root, state, epoch, commit_no, lost, \
        node, created_at, updated_at, last_commit, memory, fault) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(crate) const CLOSE_RUN: &str = "\
    UPDATE run SET state = ?, outcome = ?, ended_at = ? WHERE id = ? AND ended_at IS NULL \
    RETURNING parent_branch, attached, \
        CAST(EXISTS (SELECT 1 FROM schedule WHERE schedule.last_run = run.id) AS INTEGER), \
        CAST(EXISTS (SELECT 1 FROM branch WHERE branch.run_id = run.id) AS INTEGER), \
        CAST(EXISTS (SELECT 1 FROM subscription WHERE subscription.run_id = run.id) \
            OR EXISTS (SELECT 1 FROM inbox WHERE inbox.run_id = run.id) \
            OR EXISTS (SELECT 1 FROM signal WHERE signal.run_id = run.id) \
            OR EXISTS (SELECT 1 FROM arrival WHERE arrival.run_id = run.id) AS INTEGER)";
pub(crate) const RUN_OF_BRANCH: &str = "SELECT run_id FROM branch WHERE id = ?";
pub(crate) const SCHEDULE_AFTER: &str = "\
    UPDATE schedule SET due_at = ? + after_us \
    WHERE last_run = ? AND after_us IS NOT NULL AND due_at IS NULL";
/// What is kept for a run only as long as it has not ended.
pub(crate) const CLEAR: [&str; 4] = [
    "DELETE FROM subscription WHERE run_id = ?",
    "DELETE FROM inbox WHERE run_id = ?",
    "DELETE FROM signal WHERE run_id = ?",
    "DELETE FROM arrival WHERE run_id = ?",
];

/// A branch that has left the hot table and is about to be kept as ended.
pub(crate) struct Ending {
    pub(crate) branch: Uuid,
    pub(crate) run: Uuid,
    pub(crate) parent: Option<Uuid>,
    pub(crate) index: i32,
    pub(crate) root: bool,
    pub(crate) epoch: i64,
    pub(crate) commit_no: i64,
    pub(crate) lost: i64,
    pub(crate) node: String,
    pub(crate) created_at: i64,
    pub(crate) last_commit: Option<Uuid>,
    /// Kept only for a branch that failed.
    pub(crate) memory: Option<String>,
}

/// Ends a branch: its outcome goes to its join, or its run ends with it.
pub(crate) async fn end(
    conn: &mut Conn,
    fx: &mut Effects,
    ending: &Ending,
    outcome: &Outcome,
    context: Option<&str>,
    whole_run: bool,
) -> Result<(), Fail> {
    bury(conn, fx.now, ending, Some(outcome)).await?;
    if ending.root || whole_run {
        if end_run(conn, fx, ending.run, outcome, context).await? {
            cancel::offspring(conn, fx, ending.branch).await?;
        }
        return Ok(());
    }
    cancel::offspring(conn, fx, ending.branch).await?;
    match ending.parent {
        Some(parent) => arrive(conn, fx, ending.run, parent, ending.index, outcome, context).await,
        None => Ok(()),
    }
}

/// Keeps an ended branch to be shown. `None`: it was cancelled.
pub(crate) async fn bury(
    conn: &mut Conn,
    now: i64,
    ending: &Ending,
    outcome: Option<&Outcome>,
) -> Result<(), Fail> {
    let fault = match outcome {
        Some(Outcome::Faulted { fault }) => Some(to_json(fault)?),
        _ => None,
    };
    let state = match ending.memory {
        Some(_) => BranchState::Failed,
        None => BranchState::Finished,
    };
    sql(INSERT_ENDED)
        .id(ending.run)
        .id(ending.branch)
        .maybe_id(ending.parent)
        .int(i64::from(ending.index))
        .int(i64::from(ending.root))
        .int(i64::from(branch_state(state)))
        .int(ending.epoch)
        .int(ending.commit_no)
        .int(ending.lost)
        .text(&ending.node)
        .int(ending.created_at)
        .int(now)
        .maybe_id(ending.last_commit)
        .maybe_text(ending.memory.as_deref())
        .maybe_text(fault.as_deref())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a run, cancels its branches, and tells the branch that waits for it; false when it had
/// ended before.
pub(crate) async fn end_run(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    outcome: &Outcome,
    context: Option<&str>,
) -> Result<bool, Fail> {
    let Some(closed) = close(conn, fx, run, outcome).await? else {
        return Ok(false);
    };
    settle(conn, fx, run, &closed, outcome, context).await?;
    Ok(true)
}

/// What the end of a run sets off.
pub(crate) async fn settle(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    closed: &Closed,
    outcome: &Outcome,
    context: Option<&str>,
) -> Result<(), Fail> {
    after(conn, fx, run, closed.scheduled).await?;
    if closed.branches {
        cancel::branches_of(conn, fx, run).await?;
    }
    if closed.kept {
        clear(conn, run).await?;
    }
    let Some(parent) = closed.parent else {
        return Ok(());
    };
    // The branch that waited may be gone: then its run has ended, and nobody waits.
    let rows: Vec<(RawId,)> = sql(RUN_OF_BRANCH)
        .id(parent)
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    let Some((waiting_run,)) = rows.into_iter().next() else {
        return Ok(());
    };
    let waiting_run = At {
        table: "branch",
        row: &parent,
    }
    .id("run_id", &waiting_run)?;
    lock::run(conn, waiting_run).await?;
    arrive(conn, fx, waiting_run, parent, 0, outcome, context).await
}

/// The next run of a schedule may follow the end of the last one.
pub(crate) async fn after(
    conn: &mut Conn,
    fx: &Effects,
    run: Uuid,
    scheduled: bool,
) -> Result<(), Fail> {
    if scheduled {
        sql(SCHEDULE_AFTER)
            .int(fx.now)
            .id(run)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// A run that has just ended, and what is left of it.
pub(crate) struct Closed {
    /// The branch that waits for it.
    pub(crate) parent: Option<Uuid>,
    /// It is the last run of a schedule.
    pub(crate) scheduled: bool,
    /// Some of its branches have not ended.
    pub(crate) branches: bool,
    /// Something is there that is kept only until its end.
    pub(crate) kept: bool,
}

/// Writes the end of a run. `None`: it had ended before.
pub(crate) async fn close(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    outcome: &Outcome,
) -> Result<Option<Closed>, Fail> {
    type Row = (Option<RawId>, i32, i32, i32, i32);
    type Types = (Nullable<Id>, Integer, Integer, Integer, Integer);
    let rows: Vec<Row> = sql(CLOSE_RUN)
        .int(i64::from(run_state(final_state(outcome))))
        .owned_text(to_json(outcome)?)
        .int(fx.now)
        .id(run)
        .rows::<Types>()
        .load(conn)
        .await?;
    let Some((parent, attached, scheduled, branches, kept)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let at = At {
        table: "run",
        row: &run,
    };
    let parent = at.maybe_id("parent_branch", parent.as_ref())?;
    Ok(Some(Closed {
        parent: parent.filter(|_| attached == 1),
        scheduled: scheduled == 1,
        branches: branches == 1,
        kept: kept == 1,
    }))
}

/// Removes what is kept only for a run that has not ended.
pub(crate) async fn clear(conn: &mut Conn, run: Uuid) -> Result<(), Fail> {
    for text in CLEAR {
        sql(text).id(run).execute(conn).await?;
    }
    Ok(())
}

/// Hands a result to the branch that waits for it.
async fn arrive(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    branch: Uuid,
    index: i32,
    outcome: &Outcome,
    context: Option<&str>,
) -> Result<(), Fail> {
    sql(INSERT_ARRIVAL)
        .id(run)
        .id(branch)
        .int(i64::from(index))
        .int(i64::from(matches!(outcome, Outcome::Completed { .. })))
        .owned_text(to_json(outcome)?)
        .maybe_text(context)
        .execute(conn)
        .await?;
    wait::wake_joined(conn, fx, branch).await
}
