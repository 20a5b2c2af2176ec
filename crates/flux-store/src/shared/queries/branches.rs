//! Looking at branches.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::branches::Fence;
use flux_core::ports::runs::BranchRecord;

use super::{Conn, Id, RawId};
use crate::codec::{At, pool_name, time};
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const OWNED: &str = "SELECT id, epoch, commit_no FROM branch WHERE owner = ?";
/// What a branch awaits: 1 signals, 2 a join.
pub(crate) const OF_RUN: &str = "\
    SELECT id, parent_id, idx, \
        CASE WHEN pool = '!paused' AND state IN (0, 2) THEN 3 ELSE state END, owner, \
        (SELECT name FROM member WHERE incarnation = owner), epoch, commit_no, node, \
        CASE WHEN state <> 1 THEN due_at END, \
        CASE WHEN state <> 2 THEN 0 ELSE CAST(signals_after IS NOT NULL AS INTEGER) \
            + 2 * CAST(join_ok IS NOT NULL AS INTEGER) END, lost, NULL, \
        updated_at, created_at, \
        CASE WHEN pool = '!paused' THEN '' ELSE pool END \
    FROM branch WHERE run_id = ? \
    UNION ALL \
    SELECT id, parent_id, idx, state, NULL, NULL, epoch, commit_no, node, NULL, 0, lost, \
        fault, updated_at, created_at, '' \
    FROM ended_branch WHERE run_id = ? \
    ORDER BY 15, 3, 1";

pub(crate) async fn owned(
    conn: &mut Conn,
    owner: Incarnation,
) -> Result<Vec<(BranchId, Fence)>, Fail> {
    let rows: Vec<(RawId, i64, i64)> = sql(OWNED)
        .id(owner.uuid())
        .rows::<(Id, BigInt, BigInt)>()
        .load(conn)
        .await?;
    let at = At {
        table: "branch",
        row: &owner,
    };
    rows.into_iter()
        .map(|(id, epoch, commit_no)| {
            let fence = Fence {
                owner,
                epoch: Epoch(at.count("epoch", epoch)?),
                commit_no: CommitNo(at.count("commit_no", commit_no)?),
            };
            Ok((BranchId::new(at.id("id", &id)?), fence))
        })
        .collect()
}

type Row = (
    RawId,
    Option<RawId>,
    i32,
    i32,
    Option<RawId>,
    Option<String>,
    i64,
    i64,
    String,
    Option<i64>,
    i32,
    i64,
    Option<String>,
    i64,
    i64,
    String,
);
type Types = (
    Id,
    Nullable<Id>,
    Integer,
    Integer,
    Nullable<Id>,
    Nullable<Text>,
    BigInt,
    BigInt,
    Text,
    Nullable<BigInt>,
    Integer,
    BigInt,
    Nullable<Text>,
    BigInt,
    BigInt,
    Text,
);

/// The branches of a run, oldest first.
pub(crate) async fn of_run(conn: &mut Conn, run: RunId) -> Result<Vec<BranchRecord>, Fail> {
    let rows: Vec<Row> = sql(OF_RUN)
        .id(run.uuid())
        .id(run.uuid())
        .rows::<Types>()
        .load(conn)
        .await?;
    rows.into_iter().map(|row| record(run, row)).collect()
}

fn record(run: RunId, row: Row) -> Result<BranchRecord, Fail> {
    let at = At {
        table: "branch",
        row: &run,
    };
    let fault = row.12.as_deref().map(|fault| at.fault(fault)).transpose()?;
    Ok(BranchRecord {
        id: BranchId::new(at.id("id", &row.0)?),
        run,
        parent: at.maybe_id("parent_id", row.1.as_ref())?.map(BranchId::new),
        index: at.small("idx", i64::from(row.2))?,
        state: at.branch_state(row.3)?,
        owner: at.maybe_id("owner", row.4.as_ref())?.map(Incarnation::new),
        engine: row.5,
        epoch: Epoch(at.count("epoch", row.6)?),
        commit_no: CommitNo(at.count("commit_no", row.7)?),
        node: row.8,
        due_at: row.9.map(time),
        awaits_signals: row.10 & 1 != 0,
        awaits_join: row.10 & 2 != 0,
        lost: at.small("lost", row.11)?,
        pool: pool_name(row.15),
        fault,
        updated_at: time(row.13),
    })
}
