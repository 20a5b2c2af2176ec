//! A bare loop of group commits: what the server could do at most for an engine.
//!
//! No engine, no rules, nothing that looks whether others are there: each tick is one transaction over
//! one connection that ends what began four ticks ago, commits the two steps before the end, claims and
//! submits, with one statement for each. So each run is claimed, and committed three times, as with the
//! real engine: the third commit ends it and leaves a row of history.

use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use flux_core::ports::Error;
use uuid::Uuid;

use super::address::Address;
use super::conn::Conn;
use super::connect::connect;
use super::opener::{Opener, PostgresOptions};
use crate::error::Fail;
use crate::sql::sql;

const TABLES: &str = "\
    CREATE TABLE IF NOT EXISTS yardstick_run (id UUID PRIMARY KEY, state BIGINT NOT NULL, \
        input TEXT NOT NULL, output TEXT) WITH (fillfactor = 70); \
    CREATE TABLE IF NOT EXISTS yardstick_branch (id UUID PRIMARY KEY, run UUID NOT NULL, \
        state BIGINT NOT NULL, owner BIGINT, epoch BIGINT NOT NULL, step BIGINT NOT NULL, \
        due BIGINT NOT NULL, memory TEXT NOT NULL) WITH (fillfactor = 50); \
    CREATE INDEX IF NOT EXISTS yardstick_ready ON yardstick_branch (due) WHERE state = 0; \
    CREATE TABLE IF NOT EXISTS yardstick_history (branch UUID NOT NULL, step BIGINT NOT NULL, \
        events TEXT NOT NULL, PRIMARY KEY (branch, step)); ";

/// Values: arrays of run, branch; tick, input, memory.
const SUBMIT: &str = "\
    WITH new AS (SELECT * FROM unnest(?, ?) AS n(run, branch)), \
    runs AS (INSERT INTO yardstick_run (id, state, input) SELECT run, 0, ? FROM new) \
    INSERT INTO yardstick_branch (id, run, state, epoch, step, due, memory) \
    SELECT branch, run, 0, 0, 0, ?, ? FROM new";
/// Value: limit.
const CLAIM: &str = "\
    UPDATE yardstick_branch SET state = 1, owner = 1, epoch = epoch + 1 WHERE id IN ( \
        SELECT id FROM yardstick_branch WHERE state = 0 ORDER BY due LIMIT ? \
        FOR UPDATE SKIP LOCKED) \
    RETURNING id, epoch";
/// Values: arrays of branch, epoch; memory, step.
const ADVANCE: &str = "\
    UPDATE yardstick_branch AS b SET step = b.step + 1, memory = ? \
    FROM unnest(?, ?) AS c(id, epoch) \
    WHERE b.id = c.id AND b.owner = 1 AND b.epoch = c.epoch AND b.step = ?";
/// Values: arrays of branch, epoch; step, output, events.
const END: &str = "\
    WITH gone AS (DELETE FROM yardstick_branch AS b USING unnest(?, ?) AS c(id, epoch) \
        WHERE b.id = c.id AND b.owner = 1 AND b.epoch = c.epoch AND b.step = ? \
        RETURNING b.id, b.run, b.step), \
    ended AS (UPDATE yardstick_run AS r SET state = 2, output = ? FROM gone WHERE r.id = gone.run) \
    INSERT INTO yardstick_history (branch, step, events) SELECT id, step, ? FROM gone";

/// As much as the engine stores for a step that does nothing.
const INPUT: &str = r#"{"order":4711,"customer":"Q-17","items":[1,2,3]}"#;
const MEMORY: &str = r#"{"input":{"order":4711,"customer":"Q-17","items":[1,2,3]},"at":[["do",1]],"data":{"step":1,"order":4711},"context":null,"firings":2}"#;
const EVENTS: &str =
    r#"[{"type":"completed","task":"third","node":"/do/2/third","started":0,"ended":0}]"#;

/// Branches that were claimed together, with their epochs.
#[derive(Default)]
struct Group {
    branches: Vec<Uuid>,
    epochs: Vec<i64>,
}

/// Runs the loop for `time`, in the schema of `address`, which must be there; `size` runs begin in
/// each tick. Runs that ended per second.
///
/// # Errors
/// When the server cannot be reached, or does not do what it should.
pub async fn runs_per_second(address: &Address, size: u32, time: Duration) -> Result<f64, Error> {
    let opener = Opener::new(address, &PostgresOptions::default());
    let connected = connect(address, opener.session(), |_| Ok(())).await;
    let connected = connected.map_err(|error| Error::Unavailable(error.to_string()))?;
    let mut conn = opener.wrap(connected);
    conn.begin().await?;
    conn.batch(TABLES).await?;
    conn.commit().await?;
    // By how many steps each group has done; the last one is about to end.
    let mut groups: [Group; 3] = Default::default();
    let (mut tick, mut ended) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < time {
        conn.begin().await?;
        ended += one_tick(&mut conn, &mut groups, size, tick).await?;
        conn.commit().await?;
        tick += 1;
    }
    Ok(ended as f64 / begin.elapsed().as_secs_f64())
}

/// One transaction without its begin and end; how many runs it ended.
async fn one_tick(
    conn: &mut Conn,
    groups: &mut [Group; 3],
    size: u32,
    tick: i64,
) -> Result<usize, Fail> {
    let [first, second, third] = &*groups;
    let ended = end(conn, third).await?;
    advance(conn, second, 1).await?;
    advance(conn, first, 0).await?;
    let claimed = claim(conn, size).await?;
    submit(conn, size, tick).await?;
    groups.rotate_right(1);
    groups[0] = claimed;
    Ok(ended)
}

async fn submit(conn: &mut Conn, size: u32, tick: i64) -> Result<(), Fail> {
    let ids = || (0..size).map(|_| Uuid::now_v7()).collect();
    sql(SUBMIT)
        .ids(ids())
        .ids(ids())
        .text(INPUT)
        .int(tick)
        .text(MEMORY)
        .execute(conn)
        .await?;
    Ok(())
}

async fn claim(conn: &mut Conn, size: u32) -> Result<Group, Fail> {
    let rows = sql(CLAIM).int(i64::from(size)).rows::<(SqlUuid, BigInt)>();
    let rows: Vec<(Uuid, i64)> = rows.load(conn).await?;
    let (branches, epochs) = rows.into_iter().unzip();
    Ok(Group { branches, epochs })
}

async fn advance(conn: &mut Conn, group: &Group, step: i64) -> Result<(), Fail> {
    let changed = sql(ADVANCE)
        .text(MEMORY)
        .ids(group.branches.clone())
        .ints(group.epochs.clone())
        .int(step)
        .execute(conn)
        .await?;
    all(changed, group)?;
    Ok(())
}

async fn end(conn: &mut Conn, group: &Group) -> Result<usize, Fail> {
    let changed = sql(END)
        .ids(group.branches.clone())
        .ints(group.epochs.clone())
        .int(2)
        .text(INPUT)
        .text(EVENTS)
        .execute(conn)
        .await?;
    all(changed, group)
}

/// Nobody else is there, so no commit can be refused.
fn all(changed: usize, group: &Group) -> Result<usize, Fail> {
    match changed == group.branches.len() {
        true => Ok(changed),
        false => Err(Error::Internal("a commit of the yardstick was refused".to_owned()).into()),
    }
}
