//! Removing runs that ended long ago, with everything that is kept for them.

use flux_core::clock::Timestamp;
use uuid::Uuid;

use super::{Conn, Id, RawId};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

/// Ended runs, oldest first, but none that a branch of an unfinished run waited for. That branch
/// may have ended before its run.
pub(crate) const OLD: &str = "\
    SELECT id FROM run WHERE state <> 0 AND ended_at < ? AND NOT (attached = 1 AND ( \
        EXISTS (SELECT 1 FROM branch WHERE branch.id = run.parent_branch) \
        OR run.parent_branch IN (SELECT ended_branch.id FROM run AS unfinished \
            JOIN ended_branch ON ended_branch.run_id = unfinished.id \
            WHERE unfinished.state = 0))) \
    ORDER BY seq LIMIT ?";
pub(crate) const REMOVE: [&str; 8] = [
    "DELETE FROM history WHERE run_id = ?",
    "DELETE FROM takeover WHERE run_id = ?",
    "DELETE FROM ended_branch WHERE run_id = ?",
    "DELETE FROM subscription WHERE run_id = ?",
    "DELETE FROM inbox WHERE run_id = ?",
    "DELETE FROM signal WHERE run_id = ?",
    "DELETE FROM arrival WHERE run_id = ?",
    "DELETE FROM run WHERE id = ?",
];

/// Removes at most `limit` runs that ended before `before`; how many.
pub(crate) async fn prune(conn: &mut Conn, before: Timestamp, limit: u32) -> Result<u64, Fail> {
    let rows: Vec<(RawId,)> = sql(OLD)
        .int(before.as_micros())
        .int(i64::from(limit))
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    let count = rows.len() as u64;
    for (id,) in rows {
        let at = At {
            table: "run",
            row: &"old",
        };
        remove(conn, at.id("id", &id)?).await?;
    }
    Ok(count)
}

/// Removes a run.
pub(crate) async fn remove(conn: &mut Conn, run: Uuid) -> Result<(), Fail> {
    for text in REMOVE {
        sql(text).id(run).execute(conn).await?;
    }
    Ok(())
}
