//! Looking at runs.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::branch::RunState;
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::runs::{RunFilter, RunRecord};

use super::{Conn, Id, RawId};
use crate::codec::{At, pool_name, run_state, time};
use crate::error::Fail;
use crate::sql::sql;

/// A run with the state that its branches give it.
pub(crate) const SHOWN: &str = "\
    SELECT id, chart, namespace, name, version, input, outcome, started_at, ended_at, \
        CASE WHEN attached = 1 THEN parent_branch END, pool, priority, seq, \
        CASE WHEN state <> 0 THEN state ELSE (SELECT CASE \
            WHEN count(*) = 0 THEN 1 \
            WHEN max(epoch) = 0 AND max(commit_no) = 0 \
                AND count(CASE WHEN branch.pool = '!paused' THEN 1 END) = 0 THEN 0 \
            WHEN count(CASE WHEN branch.state = 1 THEN 1 END) > 0 THEN 1 \
            WHEN count(CASE WHEN branch.pool = '!paused' THEN 1 END) > 0 THEN 3 \
            WHEN count(CASE WHEN branch.state = 0 THEN 1 END) > 0 THEN 1 \
            ELSE 2 END FROM branch WHERE branch.run_id = run.id) END AS shown \
    FROM run";

type Row = (
    RawId,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    i64,
    Option<i64>,
    Option<RawId>,
    String,
    i32,
    i64,
    i32,
);
type Types = (
    Id,
    Text,
    Text,
    Text,
    Text,
    Text,
    Nullable<Text>,
    BigInt,
    Nullable<BigInt>,
    Nullable<Id>,
    Text,
    Integer,
    BigInt,
    Integer,
);

pub(crate) async fn run(conn: &mut Conn, id: RunId) -> Result<Option<RunRecord>, Fail> {
    let text = format!("{SHOWN} WHERE id = ?");
    let rows: Vec<Row> = sql(text).id(id.uuid()).rows::<Types>().load(conn).await?;
    rows.into_iter().next().map(record).transpose()
}

/// Runs that pass the filter, newest first.
pub(crate) async fn list(conn: &mut Conn, filter: &RunFilter) -> Result<Vec<RunRecord>, Fail> {
    let text = list_text(&filter.states);
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

/// Goes down the runs by number, so that it can stop at its limit; down the open ones alone when
/// no others are wanted, because they are few among many. Values: namespace and name, each twice,
/// since, the run that it begins after, limit.
pub(crate) fn list_text(states: &[RunState]) -> String {
    let numbers = states.iter().map(|state| run_state(*state).to_string());
    let numbers = numbers.collect::<Vec<_>>().join(", ");
    let (of_states, open) = match states {
        [] => (String::new(), ""),
        _ if states.iter().any(|state| state.is_final()) => {
            (format!("AND shown IN ({numbers})"), "")
        }
        _ => (format!("AND shown IN ({numbers})"), "AND state = 0"),
    };
    format!(
        "SELECT * FROM ({SHOWN} WHERE (? IS NULL OR namespace = ?) AND (? IS NULL OR name = ?) \
            AND started_at >= ? AND seq < coalesce((SELECT seq FROM run WHERE id = ?), \
            9223372036854775807) {open}) AS runs \
         WHERE 1 = 1 {of_states} ORDER BY seq DESC LIMIT ?"
    )
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
    Ok(RunRecord {
        id: RunId::new(at.id("id", &row.0)?),
        name: WorkflowName {
            namespace: row.2,
            name: row.3,
            version: row.4,
        },
        chart: ChartId(row.1),
        state: at.run_state(row.13)?,
        input: row.5,
        outcome,
        started_at: time(row.7),
        ended_at: row.8.map(time),
        parent: at
            .maybe_id("parent_branch", row.9.as_ref())?
            .map(BranchId::new),
        pool: pool_name(row.10),
        priority: row.11,
    })
}
