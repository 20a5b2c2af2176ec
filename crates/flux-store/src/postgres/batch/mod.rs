//! Many writes in few statements.
//!
//! A statement costs a round trip, so what comes most often (a commit after which the branch goes on, the
//! end of a run with one branch, a submission) is written for the whole tick at once, from arrays.
//! Each is still judged on its own, by the same fence, and answered on its own. What is rarer goes
//! one by one through the shared queries.

pub(super) mod advance;
pub(super) mod finish;
pub(super) mod submit;

use std::collections::{BTreeSet, HashSet};

use flux_core::ports::branches::{Commit, Then};
use uuid::Uuid;

use super::conn::Conn;
use super::shared::queries::claim::RunRow;
use super::shared::writer::{Answer, Write};
use super::{Id, RawId};
use crate::error::Fail;
use crate::sql::sql;

/// Does what can be done together; `None` where a write is left to be done alone: also a commit whose
/// guard finds no row, which the shared query then tells apart from one that was stored before.
pub(crate) async fn apply(conn: &mut Conn, writes: &[&Write]) -> Result<Vec<Option<Answer>>, Fail> {
    let mut answers: Vec<Option<Answer>> = writes.iter().map(|_| None).collect();
    let (mut advances, mut ends, mut submissions) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (place, write) in writes.iter().enumerate() {
        match write {
            Write::Commit(c) if seen.insert(c.branch) && is_plain(c) => match &c.then {
                Then::Run => advances.push((place, &**c)),
                Then::End { outcome, .. } => ends.push((place, &**c, outcome)),
                Then::Wait(_) => {}
            },
            Write::Submit(runs, taker) => {
                submissions.push((place, runs.as_slice(), taker.as_ref()));
            }
            _ => {}
        }
    }
    advance::all(conn, &advances, &mut answers).await?;
    finish::all(conn, &ends, &mut answers).await?;
    submit::all(conn, &submissions, &mut answers).await?;
    Ok(answers)
}

/// Who makes these commits, each once.
fn owners<'c>(commits: impl Iterator<Item = &'c Commit>) -> Vec<Uuid> {
    let owners: BTreeSet<Uuid> = commits.map(|c| c.fence.owner.uuid()).collect();
    owners.into_iter().collect()
}

/// Whether it changes nothing but its branch, and its run when that ends.
fn is_plain(c: &Commit) -> bool {
    c.consumed.is_empty() && c.published.is_empty() && c.join_over.is_none() && c.spawned.is_empty()
}

/// What a claim wants to know of the runs of its branches.
pub(crate) async fn runs_of_claim(
    conn: &mut Conn,
    runs: Vec<Uuid>,
) -> Result<Vec<(Uuid, RunRow)>, Fail> {
    use diesel::sql_types::{BigInt, Nullable, Text};
    type Row = (RawId, String, String, i64, Option<String>);
    type Types = (Id, Text, Text, BigInt, Nullable<Text>);
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = sql(RUNS_OF_CLAIM)
        .ids(runs)
        .rows::<Types>()
        .load(conn)
        .await?;
    let named = |(id, chart, input, at, trace): Row| (id, (chart, input, at, trace));
    Ok(rows.into_iter().map(named).collect())
}

pub(crate) const RUNS_OF_CLAIM: &str =
    "SELECT id, chart, input, started_at, traceparent FROM run WHERE id = ANY(?)";
