//! What operators do to runs: hold them back, cancel them, send them back, remove them.
//!
//! The branches of a paused run are in a pool that no engine claims from. Whatever wakes them makes
//! them ready there, what they split off is there too, and who runs one is told at its next commit.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ids::RunId;
use flux_core::ports::Error;
use flux_core::ports::operations::{Change, Operated, Recovery};
use flux_core::ports::runs::Outcome;
use flux_core::walk::Memory;
use uuid::Uuid;

use super::effects::Effects;
use super::{Conn, Id, RawId};
use super::{end, prune, runs, submit};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const STANDING: &str = "\
    SELECT state, CAST(parent_branch IS NOT NULL AND attached = 1 AS INTEGER) FROM run WHERE id = ?";
pub(crate) const PAUSE: &str = "UPDATE branch SET pool = '!paused' WHERE run_id = ?";
pub(crate) const RESUME: &str = "\
    UPDATE branch SET pool = (SELECT run.pool FROM run WHERE run.id = branch.run_id) \
    WHERE run_id = ? AND pool = '!paused'";
pub(crate) const EXPEDITE: &str = "\
    UPDATE branch SET due_at = ?, updated_at = ? WHERE run_id = ? AND state = 2 AND due_at > ?";
/// A run that an open one waits for, or did.
pub(crate) const NEEDED: &str = "\
    SELECT 1 FROM run WHERE id = ? AND attached = 1 AND ( \
        EXISTS (SELECT 1 FROM branch WHERE branch.id = run.parent_branch) \
        OR EXISTS (SELECT 1 FROM ended_branch JOIN run AS open ON open.id = ended_branch.run_id \
            WHERE ended_branch.id = run.parent_branch AND open.state = 0))";
pub(crate) const REOPEN: &str =
    "UPDATE run SET state = 0, outcome = NULL, ended_at = NULL WHERE id = ?";
pub(crate) const EXHUME: &str = "\
    DELETE FROM ended_branch WHERE run_id = ? AND state = 4 \
    RETURNING id, idx, epoch, commit_no, node, created_at, last_commit, memory";
pub(crate) const READY_AGAIN: &str = "\
    INSERT INTO branch (id, run_id, parent_id, idx, root, state, epoch, commit_no, lost, \
        priority, pool, due_at, node, created_at, updated_at, last_commit, memory) \
    SELECT ?, id, NULL, ?, 1, 0, ?, ?, 0, priority, pool, ?, ?, ?, ?, ?, ? FROM run WHERE id = ?";
pub(crate) const RECORD: &str = "\
    INSERT INTO takeover (run_id, branch_id, epoch, commit_no, engine, at, node, events) \
    VALUES (?, ?, ?, ?, 'operator', ?, ?, '[{\"type\": \"recovered\"}]')";

/// The numbers of the states of a run that are needed here.
const OPEN: i32 = 0;
const FAULTED: i32 = 5;

/// Changes a run, if it is in a state for that.
pub(crate) async fn change(
    conn: &mut Conn,
    fx: &mut Effects,
    run: RunId,
    change: Change,
) -> Result<Operated, Fail> {
    let Some((state, _)) = standing(conn, run).await? else {
        return Ok(Operated::NotFound);
    };
    match (state, change) {
        (OPEN, Change::Remove) => open(conn, run).await,
        (_, Change::Remove) => remove(conn, run).await,
        (OPEN, _) => {
            change_open(conn, fx, run, change).await?;
            Ok(Operated::Done)
        }
        _ => illegal(run, state),
    }
}

async fn change_open(
    conn: &mut Conn,
    fx: &mut Effects,
    run: RunId,
    change: Change,
) -> Result<(), Fail> {
    let statement = match change {
        // Its branches leave the table that owners write to: whoever runs one is fenced.
        Change::Cancel => {
            end::end_run(conn, fx, run.uuid(), &Outcome::Cancelled, None).await?;
            return Ok(());
        }
        Change::Pause => sql(PAUSE).id(run.uuid()),
        Change::Resume => sql(RESUME).id(run.uuid()),
        Change::Expedite => sql(EXPEDITE)
            .int(fx.now)
            .int(fx.now)
            .id(run.uuid())
            .int(fx.now),
        Change::Remove => return Ok(()),
    };
    statement.execute(conn).await?;
    Ok(())
}

/// Nothing is removed of a run that has not ended.
async fn open(conn: &mut Conn, run: RunId) -> Result<Operated, Fail> {
    let shown = runs::run(conn, run).await?;
    Ok(shown.map_or(Operated::NotFound, |run| Operated::Illegal(run.state)))
}

async fn remove(conn: &mut Conn, run: RunId) -> Result<Operated, Fail> {
    let needed: Vec<(i32,)> = sql(NEEDED)
        .id(run.uuid())
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    if !needed.is_empty() {
        return Ok(Operated::Child);
    }
    prune::remove(conn, run.uuid()).await?;
    Ok(Operated::Done)
}

/// Sends the branch that failed, and with it its run, back to the commit point before the failure.
pub(crate) async fn recover(conn: &mut Conn, recovery: &Recovery) -> Result<Operated, Fail> {
    let run = recovery.run;
    match standing(conn, run).await? {
        None => return Ok(Operated::NotFound),
        // Whoever waited for it has gone on: its end would arrive at something else.
        Some((FAULTED, 1)) => return Ok(Operated::Child),
        Some((FAULTED, _)) => {}
        Some((state, _)) => return illegal(run, state),
    }
    sql(REOPEN).id(run.uuid()).execute(conn).await?;
    for failed in exhume(conn, run).await? {
        ready_again(conn, recovery, &failed).await?;
    }
    submit::subscribe(conn, run, &recovery.listens).await?;
    Ok(Operated::Done)
}

async fn standing(conn: &mut Conn, run: RunId) -> Result<Option<(i32, i32)>, Fail> {
    let rows: Vec<(i32, i32)> = sql(STANDING)
        .id(run.uuid())
        .rows::<(Integer, Integer)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().next())
}

fn illegal(run: RunId, state: i32) -> Result<Operated, Fail> {
    let at = At {
        table: "run",
        row: &run,
    };
    Ok(Operated::Illegal(at.run_state(state)?))
}

/// A branch that failed, with what it knew at its commit point.
struct Failed {
    branch: Uuid,
    index: i32,
    epoch: i64,
    commit_no: i64,
    node: String,
    created_at: i64,
    last_commit: Option<Uuid>,
    memory: String,
}

async fn exhume(conn: &mut Conn, run: RunId) -> Result<Vec<Failed>, Fail> {
    type Row = (RawId, i32, i64, i64, String, i64, Option<RawId>, String);
    type Types = (
        Id,
        Integer,
        BigInt,
        BigInt,
        Text,
        BigInt,
        Nullable<Id>,
        Text,
    );
    let rows: Vec<Row> = sql(EXHUME)
        .id(run.uuid())
        .rows::<Types>()
        .load(conn)
        .await?;
    if rows.is_empty() {
        let text = format!("run {run} faulted, and no branch of it is kept as failed");
        return Err(Error::Corrupt(text).into());
    }
    let at = At {
        table: "ended_branch",
        row: &run,
    };
    rows.into_iter()
        .map(|row| {
            Ok(Failed {
                branch: at.id("id", &row.0)?,
                index: row.1,
                epoch: row.2,
                commit_no: row.3,
                node: row.4,
                created_at: row.5,
                last_commit: at.maybe_id("last_commit", row.6.as_ref())?,
                memory: row.7,
            })
        })
        .collect()
}

async fn ready_again(conn: &mut Conn, recovery: &Recovery, failed: &Failed) -> Result<(), Fail> {
    let mut memory = Memory::from_json(&failed.memory).map_err(Error::Corrupt)?;
    memory.sent_back(recovery.at);
    let (run, now) = (recovery.run.uuid(), recovery.at.as_micros());
    let epoch = failed.epoch.saturating_add(1);
    sql(READY_AGAIN)
        .id(failed.branch)
        .int(i64::from(failed.index))
        .int(epoch)
        .int(failed.commit_no)
        .int(now)
        .text(&failed.node)
        .int(failed.created_at)
        .int(now)
        .maybe_id(failed.last_commit)
        .owned_text(memory.to_json())
        .id(run)
        .execute(conn)
        .await?;
    sql(RECORD)
        .id(run)
        .id(failed.branch)
        .int(epoch)
        .int(failed.commit_no)
        .int(now)
        .text(&failed.node)
        .execute(conn)
        .await?;
    Ok(())
}
