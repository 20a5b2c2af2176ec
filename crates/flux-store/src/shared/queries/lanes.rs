//! Taking branches where some are throttled: those have queues of their own.
//!
//! The rows themselves are the account of who has which slot, so there is nothing to get out of step
//! with them. Who claims from a lane holds the throttles' rows until its claims are committed.

use diesel::sql_types::{BigInt, Integer, Text};
use flux_core::ports::branches::{ClaimRequest, Throttled};
use flux_core::throttle::{Queue, Slots};

use super::claim::{self, From, Row};
use super::throttles::{ALL, throttles};
use super::{Conn, dialect};
use crate::codec::pool;
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
) -> Result<(Vec<Row>, Throttled), Fail> {
    divert(conn, request).await?;
    let lanes = lanes(conn, request).await?;
    let (slots, busy) = match lanes.is_empty() {
        true => (Slots::new(Vec::new()), false),
        false => slots(conn, request).await?,
    };
    let queues = queues(conn, request, lanes, &slots).await?;
    let shares = slots.clone().shares(request.limit, &queues);
    let mut left = Throttled {
        busy,
        ..Throttled::default()
    };
    let mut rows = Vec::new();
    for (queue, share) in queues.iter().zip(shares) {
        if let Some(lane) = &queue.lane {
            let ready = u32::try_from(queue.urgencies.len()).unwrap_or(u32::MAX);
            left.waiting |= ready > share;
            left.startable += ready.min(slots.free(lane)).saturating_sub(share);
        }
        if share > 0 {
            rows.extend(claim::most_urgent(conn, request, From::of(queue), share).await?);
        }
    }
    rows.sort_by_key(claim::urgency);
    Ok((rows, left))
}

/// Moves what is throttled out of the common queue, as far as it may be in the way.
async fn divert(conn: &mut Conn, request: &ClaimRequest) -> Result<(), Fail> {
    sql(dialect::DIVERT)
        .text(pool(request.pool.as_deref()))
        .int(i64::from(request.limit.max(DIVERT_AT_LEAST)))
        .execute(conn)
        .await?;
    Ok(())
}

/// The lanes where something is ready.
async fn lanes(conn: &mut Conn, request: &ClaimRequest) -> Result<Vec<String>, Fail> {
    let pool = pool(request.pool.as_deref());
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

/// The common queue and the lanes, as far as this claim could take them.
async fn queues(
    conn: &mut Conn,
    request: &ClaimRequest,
    lanes: Vec<String>,
    slots: &Slots,
) -> Result<Vec<Queue>, Fail> {
    let pool = pool(request.pool.as_deref());
    let common = sql(COMMON).text(pool).int(i64::from(request.limit));
    let mut queues = vec![Queue {
        lane: None,
        urgencies: urgencies(conn, common).await?,
    }];
    for lane in lanes {
        // One more than can be taken, to know whether something stays; as many as can be told of.
        let most = slots
            .free(&lane)
            .min(request.limit.max(MAX_TOLD))
            .saturating_add(1);
        let of_lane = sql(OF_LANE).text(pool).text(&lane).int(i64::from(most));
        let urgencies = urgencies(conn, of_lane).await?;
        queues.push(Queue {
            lane: Some(lane),
            urgencies,
        });
    }
    Ok(queues)
}

async fn urgencies(conn: &mut Conn, statement: Sql<'_>) -> Result<Vec<i64>, Fail> {
    let rows: Vec<(i64,)> = statement.rows::<(BigInt,)>().load(conn).await?;
    Ok(rows.into_iter().map(|(urgency,)| urgency).collect())
}
