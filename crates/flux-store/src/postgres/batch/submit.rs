//! Submissions of new runs.

use std::collections::HashSet;

use flux_core::ports::runs::{NewRun, Submitted};

use super::super::conn::Conn;
use super::super::shared::queries::submit::{of_request, require_definition, subscribe};
use super::super::shared::writer::Answer;
use super::super::{Id, RawId};
use crate::codec::pool;
use crate::error::Fail;
use crate::sql::sql;

/// Runs and their root branches, unless the run or its request is there. Values: arrays of run, chart,
/// namespace, name, version, input, time, pool, priority, request, trace, branch, memory.
pub(crate) const SUBMIT: &str = "\
    WITH wanted AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
        AS w(id, chart, namespace, name, version, input, now, pool, priority, request_id, \
            traceparent, branch, memory)), \
    new AS (INSERT INTO run (id, chart, namespace, name, version, state, input, started_at, \
            parent_branch, attached, pool, priority, request_id, traceparent) \
        SELECT id, chart, namespace, name, version, 0, input, now, NULL, 0, pool, priority, \
            request_id, traceparent FROM wanted \
        ON CONFLICT DO NOTHING RETURNING id), \
    ready AS (INSERT INTO branch (id, run_id, parent_id, idx, root, state, epoch, commit_no, \
            lost, priority, pool, due_at, node, created_at, updated_at, memory) \
        SELECT w.branch, w.id, NULL, 0, 1, 0, 0, 0, 0, w.priority, w.pool, w.now, '/', w.now, \
            w.now, w.memory FROM wanted w JOIN new ON new.id = w.id) \
    SELECT id FROM new";

pub(super) async fn all(
    conn: &mut Conn,
    submissions: &[(usize, &[NewRun])],
    answers: &mut [Option<Answer>],
) -> Result<(), Fail> {
    if submissions.is_empty() {
        return Ok(());
    }
    let runs: Vec<&NewRun> = submissions.iter().flat_map(|(_, runs)| *runs).collect();
    let mut charts = HashSet::new();
    for run in &runs {
        if charts.insert(&run.chart) {
            require_definition(conn, run).await?;
        }
    }
    let mut new = insert(conn, &runs).await?;
    for run in &runs {
        if !run.listens.is_empty() && new.contains(&run.id.uuid()) {
            subscribe(conn, run.id, &run.listens).await?;
        }
    }
    for (place, runs) in submissions {
        let mut submitted = Vec::with_capacity(runs.len());
        for run in *runs {
            // The first of two with one id is the new one.
            let is_new = new.remove(&run.id.uuid());
            let started = match (&run.request_id, is_new) {
                (Some(request), false) => of_request(conn, request).await?.unwrap_or(run.id),
                _ => run.id,
            };
            submitted.push(Submitted {
                run: started,
                new: is_new,
            });
        }
        answers[*place] = Some(Answer::Submitted(submitted));
    }
    Ok(())
}

async fn insert(conn: &mut Conn, runs: &[&NewRun]) -> Result<HashSet<RawId>, Fail> {
    if runs.is_empty() {
        return Ok(HashSet::new());
    }
    let each = || runs.iter().copied();
    let rows: Vec<(RawId,)> = sql(SUBMIT)
        .ids(each().map(|run| run.id.uuid()).collect())
        .texts(each().map(|run| run.chart.0.as_str()))
        .texts(each().map(|run| run.name.namespace.as_str()))
        .texts(each().map(|run| run.name.name.as_str()))
        .texts(each().map(|run| run.name.version.as_str()))
        .texts(each().map(|run| run.input.as_str()))
        .ints(each().map(|run| run.at.as_micros()).collect())
        .texts(each().map(|run| pool(run.pool.as_deref())))
        .ints(each().map(|run| i64::from(run.priority)).collect())
        .maybe_texts(each().map(|run| run.request_id.as_deref()))
        .maybe_texts(each().map(|run| run.traceparent.as_deref()))
        .ids(each().map(|run| run.branch.uuid()).collect())
        .texts(each().map(|run| run.memory.as_str()))
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
