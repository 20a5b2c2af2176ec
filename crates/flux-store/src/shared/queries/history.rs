//! Looking at commit points, takeovers and failovers.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::runs::{FailoverRecord, HistoryRecord, Resumed, TakeoverRecord};

use super::{Conn, Id, RawId};
use crate::codec::{At, time};
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const OF_RUN: &str = "\
    SELECT branch_id, commit_no, epoch, engine, at, node, events FROM history WHERE run_id = ? \
    UNION ALL \
    SELECT branch_id, commit_no, epoch, engine, at, node, events FROM takeover WHERE run_id = ? \
    ORDER BY 5, 1, 2, 3";
pub(crate) const FAILOVERS: &str = "\
    SELECT incarnation, name, heartbeat_seq, heartbeat_at, convicted_by, convicted_by_name, at, \
        evidence, branches FROM failover ORDER BY seq DESC LIMIT ?";
/// Each with the commit after it, if there is one, and who runs the branch now.
pub(crate) const TAKEOVERS: &str = "\
    SELECT t.run_id, t.branch_id, t.epoch, t.commit_no, t.at, t.node, t.events, \
        h.engine, h.at, m.name, b.updated_at, CASE WHEN b.id IS NULL THEN 0 ELSE 1 END \
    FROM takeover AS t \
    LEFT JOIN history AS h ON h.run_id = t.run_id AND h.branch_id = t.branch_id \
        AND h.commit_no = t.commit_no + 1 \
    LEFT JOIN branch AS b ON b.id = t.branch_id \
    LEFT JOIN member AS m ON m.incarnation = b.owner \
    WHERE t.incarnation = ? ORDER BY t.at, t.run_id, t.branch_id LIMIT ?";

type Row = (RawId, i64, i64, String, i64, String, String);
type Types = (Id, BigInt, BigInt, Text, BigInt, Text, Text);

/// The commit points and takeovers of a run, oldest first.
pub(crate) async fn of_run(conn: &mut Conn, run: RunId) -> Result<Vec<HistoryRecord>, Fail> {
    let rows: Vec<Row> = sql(OF_RUN)
        .id(run.uuid())
        .id(run.uuid())
        .rows::<Types>()
        .load(conn)
        .await?;
    let at_row = At {
        table: "history",
        row: &run,
    };
    rows.into_iter()
        .map(|(branch, commit_no, epoch, engine, at, node, events)| {
            Ok(HistoryRecord {
                branch: BranchId::new(at_row.id("branch_id", &branch)?),
                commit_no: CommitNo(at_row.count("commit_no", commit_no)?),
                epoch: Epoch(at_row.count("epoch", epoch)?),
                engine,
                at: time(at),
                node,
                events,
            })
        })
        .collect()
}

/// The engines that were declared dead, newest first.
pub(crate) async fn failovers(conn: &mut Conn, limit: u32) -> Result<Vec<FailoverRecord>, Fail> {
    type Row = (RawId, String, i64, i64, RawId, String, i64, String, i64);
    type Types = (Id, Text, BigInt, BigInt, Id, Text, BigInt, Text, BigInt);
    let rows: Vec<Row> = sql(FAILOVERS)
        .int(i64::from(limit))
        .rows::<Types>()
        .load(conn)
        .await?;
    rows.into_iter()
        .map(
            |(from, from_name, seq, beat, by, by_name, at, evidence, branches)| {
                let row = At {
                    table: "failover",
                    row: &from_name.clone(),
                };
                Ok(FailoverRecord {
                    from: Incarnation::new(row.id("incarnation", &from)?),
                    from_name,
                    heartbeat_seq: row.count("heartbeat_seq", seq)?,
                    heartbeat_at: time(beat),
                    by: Incarnation::new(row.id("convicted_by", &by)?),
                    by_name,
                    at: time(at),
                    evidence,
                    branches: row.count("branches", branches)?,
                })
            },
        )
        .collect()
}

type Freed = (RawId, RawId, i64, i64, i64, String, String);
type FreedTypes = (Id, Id, BigInt, BigInt, BigInt, Text, Text);
/// Engine and time of the next commit; name of the owner and last change; whether it is open.
type After = (
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    i32,
);
type AfterTypes = (
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
    Integer,
);

/// The branches that were freed from a dead engine, those that were freed first first.
pub(crate) async fn takeovers(
    conn: &mut Conn,
    from: Incarnation,
    limit: u32,
) -> Result<Vec<TakeoverRecord>, Fail> {
    let rows: Vec<(Freed, After)> = sql(TAKEOVERS)
        .id(from.uuid())
        .int(i64::from(limit))
        .rows::<(FreedTypes, AfterTypes)>()
        .load(conn)
        .await?;
    let rows = rows.into_iter();
    rows.map(|(freed, after)| takeover(freed, after)).collect()
}

fn takeover(
    (run, branch, epoch, commit_no, at, node, events): Freed,
    after: After,
) -> Result<TakeoverRecord, Fail> {
    let row = At {
        table: "takeover",
        row: &node.clone(),
    };
    let events = serde_json::from_str::<serde_json::Value>(&events);
    let events = events.map_err(|error| row.corrupt("events", error))?;
    Ok(TakeoverRecord {
        branch: BranchId::new(row.id("branch_id", &branch)?),
        run: RunId::new(row.id("run_id", &run)?),
        epoch: Epoch(row.count("epoch", epoch)?),
        commit_no: CommitNo(row.count("commit_no", commit_no)?),
        node,
        lost: row.small("events", events[0]["lost"].as_i64().unwrap_or_default())?,
        poisoned: events[0]["poisoned"] == true,
        at: time(at),
        resumed: resumed(after),
    })
}

fn resumed(after: After) -> Resumed {
    match after {
        (Some(engine), Some(at), ..) | (_, _, Some(engine), Some(at), _) => Resumed::By {
            engine,
            at: time(at),
        },
        (.., 1) => Resumed::NotYet,
        _ => Resumed::Never,
    }
}
