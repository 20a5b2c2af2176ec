//! Taking branches from several queues: those of the pools that an engine with labels serves, and the lanes
//! of what is throttled.
//!
//! The rows themselves are the account of who has which slot, so there is nothing to get out of step
//! with them. Who claims from a lane holds the throttles' rows until its claims are committed.

use diesel::sql_types::{BigInt, Integer, Text};
use flux_core::ports::branches::{ClaimRequest, Throttled};
use flux_core::throttle::{Queue, Slots};

use super::claim::{self, From, Row};
use super::throttles::{ALL, throttles};
use super::{Conn, dialect};
use crate::error::Fail;
use crate::sql::{Sql, sql, urgency};

/// Lanes that one claim looks at.
const MAX_LANES: i64 = 256;

/// How many branches with a slot a claim tells of that does not take them.
const MAX_TOLD: u32 = 100;

/// How many of the most urgent branches are looked at for those that belong in a lane.
const DIVERT_AT_LEAST: u32 = 256;

pub(crate) const LANES: &str = "\
    WITH RECURSIVE lanes(lane) AS ( \
        SELECT min(lane) FROM branch WHERE pool = ? AND state = 0 AND lane IS NOT NULL \
        UNION ALL \
        SELECT (SELECT min(branch.lane) FROM branch WHERE pool = ? AND state = 0 \
            AND branch.lane IS NOT NULL AND branch.lane > lanes.lane) \
        FROM lanes WHERE lanes.lane IS NOT NULL) \
    SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT ?";
/// Values: claimer.
pub(crate) const TAKEN: &str = "\
    SELECT lane, CAST(owner = ? AS INTEGER), count(*) FROM branch \
    WHERE state = 1 AND lane IS NOT NULL AND lane > '' GROUP BY 1, 2";
/// The most urgent of the common queue. Values: pool, limit.
pub(crate) const COMMON: &str = concat!(
    "SELECT ",
    urgency!(),
    " FROM branch WHERE pool = ? AND state = 0 AND lane IS NULL ORDER BY ",
    urgency!(),
    " LIMIT ?"
);
/// The most urgent of a lane. Values: pool, lane, limit.
pub(crate) const OF_LANE: &str = concat!(
    "SELECT ",
    urgency!(),
    " FROM branch WHERE pool = ? AND state = 0 AND lane = ? ORDER BY ",
    urgency!(),
    " LIMIT ?"
);
/// The most urgent ones that have a slot, from all queues, and what stays in the lanes.
pub(crate) async fn take(
    conn: &mut Conn,
    request: &ClaimRequest,
    pools: &[String],
) -> Result<(Vec<Row>, Throttled), Fail> {
    let mut lanes = Vec::new();
    for pool in pools {
        divert(conn, request, pool).await?;
        let of_pool = lanes_of(conn, pool).await?;
        lanes.extend(of_pool.into_iter().map(|lane| (pool.as_str(), lane)));
    }
    let (slots, busy) = match lanes.is_empty() {
        true => (Slots::new(Vec::new()), false),
        false => slots(conn, request).await?,
    };
    let mut places: Vec<(&str, Option<String>)> = Vec::new();
    places.extend(pools.iter().map(|pool| (pool.as_str(), None)));
    places.extend(lanes.into_iter().map(|(pool, lane)| (pool, Some(lane))));
    let mut queues = Vec::with_capacity(places.len());
    for (pool, lane) in &places {
        queues.push(queue(conn, request, pool, lane.clone(), &slots).await?);
    }
    let shares = slots.clone().shares(request.limit, &queues);
    let mut left = Throttled {
        busy,
        ..Throttled::default()
    };
    let mut rows = Vec::new();
    for (((pool, _), queue), share) in places.iter().zip(&queues).zip(shares) {
        if let Some(lane) = &queue.lane {
            let ready = u32::try_from(queue.urgencies.len()).unwrap_or(u32::MAX);
            left.waiting |= ready > share;
            left.startable += ready.min(slots.free(lane)).saturating_sub(share);
        }
        if share > 0 {
            let from = From::of(queue);
            rows.extend(claim::most_urgent(conn, request, pool, from, share).await?);
        }
    }
    rows.sort_by_key(claim::urgency);
    Ok((rows, left))
}

/// Moves what is throttled out of the common queue, as far as it may be in the way.
async fn divert(conn: &mut Conn, request: &ClaimRequest, pool: &str) -> Result<(), Fail> {
    sql(dialect::DIVERT)
        .text(pool)
        .int(i64::from(request.limit.max(DIVERT_AT_LEAST)))
        .execute(conn)
        .await?;
    Ok(())
}

/// The lanes where something is ready.
async fn lanes_of(conn: &mut Conn, pool: &str) -> Result<Vec<String>, Fail> {
    let rows: Vec<(String,)> = sql(LANES)
        .text(pool)
        .text(pool)
        .int(MAX_LANES)
        .rows::<(Text,)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|(lane,)| lane).collect())
}

/// The slots as they are until the end of the transaction, and whether another engine has some of the
/// throttles at the moment: those are full for this claim.
async fn slots(conn: &mut Conn, request: &ClaimRequest) -> Result<(Slots, bool), Fail> {
    let locked = throttles(conn, dialect::LOCK_THROTTLES).await?;
    let mut all = throttles(conn, ALL).await?;
    let mut busy = false;
    for throttle in &mut all {
        if !locked.iter().any(|own| own.scope == throttle.scope) {
            throttle.limits.cluster = Some(0);
            busy = true;
        }
    }
    let mut slots = Slots::new(all);
    let taken: Vec<(String, i32, i64)> = sql(TAKEN)
        .id(request.owner.uuid())
        .rows::<(Text, Integer, BigInt)>()
        .load(conn)
        .await?;
    for (lane, mine, count) in taken {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        slots.occupy(&lane, mine != 0, count);
    }
    Ok((slots, busy))
}

/// The common queue of a pool or one of its lanes, as far as this claim could take from it.
async fn queue(
    conn: &mut Conn,
    request: &ClaimRequest,
    pool: &str,
    lane: Option<String>,
    slots: &Slots,
) -> Result<Queue, Fail> {
    let statement = match &lane {
        None => sql(COMMON).text(pool).int(i64::from(request.limit)),
        Some(lane) => {
            // One more than can be taken, to know whether something stays; as many as are told of.
            let most = slots.free(lane).min(request.limit.max(MAX_TOLD));
            let most = i64::from(most.saturating_add(1));
            sql(OF_LANE).text(pool).text(lane).int(most)
        }
    };
    let urgencies = urgencies(conn, statement).await?;
    Ok(Queue { lane, urgencies })
}

async fn urgencies(conn: &mut Conn, statement: Sql<'_>) -> Result<Vec<i64>, Fail> {
    let rows: Vec<(i64,)> = statement.rows::<(BigInt,)>().load(conn).await?;
    Ok(rows.into_iter().map(|(urgency,)| urgency).collect())
}
