//! What operators do to runs: cancel them, send them back.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ids::RunId;
use flux_core::ports::Error;
use flux_core::ports::operations::{Operated, Recovery};
use flux_core::ports::runs::Outcome;
use flux_core::walk::Memory;
use uuid::Uuid;

use super::effects::Effects;
use super::{Conn, Id, RawId};
use super::{end, submit};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const STANDING: &str = "\
    SELECT state, CAST(parent_branch IS NOT NULL AND attached = 1 AS INTEGER) FROM run WHERE id = ?";
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

/// Cancels a run. Its branches leave the table that owners write to: whoever runs one is fenced.
pub(crate) async fn cancel(
    conn: &mut Conn,
    fx: &mut Effects,
    run: RunId,
) -> Result<Operated, Fail> {
    match standing(conn, run).await? {
        None => Ok(Operated::NotFound),
        Some((OPEN, _)) => {
            end::end_run(conn, fx, run.uuid(), &Outcome::Cancelled, None).await?;
            Ok(Operated::Done)
        }
        Some((state, _)) => illegal(run, state),
    }
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
