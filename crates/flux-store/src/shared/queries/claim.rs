//! Taking branches.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::chart::ChartId;
use flux_core::ids::{BranchId, CommitNo, Epoch, RunId, SignalId};
use flux_core::labels::{is_private, serves};
use flux_core::ports::branches::{Arrival, ClaimRequest, Claimed, Claims, Fence, Ready, Throttled};
use flux_core::ports::runs::Signal;
use flux_core::throttle::Queue;
use uuid::Uuid;

use super::{Conn, Id, RawId, batch, dialect, lanes};
use crate::codec::{At, pool, pool_name, time};
use crate::error::Fail;
use crate::sql::sql;

/// Waiting branches that become ready in one claim at least, so that a small claim does not leave
/// an urgent branch behind many that are less so.
const PROMOTE_AT_LEAST: u32 = 256;

/// Signals handed over with a claim.
const MAX_SIGNALS: i64 = 100;

pub(crate) const READY: &str = "\
    SELECT count(*) FROM (SELECT 1 FROM branch WHERE pool = ? AND state = 0 AND lane IS NULL LIMIT ?) AS ready";
pub(crate) const REQUIRED: &str = "SELECT pool FROM requirement ORDER BY pool";
pub(crate) const SIGNALS_AFTER: &str = "\
    SELECT seq, kind, json FROM signal WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?";
pub(crate) const ARRIVALS: &str = "\
    SELECT idx, outcome, context FROM arrival WHERE run_id = ? AND branch_id = ? ORDER BY idx";

pub(crate) const LEAVE: &str = "UPDATE branch SET state = 0, owner = NULL WHERE id = ?";

/// A branch that was taken; its urgency comes last.
pub(crate) type Row = (
    RawId,
    RawId,
    i64,
    i64,
    i64,
    String,
    Option<i64>,
    Option<i64>,
    String,
    i64,
);
type RowTypes = (
    Id,
    Id,
    BigInt,
    BigInt,
    BigInt,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Text,
    BigInt,
);
pub(crate) type RunRow = (String, String, i64, Option<String>);

/// Takes due branches, the most urgent first; nothing unless the claimer is alive.
pub(crate) async fn claim(conn: &mut Conn, request: &ClaimRequest) -> Result<Claims, Fail> {
    let now = request.now.as_micros();
    let alive: Vec<(i32,)> = sql(dialect::ALIVE)
        .text(pool(request.pool.as_deref()))
        .id(request.owner.uuid())
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    let Some((throttled,)) = alive.into_iter().next() else {
        return Ok(Claims::default());
    };
    let pools = pools(conn, request).await?;
    let at_least = i64::from(request.limit.max(PROMOTE_AT_LEAST));
    for pool in &pools {
        let promote = sql(dialect::PROMOTE_DUE).int(now).text(pool).int(now);
        promote.int(at_least).execute(conn).await?;
    }
    let (mut rows, left) = match (&pools[..], throttled) {
        ([pool], 0) => (
            most_urgent(conn, request, pool, From::Common, request.limit).await?,
            Throttled::default(),
        ),
        _ => lanes::take(conn, request, &pools).await?,
    };
    leave_suspects(conn, i64::from(request.alone_from), &mut rows).await?;
    let runs = runs_of(conn, &rows).await?;
    let mut branches = Vec::with_capacity(rows.len());
    for row in rows {
        branches.push(claimed(conn, request, row, &runs).await?);
    }
    let ready = ready(conn, &pools, request.count).await?;
    Ok(Claims {
        branches,
        ready,
        throttled: left,
    })
}

/// The pools that the claimer serves, the common or private one first.
async fn pools(conn: &mut Conn, request: &ClaimRequest) -> Result<Vec<String>, Fail> {
    let own = request.pool.as_deref();
    if own.is_none() || is_private(own) {
        return Ok(vec![pool(own).to_owned()]);
    }
    let required: Vec<(String,)> = sql(REQUIRED).rows::<(Text,)>().load(conn).await?;
    let required = required.into_iter().map(|(pool,)| pool);
    let mut pools = vec![String::new()];
    pools.extend(required.filter(|pool| serves(own, Some(pool))));
    Ok(pools)
}

/// Where branches are taken from.
#[derive(Clone, Copy)]
pub(crate) enum From<'q> {
    /// The common queue, when there are no throttles.
    Common,
    /// The common queue, past what is throttled.
    Unthrottled,
    Lane(&'q str),
}

impl<'q> From<'q> {
    pub(crate) fn of(queue: &'q Queue) -> From<'q> {
        queue.lane.as_deref().map_or(From::Unthrottled, From::Lane)
    }
}

/// How urgent a branch is that was taken.
pub(crate) fn urgency(row: &Row) -> i64 {
    row.9
}

/// The most urgent ones of a queue, in this order.
pub(crate) async fn most_urgent(
    conn: &mut Conn,
    request: &ClaimRequest,
    pool: &str,
    from: From<'_>,
    limit: u32,
) -> Result<Vec<Row>, Fail> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let owner = request.owner.uuid();
    let suspect_from = i64::from(request.alone_from);
    let statement = match from {
        From::Common => dialect::CLAIM_READY,
        From::Unthrottled => dialect::CLAIM_FREE,
        From::Lane(_) => dialect::CLAIM_LANE,
    };
    let mut statement = sql(statement)
        .id(owner)
        .int(request.now.as_micros())
        .text(pool);
    if let From::Lane(lane) = from {
        statement = statement.text(lane);
    }
    let mut rows: Vec<Row> = statement
        .int(suspect_from)
        .id(owner)
        .int(suspect_from)
        .int(i64::from(limit))
        .id(owner)
        .rows::<RowTypes>()
        .load(conn)
        .await?;
    // RETURNING has no order.
    rows.sort_by_key(urgency);
    Ok(rows)
}

/// How many branches are ready, counted up to `most`, by who may take them.
async fn ready(conn: &mut Conn, pools: &[String], most: u32) -> Result<Ready, Fail> {
    let mut ready = Ready::default();
    if most == 0 {
        return Ok(ready);
    }
    for (place, pool) in pools.iter().enumerate() {
        let rows: Vec<(i64,)> = sql(READY)
            .text(pool)
            .int(i64::from(most))
            .rows::<(BigInt,)>()
            .load(conn)
            .await?;
        let count = rows.into_iter().next().map_or(0, |(count,)| count);
        let count = u32::try_from(count).unwrap_or(most);
        match place {
            0 => ready.common = count,
            _ => ready.pinned = ready.pinned.saturating_add(count),
        }
    }
    Ok(ready)
}

/// Gives back all suspects but the first; the claim took none if there was one already.
async fn leave_suspects(conn: &mut Conn, from: i64, rows: &mut Vec<Row>) -> Result<(), Fail> {
    let is_suspect = |row: &Row| row.4 >= from;
    let Some(first) = rows.iter().position(is_suspect) else {
        return Ok(());
    };
    let mut place = 0..;
    let left = rows.extract_if(.., |row| place.next() > Some(first) && is_suspect(row));
    for row in left.collect::<Vec<_>>() {
        let at = At {
            table: "branch",
            row: &hex(row.0.as_ref()),
        };
        let id = at.id("id", &row.0)?;
        sql(LEAVE).id(id).execute(conn).await?;
    }
    Ok(())
}

async fn claimed(
    conn: &mut Conn,
    request: &ClaimRequest,
    (id, run_id, epoch, commit_no, lost, memory, signals_after, join_ok, pool, _): Row,
    runs: &HashMap<Uuid, RunRow>,
) -> Result<Claimed, Fail> {
    let at = At {
        table: "branch",
        row: &hex(id.as_ref()),
    };
    let branch = at.id("id", &id)?;
    let run = at.id("run_id", &run_id)?;
    let known = runs.get(&run).cloned();
    let (chart, input, started_at, traceparent) =
        known.ok_or_else(|| at.corrupt("run_id", "there is no such run"))?;
    let fence = Fence {
        owner: request.owner,
        epoch: Epoch(at.count("epoch", epoch)?),
        commit_no: CommitNo(at.count("commit_no", commit_no)?),
    };
    let signals = match signals_after {
        Some(after) => signals(conn, run, after).await?,
        None => Vec::new(),
    };
    let arrivals = match join_ok {
        Some(_) => arrivals(conn, run, branch).await?,
        None => Vec::new(),
    };
    Ok(Claimed {
        branch: BranchId::new(branch),
        run: RunId::new(run),
        chart: ChartId(chart),
        fence,
        lost: at.small("lost", lost)?,
        memory,
        run_input: input,
        run_started_at: time(started_at),
        traceparent,
        pool: pool_name(pool),
        signals,
        arrivals,
    })
}

/// The runs of claimed branches, each once.
async fn runs_of(conn: &mut Conn, rows: &[Row]) -> Result<HashMap<Uuid, RunRow>, Fail> {
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let at = At {
            table: "branch",
            row: &hex(row.0.as_ref()),
        };
        ids.push(at.id("run_id", &row.1)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(batch::runs_of_claim(conn, ids).await?.into_iter().collect())
}

async fn signals(conn: &mut Conn, run: Uuid, after: i64) -> Result<Vec<Signal>, Fail> {
    let rows: Vec<(i64, String, String)> = sql(SIGNALS_AFTER)
        .id(run)
        .int(after)
        .int(MAX_SIGNALS)
        .rows::<(BigInt, Text, Text)>()
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(seq, kind, json)| {
            let seq = At {
                table: "signal",
                row: &seq,
            }
            .count("seq", seq)?;
            Ok(Signal {
                id: signal_id(seq),
                seq,
                kind,
                json,
            })
        })
        .collect()
}

/// A signal's identifier is its number, which is never used twice.
pub(crate) fn signal_id(seq: u64) -> SignalId {
    SignalId::new(Uuid::from_u128(u128::from(seq)))
}

async fn arrivals(conn: &mut Conn, run: Uuid, branch: Uuid) -> Result<Vec<Arrival>, Fail> {
    let rows: Vec<(i32, String, Option<String>)> = sql(ARRIVALS)
        .id(run)
        .id(branch)
        .rows::<(Integer, Text, Nullable<Text>)>()
        .load(conn)
        .await?;
    let at = At {
        table: "arrival",
        row: &branch,
    };
    rows.into_iter()
        .map(|(index, outcome, context)| {
            let index = at.small("idx", i64::from(index))?;
            Ok(Arrival {
                index,
                outcome: at.outcome(&outcome)?,
                context,
            })
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
