//! Events: to one run, and to all that listen.

use diesel::sql_types::Integer;
use flux_core::ids::{RunId, SignalId};
use flux_core::ports::runs::{Event, Signalled};
use uuid::Uuid;

use super::effects::Effects;
use super::wait;
use super::{Conn, Id, RawId, lock};
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;

/// Remembers an event of a run; no row when the run had it. Values: run, source, event id.
pub(crate) const INSERT_INBOX: &str = "\
    INSERT INTO inbox (run_id, source, event_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
/// Remembers an event for every run that listens. Values: source, event id, kind.
pub(crate) const FAN_OUT_INBOX: &str = "\
    INSERT INTO inbox (run_id, source, event_id) \
    SELECT DISTINCT run_id, ?, ? FROM subscription WHERE kind IN (?, '') \
    ON CONFLICT DO NOTHING";
pub(crate) const INSERT_SIGNAL: &str = "INSERT INTO signal (run_id, kind, json) VALUES (?, ?, ?)";
pub(crate) const CONSUME: &str = "DELETE FROM signal WHERE seq = ? AND run_id = ?";
pub(crate) const STATE_OF_RUN: &str = "SELECT state FROM run WHERE id = ?";

/// Delivers an event to one run.
pub(crate) async fn signal(
    conn: &mut Conn,
    fx: &mut Effects,
    run: RunId,
    event: &Event,
) -> Result<Signalled, Fail> {
    let rows: Vec<(i32,)> = sql(STATE_OF_RUN)
        .id(run.uuid())
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    let at = At {
        table: "run",
        row: &run,
    };
    match rows.as_slice().first() {
        None => return Ok(Signalled::NotFound),
        Some((0,)) => {}
        Some((state,)) => return Ok(Signalled::Ended(at.run_state(*state)?)),
    }
    let new = sql(INSERT_INBOX)
        .id(run.uuid())
        .text(&event.source)
        .text(&event.id)
        .execute(conn)
        .await?;
    if new == 0 {
        return Ok(Signalled::Duplicate);
    }
    keep(conn, fx, run.uuid(), event).await?;
    Ok(Signalled::Accepted)
}

/// Delivers an event to every unfinished run that listens to its type and has not had it.
pub(crate) async fn publish(conn: &mut Conn, fx: &mut Effects, event: &Event) -> Result<(), Fail> {
    let rows: Vec<(RawId,)> = sql(format!("{} RETURNING run_id", FAN_OUT_INBOX))
        .text(&event.source)
        .text(&event.id)
        .text(&event.kind)
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    for (run,) in rows {
        let run = At {
            table: "subscription",
            row: &event.kind,
        }
        .id("run_id", &run)?;
        // Signals of a run are numbered in the order of the commits.
        lock::run(conn, run).await?;
        keep(conn, fx, run, event).await?;
    }
    Ok(())
}

async fn keep(conn: &mut Conn, fx: &mut Effects, run: Uuid, event: &Event) -> Result<(), Fail> {
    sql(INSERT_SIGNAL)
        .id(run)
        .text(&event.kind)
        .text(&event.json)
        .execute(conn)
        .await?;
    wait::wake_signalled(conn, fx, run).await
}

/// Removes signals that a listener has consumed.
pub(crate) async fn consume(conn: &mut Conn, run: Uuid, consumed: &[SignalId]) -> Result<(), Fail> {
    for signal in consumed {
        let seq = i64::try_from(signal.uuid().as_u128()).unwrap_or(-1);
        sql(CONSUME).int(seq).id(run).execute(conn).await?;
    }
    Ok(())
}
