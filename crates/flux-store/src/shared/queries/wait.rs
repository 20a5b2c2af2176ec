//! Waiting, and being woken.
//!
//! A woken branch becomes ready and keeps what it waited for, so that its next owner gets the
//! signals and arrivals. Every wake statement looks at what is stored, so it may run at any time.

use flux_core::ports::branches::{Commit, NewBranch, Wait};
use uuid::Uuid;

use super::Conn;
use super::effects::Effects;
use super::submit;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const INSERT_CHILD: &str = "\
    INSERT INTO branch (id, run_id, parent_id, idx, root, state, epoch, commit_no, lost, \
        priority, pool, lane, due_at, node, created_at, updated_at, memory) \
    SELECT ?, run_id, id, ?, 0, 0, 0, 0, 0, priority, pool, lane, ?, ?, ?, ?, ? FROM branch WHERE id = ?";
/// Ready elsewhere. A paused run's branches stay where they are, and move when they go on.
pub(crate) const MOVE: &str =
    "UPDATE branch SET pool = ?, state = 0 WHERE id = ? AND pool <> '!paused'";
pub(crate) const WAKE_SIGNALLED: &str = "\
    UPDATE branch SET state = 0, due_at = ?, updated_at = ? \
    WHERE run_id = ? AND state = 2 AND signals_after IS NOT NULL AND EXISTS ( \
        SELECT 1 FROM signal WHERE signal.run_id = branch.run_id \
        AND signal.seq > branch.signals_after)";
pub(crate) const WAKE_JOINED: &str = "\
    UPDATE branch SET state = 0, due_at = ?, updated_at = ? \
    WHERE id = ? AND state = 2 AND join_ok IS NOT NULL AND ( \
        (SELECT count(*) FROM arrival WHERE arrival.run_id = branch.run_id \
            AND arrival.branch_id = branch.id AND ok = 1) >= join_ok \
        OR (SELECT count(*) FROM arrival WHERE arrival.run_id = branch.run_id \
            AND arrival.branch_id = branch.id AND ok = 0) >= join_fault)";

/// Creates what a branch waits for, and wakes it at once when that is there already.
pub(crate) async fn park(
    conn: &mut Conn,
    fx: &mut Effects,
    c: &Commit,
    wait: &Wait,
) -> Result<(), Fail> {
    for (index, branch) in (0..).zip(&wait.branches) {
        insert_child(conn, fx.now, c.branch.uuid(), index, branch).await?;
        fx.woke = true;
    }
    if let Some(pool) = &wait.pool {
        sql(MOVE)
            .text(pool)
            .id(c.branch.uuid())
            .execute(conn)
            .await?;
        fx.woke = true;
    }
    if let Some(child) = &wait.child {
        submit::start(conn, child, Some(c.branch.uuid())).await?;
        fx.woke = true;
    }
    settle(conn, fx, c.run.uuid(), c.branch.uuid(), wait).await
}

/// Wakes a branch that has just begun to wait for something that is there.
pub(crate) async fn settle(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
    branch: Uuid,
    wait: &Wait,
) -> Result<(), Fail> {
    if wait.signals_after.is_some() {
        wake_signalled(conn, fx, run).await?;
    }
    if wait.join.is_some() {
        wake_joined(conn, fx, branch).await?;
    }
    Ok(())
}

async fn insert_child(
    conn: &mut Conn,
    now: i64,
    parent: Uuid,
    index: i64,
    branch: &NewBranch,
) -> Result<(), Fail> {
    sql(INSERT_CHILD)
        .id(branch.id.uuid())
        .int(index)
        .int(now)
        .text(&branch.node)
        .int(now)
        .int(now)
        .text(&branch.memory)
        .id(parent)
        .execute(conn)
        .await?;
    Ok(())
}

/// Wakes the branches of a run for which a newer signal is there.
pub(crate) async fn wake_signalled(
    conn: &mut Conn,
    fx: &mut Effects,
    run: Uuid,
) -> Result<(), Fail> {
    let rows = sql(WAKE_SIGNALLED)
        .int(fx.now)
        .int(fx.now)
        .id(run)
        .execute(conn)
        .await?;
    fx.woke |= rows > 0;
    Ok(())
}

/// Wakes a branch when enough of what it waits for has arrived.
pub(crate) async fn wake_joined(
    conn: &mut Conn,
    fx: &mut Effects,
    branch: Uuid,
) -> Result<(), Fail> {
    let rows = sql(WAKE_JOINED)
        .int(fx.now)
        .int(fx.now)
        .id(branch)
        .execute(conn)
        .await?;
    fx.woke |= rows > 0;
    Ok(())
}
