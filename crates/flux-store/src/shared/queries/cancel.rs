//! Cancelling branches and runs, with everything that was started for them.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::chart::Rest;
use flux_core::ids::BranchId;
use flux_core::ports::runs::Outcome;
use uuid::Uuid;

use super::effects::Effects;
use super::end::{self, Ending};
use super::{Conn, Id, RawId};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const REMOVE_CHILDREN: &str = "\
    DELETE FROM branch WHERE parent_id = ? RETURNING id, run_id, parent_id, idx, root, epoch, \
        commit_no, lost, node, created_at, last_commit, owner";
pub(crate) const REMOVE_OF_RUN: &str = "\
    DELETE FROM branch WHERE run_id = ? RETURNING id, run_id, parent_id, idx, root, epoch, \
        commit_no, lost, node, created_at, last_commit, owner";
pub(crate) const CHILD_RUNS: &str =
    "SELECT id FROM run WHERE parent_branch = ? AND attached = 1 AND ended_at IS NULL";
pub(crate) const CUT_LOOSE: [&str; 2] = [
    "UPDATE branch SET parent_id = NULL WHERE parent_id = ?",
    "UPDATE run SET attached = 0 WHERE parent_branch = ? AND ended_at IS NULL",
];
pub(crate) const FORGET_ARRIVALS: &str = "DELETE FROM arrival WHERE run_id = ? AND branch_id = ?";

/// What is still to be cancelled.
enum Doomed {
    /// The branches that this one split off, and the child run that it waits for.
    OffspringOf(Uuid),
    /// A run.
    Run(Uuid),
}

/// A join is over: its arrivals are consumed, and what has not ended is cancelled or cut loose.
/// What is cut loose goes on until its run ends; its end arrives nowhere.
pub(crate) async fn join_over(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    branch: Uuid,
    rest: Rest,
) -> Result<(), Fail> {
    sql(FORGET_ARRIVALS)
        .id(run)
        .id(branch)
        .execute(conn)
        .await?;
    match rest {
        Rest::Cancel => offspring(conn, fx, branch).await,
        Rest::Leave => {
            for text in CUT_LOOSE {
                sql(text).id(branch).execute(conn).await?;
            }
            Ok(())
        }
    }
}

/// Cancels what was started for a branch.
pub(crate) async fn offspring(conn: &mut Conn, fx: &mut Effects, of: Uuid) -> Result<(), Fail> {
    work_off(conn, fx, vec![Doomed::OffspringOf(of)]).await
}

/// Cancels the branches of a run that has ended.
pub(crate) async fn branches_of(conn: &mut Conn, fx: &mut Effects, run: Uuid) -> Result<(), Fail> {
    let mut doomed = Vec::new();
    remove(conn, fx, REMOVE_OF_RUN, run, &mut doomed).await?;
    work_off(conn, fx, doomed).await
}

async fn work_off(conn: &mut Conn, fx: &mut Effects, mut doomed: Vec<Doomed>) -> Result<(), Fail> {
    while let Some(next) = doomed.pop() {
        match next {
            Doomed::OffspringOf(branch) => {
                remove(conn, fx, REMOVE_CHILDREN, branch, &mut doomed).await?;
                let runs: Vec<(RawId,)> = sql(CHILD_RUNS)
                    .id(branch)
                    .rows::<(Id,)>()
                    .load(conn)
                    .await?;
                for (run,) in runs {
                    let run = At {
                        table: "run",
                        row: &branch,
                    }
                    .id("id", &run)?;
                    doomed.push(Doomed::Run(run));
                }
            }
            Doomed::Run(run) => {
                // Whoever waited for it is cancelled too, or has stopped waiting: nobody is told.
                let closed = end::close(conn, fx, run, &Outcome::Cancelled).await?;
                end::after(conn, fx, run, closed.is_some_and(|closed| closed.scheduled)).await?;
                remove(conn, fx, REMOVE_OF_RUN, run, &mut doomed).await?;
                end::clear(conn, run).await?;
            }
        }
    }
    Ok(())
}

type Row = (
    RawId,
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
    Option<RawId>,
);
type Types = (
    Id,
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
    Nullable<Id>,
);

/// Moves branches out of the hot table; their epoch is raised, so that their owners are fenced.
async fn remove(
    conn: &mut Conn,
    fx: &mut Effects,
    text: &'static str,
    of: Uuid,
    doomed: &mut Vec<Doomed>,
) -> Result<(), Fail> {
    let rows: Vec<Row> = sql(text).id(of).rows::<Types>().load(conn).await?;
    for row in rows {
        let owned = row.11.is_some();
        let ending = cancelled(of, row)?;
        end::bury(conn, fx.now, &ending, None).await?;
        if owned {
            fx.cancelled.push(BranchId::new(ending.branch));
        }
        doomed.push(Doomed::OffspringOf(ending.branch));
    }
    Ok(())
}

fn cancelled(of: Uuid, row: Row) -> Result<Ending, Fail> {
    let (id, run, parent, index, root, epoch, commit_no, lost, node, created_at, last_commit, _) =
        row;
    let at = At {
        table: "branch",
        row: &of,
    };
    Ok(Ending {
        branch: at.id("id", &id)?,
        run: at.id("run_id", &run)?,
        parent: at.maybe_id("parent_id", parent.as_ref())?,
        index,
        root: root == 1,
        epoch: epoch.saturating_add(1),
        commit_no,
        lost,
        node,
        created_at,
        last_commit: at.maybe_id("last_commit", last_commit.as_ref())?,
        memory: None,
    })
}
