//! Giving a branch back at its commit point.

use flux_core::ports::branches::{Release, ReleaseTo};

use super::effects::Effects;
use super::wait;
use super::{Conn, Id, RawId};
use crate::codec::signed;
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const RELEASE: &str = "\
    UPDATE branch SET state = ?, owner = NULL, due_at = ?, signals_after = ?, join_ok = ?, \
        join_fault = ?, updated_at = ? \
    WHERE id = ? AND owner IS NOT DISTINCT FROM ? AND epoch = ? AND commit_no = ?";
pub(crate) const RELEASE_READY: &str = "\
    UPDATE branch SET state = 0, owner = NULL, due_at = ?, updated_at = ? \
    WHERE id = ? AND owner IS NOT DISTINCT FROM ? AND epoch = ? AND commit_no = ?";

/// Gives the branch back; false when fenced.
pub(crate) async fn release(
    conn: &mut Conn,
    fx: &mut Effects,
    release: &Release,
) -> Result<bool, Fail> {
    let statement = match &release.to {
        // What it waited for is kept, so that its next owner is told it again.
        ReleaseTo::Ready => sql(RELEASE_READY).int(fx.now),
        ReleaseTo::Wait(wait) => sql(RELEASE)
            .int(2)
            .int(wait.due_at.map(|due| due.as_micros()))
            .int(wait.signals_after.map(signed))
            .int(wait.join.map(|join| i64::from(join.ok)))
            .int(wait.join.map(|join| i64::from(join.fault))),
    };
    let rows = statement
        .int(fx.now)
        .id(release.branch.uuid())
        .id(release.fence.owner.uuid())
        .int(signed(release.fence.epoch.get()))
        .int(signed(release.fence.commit_no.get()))
        .execute(conn)
        .await?;
    if let (1, ReleaseTo::Wait(wait)) = (rows, &release.to) {
        settle(conn, fx, release, wait).await?;
    }
    Ok(rows == 1)
}

async fn settle(
    conn: &mut Conn,
    fx: &mut Effects,
    release: &Release,
    wait: &flux_core::ports::branches::Wait,
) -> Result<(), Fail> {
    let branch = release.branch.uuid();
    let rows: Vec<(RawId,)> = sql(super::end::RUN_OF_BRANCH)
        .id(branch)
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    let Some((run,)) = rows.as_slice().first() else {
        return Ok(());
    };
    let run = crate::codec::At {
        table: "branch",
        row: &branch,
    }
    .id("run_id", run)?;
    wait::settle(conn, fx, run, branch, wait).await
}
