//! The engines of the cluster.

use diesel::sql_types::{BigInt, Integer, Text};
use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::Incarnation;
use flux_core::ports::identity::Cluster;
use flux_core::ports::members::{Joined, Member, NewMember};
use std::time::Duration;

use super::dialect::NOW;
use super::{Conn, Id, RawId, dialect, lock};
use crate::codec::{At, pool, pool_name, time};
use crate::error::Fail;
use crate::sql::sql;

pub(crate) const PURGE: &str = "\
    DELETE FROM member WHERE state = 2 AND NOT EXISTS \
        (SELECT 1 FROM branch WHERE branch.owner = member.incarnation)";
/// Also who was convicted and purged: it would come back to life otherwise.
pub(crate) const KNOWN: &str = "\
    SELECT 1 FROM member WHERE incarnation = ? \
    UNION ALL SELECT 1 FROM failover WHERE incarnation = ?";
pub(crate) const COUNT: &str = "SELECT count(*) FROM member WHERE state <> 2";
/// The judge is no member when it only wanted to join.
pub(crate) const INSERT_FAILOVER: &str = "\
    INSERT INTO failover (incarnation, name, heartbeat_seq, heartbeat_at, convicted_by, \
        convicted_by_name, at, evidence, branches) \
    SELECT incarnation, name, heartbeat_seq, heartbeat_at, ?, \
        COALESCE((SELECT judge.name FROM member AS judge WHERE judge.incarnation = ?), ''), \
        ?, ?, 0 FROM member WHERE incarnation = ?";
pub(crate) const DRAIN: &str = "UPDATE member SET state = 1 WHERE incarnation = ? AND state = 0";
pub(crate) const LEAVE: &str = "\
    DELETE FROM member WHERE incarnation = ? AND NOT EXISTS \
        (SELECT 1 FROM branch WHERE branch.owner = member.incarnation)";

/// It runs outside any transaction, so it names the schema itself.
pub(crate) fn cluster_text(schema: &str) -> String {
    format!("SELECT cluster_id, key FROM {schema}cluster")
}

pub(crate) fn insert_text() -> String {
    format!(
        "INSERT INTO member (incarnation, name, window_us, heartbeat_seq, state, heartbeat_at, \
            heartbeat_db_at, started_at, host, pid, version, pool, concurrency, address) \
        VALUES (?, ?, ?, 0, 0, ?, {NOW}, ?, ?, ?, ?, ?, ?, ?)"
    )
}

pub(crate) fn heartbeat_text() -> String {
    format!(
        "UPDATE member SET heartbeat_seq = heartbeat_seq + 1, heartbeat_at = ?, \
            heartbeat_db_at = {NOW} WHERE incarnation = ? AND state <> 2"
    )
}

pub(crate) fn members_text() -> String {
    format!(
        "SELECT incarnation, name, window_us, heartbeat_seq, state, heartbeat_at, \
            heartbeat_db_at, {NOW} - heartbeat_db_at, started_at, host, pid, version, pool, \
            concurrency, address, (SELECT count(*) FROM branch WHERE branch.owner = member.incarnation) \
        FROM member WHERE state <> 2 OR EXISTS \
            (SELECT 1 FROM branch WHERE branch.owner = member.incarnation) \
        ORDER BY started_at, name, incarnation"
    )
}

/// The cluster of these tables.
pub(crate) async fn cluster(conn: &mut Conn) -> Result<Cluster, Fail> {
    let rows: Vec<(RawId, String)> = sql(cluster_text(&conn.schema()))
        .rows::<(Id, Text)>()
        .load(conn)
        .await?;
    let at = At {
        table: "cluster",
        row: &1,
    };
    let row = rows.into_iter().next();
    let (id, key) = row.ok_or_else(|| at.corrupt("id", "there is no such row"))?;
    Ok(Cluster {
        id: at.id("cluster_id", &id)?,
        key,
    })
}

/// Adds a member, unless the cluster is full.
pub(crate) async fn join(
    conn: &mut Conn,
    m: &NewMember,
    limit: u32,
    now: Timestamp,
) -> Result<Joined, Fail> {
    lock::cluster(conn).await?;
    sql(PURGE).execute(conn).await?;
    let known: Vec<(i32,)> = sql(KNOWN)
        .id(m.incarnation.uuid())
        .id(m.incarnation.uuid())
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    if !known.is_empty() {
        return Ok(Joined::Yes);
    }
    let count: Vec<(i64,)> = sql(COUNT).rows::<(BigInt,)>().load(conn).await?;
    if count
        .as_slice()
        .first()
        .is_some_and(|(count,)| *count >= i64::from(limit))
    {
        return Ok(Joined::Full { limit });
    }
    sql(insert_text())
        .id(m.incarnation.uuid())
        .text(&m.name)
        .int(i64::try_from(m.window.as_micros()).unwrap_or(i64::MAX))
        .int(now.as_micros())
        .int(now.as_micros())
        .text(&m.host)
        .int(i64::from(m.pid))
        .text(&m.version)
        .text(pool(m.pool.as_deref()))
        .int(i64::from(m.concurrency))
        .text(m.address.as_deref().unwrap_or_default())
        .execute(conn)
        .await?;
    Ok(Joined::Yes)
}

pub(crate) async fn heartbeat(
    conn: &mut Conn,
    me: Incarnation,
    now: Timestamp,
) -> Result<bool, Fail> {
    let rows = sql(heartbeat_text())
        .int(now.as_micros())
        .id(me.uuid())
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

type Row = (
    RawId,
    String,
    i64,
    i64,
    i32,
    i64,
    i64,
    i64,
    i64,
    String,
    i64,
    String,
    String,
    i64,
    String,
    i64,
);
type Types = (
    Id,
    Text,
    BigInt,
    BigInt,
    Integer,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    Text,
    BigInt,
    Text,
    Text,
    BigInt,
    Text,
    BigInt,
);

pub(crate) async fn members(conn: &mut Conn) -> Result<Vec<Member>, Fail> {
    let rows: Vec<Row> = sql(members_text()).rows::<Types>().load(conn).await?;
    rows.into_iter().map(member).collect()
}

fn member(
    (
        id,
        name,
        window,
        seq,
        state,
        beat,
        db_beat,
        age,
        started,
        host,
        pid,
        version,
        pool,
        concurrency,
        address,
        running,
    ): Row,
) -> Result<Member, Fail> {
    let at = At {
        table: "member",
        row: &name.clone(),
    };
    Ok(Member {
        incarnation: Incarnation::new(at.id("incarnation", &id)?),
        name,
        window: Duration::from_micros(at.count("window_us", window)?),
        heartbeat_seq: at.count("heartbeat_seq", seq)?,
        state: at.member_state(state)?,
        heartbeat_at: time(beat),
        // Nothing, when the database's clock was set back.
        heartbeat_age: Duration::from_micros(u64::try_from(age).unwrap_or_default()),
        clock_offset: ClockOffset::between(time(beat), time(db_beat)),
        started_at: time(started),
        host,
        pid: at.small("pid", pid)?,
        version,
        pool: pool_name(pool),
        concurrency: at.small("concurrency", concurrency)?,
        address: Some(address).filter(|address| !address.is_empty()),
        running: at.count("running", running)?,
        heard: None,
    })
}

/// Declares a member dead if its heartbeat number is still the one that was seen.
pub(crate) async fn convict(
    conn: &mut Conn,
    who: Incarnation,
    seen_seq: u64,
    by: Incarnation,
    evidence: &str,
    now: Timestamp,
) -> Result<bool, Fail> {
    let seq = crate::codec::signed(seen_seq);
    let rows = sql(dialect::CONVICT)
        .id(who.uuid())
        .int(seq)
        .execute(conn)
        .await?;
    if rows == 1 {
        sql(INSERT_FAILOVER)
            .id(by.uuid())
            .id(by.uuid())
            .int(now.as_micros())
            .text(evidence)
            .id(who.uuid())
            .execute(conn)
            .await?;
    }
    Ok(rows == 1)
}

pub(crate) async fn set_draining(conn: &mut Conn, me: Incarnation) -> Result<(), Fail> {
    sql(DRAIN).id(me.uuid()).execute(conn).await?;
    Ok(())
}

/// Removes a member that owns nothing. A claim of it may be on its way still, its answer lost.
pub(crate) async fn leave(conn: &mut Conn, me: Incarnation) -> Result<(), Fail> {
    lock::member(conn, me.uuid()).await?;
    sql(LEAVE).id(me.uuid()).execute(conn).await?;
    Ok(())
}
