//! Many writes in few statements: not needed here, where a statement is a function call.

use diesel::sql_types::{BigInt, Nullable, Text};
use uuid::Uuid;

use super::conn::Conn;
use super::shared::queries::claim::RunRow;
use super::shared::writer::{Answer, Write};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const RUN_OF_CLAIM: &str =
    "SELECT chart, input, started_at, traceparent FROM run WHERE id = ?";

/// `None`: each write is left to be done alone.
pub(crate) async fn apply(
    _conn: &mut Conn,
    writes: &[&Write],
) -> Result<Vec<Option<Answer>>, Fail> {
    Ok(writes.iter().map(|_| None).collect())
}

/// What a claim wants to know of the runs of its branches.
pub(crate) async fn runs_of_claim(
    conn: &mut Conn,
    runs: Vec<Uuid>,
) -> Result<Vec<(Uuid, RunRow)>, Fail> {
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        rows.push((run, run_row(conn, run).await?));
    }
    Ok(rows)
}

async fn run_row(conn: &mut Conn, run: Uuid) -> Result<RunRow, Fail> {
    let rows: Vec<RunRow> = sql(RUN_OF_CLAIM)
        .id(run)
        .rows::<(Text, Text, BigInt, Nullable<Text>)>()
        .load(conn)
        .await?;
    let at = At {
        table: "branch",
        row: &run,
    };
    Ok(rows
        .into_iter()
        .next()
        .ok_or_else(|| at.corrupt("run_id", "there is no such run"))?)
}
