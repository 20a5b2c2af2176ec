//! Looking at runs.

use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::RunQueryDsl;
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::runs::{RunFilter, RunRecord};

use crate::codec::{At, pool_name, run_state, time};
use crate::error::Fail;
use crate::sql::sql;
use crate::sqlite::Conn;

/// A run with the state that its branches give it.
pub(crate) const SHOWN: &str = "\
    SELECT id, chart, namespace, name, version, input, outcome, started_at, ended_at, \
        CASE WHEN attached = 1 THEN parent_branch END, pool, priority, seq, \
        CASE WHEN state <> 0 THEN state ELSE (SELECT CASE \
            WHEN count(*) = 0 THEN 1 \
            WHEN max(epoch) = 0 AND max(commit_no) = 0 THEN 0 \
            WHEN sum(branch.state IN (0, 1)) > 0 THEN 1 \
            WHEN sum(branch.state = 3) > 0 THEN 3 \
            ELSE 2 END FROM branch WHERE branch.run_id = run.id) END AS shown \
    FROM run";

type Row = (
    Vec<u8>,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    i64,
    Option<i64>,
    Option<Vec<u8>>,
    String,
    i64,
    i64,
    i64,
);
type Types = (
    Binary,
    Text,
    Text,
    Text,
    Text,
    Text,
    Nullable<Text>,
    BigInt,
    Nullable<BigInt>,
    Nullable<Binary>,
    Text,
    BigInt,
    BigInt,
    BigInt,
);

pub(crate) async fn run(conn: &mut Conn, id: RunId) -> Result<Option<RunRecord>, Fail> {
    let text = format!("{SHOWN} WHERE id = ?");
    let rows: Vec<Row> = sql(text).id(id.uuid()).rows::<Types>().load(conn).await?;
    rows.into_iter().next().map(record).transpose()
}

/// Runs that pass the filter, newest first.
pub(crate) async fn list(conn: &mut Conn, filter: &RunFilter) -> Result<Vec<RunRecord>, Fail> {
    let states: Vec<String> = filter
        .states
        .iter()
        .map(|state| run_state(*state).to_string())
        .collect();
    let of_states = match states.is_empty() {
        true => String::new(),
        false => format!("AND shown IN ({})", states.join(", ")),
    };
    let text = format!(
        "SELECT * FROM ({SHOWN} WHERE (? IS NULL OR namespace = ?) AND (? IS NULL OR name = ?) \
            AND started_at >= ? AND seq < coalesce((SELECT seq FROM run WHERE id = ?), \
            9223372036854775807)) \
         WHERE 1 = 1 {of_states} ORDER BY seq DESC LIMIT ?"
    );
    let (namespace, name) = (filter.namespace.as_deref(), filter.name.as_deref());
    let rows: Vec<Row> = sql(text)
        .maybe_text(namespace)
        .maybe_text(namespace)
        .maybe_text(name)
        .maybe_text(name)
        .int(filter.since.map_or(i64::MIN, |since| since.as_micros()))
        .maybe_id(filter.before.map(RunId::uuid))
        .int(i64::from(filter.limit))
        .rows::<Types>()
        .load(conn)
        .await?;
    rows.into_iter().map(record).collect()
}

fn record(row: Row) -> Result<RunRecord, Fail> {
    let at = At {
        table: "run",
        row: &row.12,
    };
    let outcome = row
        .6
        .as_deref()
        .map(|outcome| at.outcome(outcome))
        .transpose()?;
    let state = i32::try_from(row.13).unwrap_or(-1);
    Ok(RunRecord {
        id: RunId::new(at.id("id", &row.0)?),
        name: WorkflowName {
            namespace: row.2,
            name: row.3,
            version: row.4,
        },
        chart: ChartId(row.1),
        state: at.run_state(state)?,
        input: row.5,
        outcome,
        started_at: time(row.7),
        ended_at: row.8.map(time),
        parent: at
            .maybe_id("parent_branch", row.9.as_deref())?
            .map(BranchId::new),
        pool: pool_name(row.10),
        priority: i32::try_from(row.11).unwrap_or(i32::MAX),
    })
}
