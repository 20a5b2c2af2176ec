//! Looking at commit points, takeovers and failovers.

use diesel::sql_types::{BigInt, Text};
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::runs::{FailoverRecord, HistoryRecord};

use super::{Conn, Id, RawId};
use crate::codec::{At, time};
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const OF_RUN: &str = "\
    SELECT branch_id, commit_no, epoch, engine, at, node, events FROM history WHERE run_id = ? \
    UNION ALL \
    SELECT branch_id, commit_no, epoch, engine, at, node, events FROM takeover WHERE run_id = ? \
    ORDER BY 5, 1, 2, 3";
pub(crate) const FAILOVERS: &str = "\
    SELECT incarnation, name, convicted_by, at, evidence, branches FROM failover \
    ORDER BY seq DESC LIMIT ?";

type Row = (RawId, i64, i64, String, i64, String, String);
type Types = (Id, BigInt, BigInt, Text, BigInt, Text, Text);

/// The commit points and takeovers of a run, oldest first.
pub(crate) async fn of_run(conn: &mut Conn, run: RunId) -> Result<Vec<HistoryRecord>, Fail> {
    let rows: Vec<Row> = sql(OF_RUN)
        .id(run.uuid())
        .id(run.uuid())
        .rows::<Types>()
        .load(conn)
        .await?;
    let at_row = At {
        table: "history",
        row: &run,
    };
    rows.into_iter()
        .map(|(branch, commit_no, epoch, engine, at, node, events)| {
            Ok(HistoryRecord {
                branch: BranchId::new(at_row.id("branch_id", &branch)?),
                commit_no: CommitNo(at_row.count("commit_no", commit_no)?),
                epoch: Epoch(at_row.count("epoch", epoch)?),
                engine,
                at: time(at),
                node,
                events,
            })
        })
        .collect()
}

/// The engines that were declared dead, newest first.
pub(crate) async fn failovers(conn: &mut Conn, limit: u32) -> Result<Vec<FailoverRecord>, Fail> {
    type Row = (RawId, String, RawId, i64, String, i64);
    let rows: Vec<Row> = sql(FAILOVERS)
        .int(i64::from(limit))
        .rows::<(Id, Text, Id, BigInt, Text, BigInt)>()
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(from, from_name, by, at, evidence, branches)| {
            let row = At {
                table: "failover",
                row: &from_name.clone(),
            };
            Ok(FailoverRecord {
                from: Incarnation::new(row.id("incarnation", &from)?),
                from_name,
                by: Incarnation::new(row.id("convicted_by", &by)?),
                at: time(at),
                evidence,
                branches: row.count("branches", branches)?,
            })
        })
        .collect()
}
