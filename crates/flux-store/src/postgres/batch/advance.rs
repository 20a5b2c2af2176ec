//! Commits after which the branch goes on with its owner.

use std::collections::HashMap;

use diesel::sql_types::Integer;
use flux_core::ports::branches::{Commit, Committed};

use super::super::conn::Conn;
use super::super::shared::queries::commit::mark;
use super::super::shared::writer::Answer;
use super::super::{Id, RawId};
use super::owners;
use crate::codec::signed;
use crate::error::Fail;
use crate::sql::sql;

/// The guards, and the history of those that found their row. `ANY` keeps the plan on the primary
/// keys, whatever the statistics say, and nothing fits the condition of a partial index. Values: arrays of
/// branch, owner, epoch, commit number, mark, memory, node, run, events, time; then the branches and the
/// owners again.
pub(crate) const ADVANCE: &str = "\
    WITH wanted AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
        AS w(id, owner, epoch, commit_no, mark, memory, node, run_id, events, now)), \
    done AS (UPDATE branch SET commit_no = branch.commit_no + 1, last_commit = w.mark, lost = 0, \
            memory = w.memory, node = w.node, updated_at = w.now, \
            signals_after = NULL, join_ok = NULL, join_fault = NULL \
        FROM wanted w WHERE branch.id = ANY(?) AND branch.id = w.id \
            AND branch.owner IS NOT DISTINCT FROM w.owner AND branch.epoch = w.epoch AND branch.commit_no = w.commit_no \
        RETURNING branch.id, branch.pool = '!paused' AS paused, \
            w.run_id, branch.commit_no, w.epoch, w.owner, w.now, w.node, w.events), \
    kept AS (INSERT INTO history (run_id, branch_id, commit_no, epoch, engine, at, node, events) \
        SELECT run_id, id, commit_no, epoch, coalesce(owners.name, ''), now, node, events \
        FROM done LEFT JOIN (SELECT incarnation, name FROM member WHERE incarnation = ANY(?)) AS owners \
            ON owners.incarnation = done.owner) \
    SELECT id, CAST(paused AS INTEGER) FROM done";

pub(super) async fn all(
    conn: &mut Conn,
    commits: &[(usize, &Commit)],
    answers: &mut [Option<Answer>],
) -> Result<(), Fail> {
    if commits.is_empty() {
        return Ok(());
    }
    let ids = || commits.iter().map(|(_, c)| c.branch.uuid()).collect();
    let each = || commits.iter().map(|(_, c)| *c);
    let statement = sql(ADVANCE)
        .ids(ids())
        .ids(each().map(|c| c.fence.owner.uuid()).collect())
        .ints(each().map(|c| signed(c.fence.epoch.get())).collect())
        .ints(each().map(|c| signed(c.fence.commit_no.get())).collect())
        .ids(each().map(mark).collect())
        .texts(each().map(|c| c.memory.as_str()))
        .texts(each().map(|c| c.node.as_str()))
        .ids(each().map(|c| c.run.uuid()).collect())
        .texts(each().map(|c| c.history.as_str()))
        .ints(each().map(|c| c.now.as_micros()).collect())
        .ids(ids())
        .ids(owners(each()))
        .rows::<(Id, Integer)>();
    let rows: Vec<(RawId, i32)> = conn
        .with_hash_joins(async |conn| statement.load(conn).await)
        .await?;
    let done: HashMap<RawId, i32> = rows.into_iter().collect();
    for (place, c) in commits {
        if let Some(paused) = done.get(&c.branch.uuid()) {
            answers[*place] = Some(Answer::Committed(Committed::Yes {
                commit_no: c.fence.commit_no.next(),
                woke: false,
                cancelled: Vec::new(),
                paused: *paused == 1,
            }));
        }
    }
    Ok(())
}
