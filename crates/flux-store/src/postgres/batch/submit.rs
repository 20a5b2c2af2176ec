//! Submissions of new runs.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::Integer;
use flux_core::ports::runs::{NewRun, Submitted, Taker};

use super::super::conn::Conn;
use super::super::dialect;
use super::super::shared::queries::submit::{of_request, require_definition, subscribe};
use super::super::shared::writer::Answer;
use super::super::{Id, RawId};
use crate::codec::pool;
use crate::error::Fail;
use crate::sql::sql;

/// Runs and their root branches, unless the run or its request is there; of each new one whether it has
/// gone to the taker. Values: arrays of run, chart, namespace, name, version, input, time, pool, priority,
/// request, trace, branch, memory, whether the taker wants it; then those of [`dialect::TAKER`].
pub(crate) const SUBMIT: &str = concat!(
    "WITH wanted AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
        AS w(id, chart, namespace, name, version, input, now, pool, priority, request_id, \
            traceparent, branch, memory, chosen)), \
    taker AS (",
    dialect::taker!(),
    "), \
    new AS (INSERT INTO run (id, chart, namespace, name, version, state, input, started_at, \
            parent_branch, attached, pool, priority, request_id, traceparent) \
        SELECT id, chart, namespace, name, version, 0, input, now, NULL, 0, pool, priority, \
            request_id, traceparent FROM wanted \
        ON CONFLICT DO NOTHING RETURNING id), \
    first AS (INSERT INTO branch (id, run_id, parent_id, idx, root, state, epoch, owner, commit_no, \
            lost, priority, pool, due_at, node, created_at, updated_at, memory) \
        SELECT w.branch, w.id, NULL, 0, 1, num_nonnulls(taker.incarnation), \
            num_nonnulls(taker.incarnation), taker.incarnation, 0, 0, w.priority, w.pool, w.now, '/', \
            w.now, w.now, w.memory \
        FROM wanted w JOIN new ON new.id = w.id LEFT JOIN taker ON w.chosen = 1 \
        RETURNING run_id, owner) \
    SELECT run_id, CAST(owner IS NOT NULL AS INTEGER) FROM first"
);

/// What one request wants to start, and who takes a part of it.
pub(super) type Submission<'w> = (usize, &'w [NewRun], Option<&'w Taker>);

pub(super) async fn all(
    conn: &mut Conn,
    submissions: &[Submission<'_>],
    answers: &mut [Option<Answer>],
) -> Result<(), Fail> {
    if submissions.is_empty() {
        return Ok(());
    }
    let runs: Vec<&NewRun> = submissions.iter().flat_map(|(_, runs, _)| *runs).collect();
    let mut charts = HashSet::new();
    for run in &runs {
        if charts.insert(&run.chart) {
            require_definition(conn, run).await?;
        }
    }
    let mut new = insert(conn, &runs, submissions).await?;
    for run in &runs {
        if !run.listens.is_empty() && new.contains_key(&run.id.uuid()) {
            subscribe(conn, run.id, &run.listens).await?;
        }
    }
    for (place, runs, _) in submissions {
        let mut submitted = Vec::with_capacity(runs.len());
        for run in *runs {
            // The first of two with one id is the new one.
            let taken = new.remove(&run.id.uuid());
            let started = match (&run.request_id, taken) {
                (Some(request), None) => of_request(conn, request).await?.unwrap_or(run.id),
                _ => run.id,
            };
            submitted.push(Submitted {
                run: started,
                new: taken.is_some(),
                taken: taken == Some(1),
            });
        }
        answers[*place] = Some(Answer::Submitted(submitted));
    }
    Ok(())
}

/// The new ones, each with whether the taker has it.
async fn insert(
    conn: &mut Conn,
    runs: &[&NewRun],
    submissions: &[Submission<'_>],
) -> Result<HashMap<RawId, i32>, Fail> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    // The others of another one are ready, as if they had come later.
    let taker = submissions.iter().find_map(|(_, _, taker)| *taker);
    let is_one =
        |other: &Taker| taker.is_some_and(|t| (t.owner, &t.pool) == (other.owner, &other.pool));
    let chosen = submissions.iter().flat_map(|(_, runs, other)| match other {
        Some(other) if is_one(other) => other.choose(runs),
        _ => vec![false; runs.len()],
    });
    let taker_pool = pool(taker.and_then(|taker| taker.pool.as_deref()));
    let each = || runs.iter().copied();
    let rows: Vec<(RawId, i32)> = sql(SUBMIT)
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
        .ints(chosen.map(i64::from).collect())
        .maybe_id(taker.map(|taker| taker.owner.uuid()))
        .text(taker_pool)
        .text(taker_pool)
        .rows::<(Id, Integer)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().collect())
}
