//! Freeing the branches of a dead engine, in bounded batches.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::chart::{Fault, FaultKind};
use flux_core::ids::{BranchId, CommitNo, Incarnation, RunId};
use flux_core::ports::members::Takeover;
use flux_core::ports::runs::Outcome;
use uuid::Uuid;

use super::effects::Effects;
use super::end::{self, Ending};
use super::{Conn, Id, RawId, dialect};
use crate::codec::{At, time};
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const RECORD: &str = "\
    INSERT INTO takeover (run_id, branch_id, epoch, commit_no, incarnation, engine, at, node, \
        events) \
    SELECT ?, ?, ?, ?, incarnation, name, ?, ?, ? FROM member WHERE incarnation = ?";
pub(crate) const COUNT: &str = "UPDATE failover SET branches = branches + ? WHERE incarnation = ?";
pub(crate) const REMOVE: &str = "\
    DELETE FROM branch WHERE id = ? \
    RETURNING run_id, parent_id, idx, root, epoch, commit_no, lost, node, created_at, \
        last_commit, memory";

type Row = (RawId, RawId, i64, i64, i64, String);
type Types = (Id, Id, BigInt, BigInt, BigInt, Text);

/// Frees branches; those that have lost their engine too often in a row fail instead.
pub(crate) async fn take_over(
    conn: &mut Conn,
    fx: &mut Effects,
    dead: Incarnation,
    limit: u32,
    poison_limit: u32,
) -> Result<Vec<Takeover>, Fail> {
    let rows: Vec<Row> = sql(dialect::FREE)
        .int(fx.now)
        .int(fx.now)
        .id(dead.uuid())
        .int(i64::from(limit))
        .id(dead.uuid())
        .rows::<Types>()
        .load(conn)
        .await?;
    let mut freed = Vec::with_capacity(rows.len());
    for row in rows {
        freed.push(record(conn, fx, dead, poison_limit, row).await?);
    }
    let count = i64::try_from(freed.len()).unwrap_or(i64::MAX);
    sql(COUNT).int(count).id(dead.uuid()).execute(conn).await?;
    Ok(freed)
}

async fn record(
    conn: &mut Conn,
    fx: &mut Effects,
    dead: Incarnation,
    poison_limit: u32,
    (id, run, epoch, commit_no, lost, node): Row,
) -> Result<Takeover, Fail> {
    let at = At {
        table: "branch",
        row: &dead,
    };
    let (branch, run) = (at.id("id", &id)?, at.id("run_id", &run)?);
    let poisoned = lost >= i64::from(poison_limit);
    let from = dead.to_string();
    let event = serde_json::json!([
        {"type": "takeover", "from": from, "lost": lost, "poisoned": poisoned}
    ]);
    sql(RECORD)
        .id(run)
        .id(branch)
        .int(epoch)
        .int(commit_no)
        .int(fx.now)
        .text(&node)
        .owned_text(event.to_string())
        .id(dead.uuid())
        .execute(conn)
        .await?;
    if poisoned {
        poison(conn, fx, branch, lost).await?;
    }
    Ok(Takeover {
        branch: BranchId::new(branch),
        run: RunId::new(run),
        from: dead,
        commit_no: CommitNo(at.count("commit_no", commit_no)?),
        node,
        poisoned,
        at: time(fx.now),
    })
}

async fn poison(conn: &mut Conn, fx: &mut Effects, branch: Uuid, lost: i64) -> Result<(), Fail> {
    type Row = (
        RawId,
        Option<RawId>,
        i32,
        i32,
        i64,
        i64,
        i64,
        String,
        i64,
        Option<RawId>,
        String,
    );
    type Types = (
        Id,
        Nullable<Id>,
        Integer,
        Integer,
        BigInt,
        BigInt,
        BigInt,
        Text,
        BigInt,
        Nullable<Id>,
        Text,
    );
    let rows: Vec<Row> = sql(REMOVE).id(branch).rows::<Types>().load(conn).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(());
    };
    let at = At {
        table: "branch",
        row: &branch,
    };
    let root = row.3 == 1;
    let detail = format!("lost its engine {lost} times in a row without reaching a commit point");
    let fault = Fault::new(FaultKind::Runtime, detail).at(&row.7);
    let ending = Ending {
        branch,
        run: at.id("run_id", &row.0)?,
        parent: at.maybe_id("parent_id", row.1.as_ref())?,
        index: row.2,
        root,
        epoch: row.4,
        commit_no: row.5,
        lost: row.6,
        node: row.7,
        created_at: row.8,
        last_commit: at.maybe_id("last_commit", row.9.as_ref())?,
        memory: root.then_some(row.10),
    };
    end::end(conn, fx, &ending, &Outcome::Faulted { fault }, None, false).await
}
