//! Events: to one run, and to all that listen.

use diesel::sql_types::{BigInt, Binary};
use flux_core::ids::{RunId, SignalId};
use flux_core::ports::runs::{Event, Signalled};
use uuid::Uuid;

use super::effects::Effects;
use super::wait;
use crate::codec::At;
use crate::error::Fail;
use crate::sql::sql;
use crate::sqlite::{Conn, dialect};

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
    let rows: Vec<(i64,)> = sql(STATE_OF_RUN)
        .id(run.uuid())
        .rows::<(BigInt,)>()
        .load(conn)
        .await?;
    let at = At {
        table: "run",
        row: &run,
    };
    match rows.as_slice().first() {
        None => return Ok(Signalled::NotFound),
        Some((0,)) => {}
        Some((state,)) => {
            let state = i32::try_from(*state).unwrap_or(-1);
            return Ok(Signalled::Ended(at.run_state(state)?));
        }
    }
    let new = sql(dialect::INSERT_INBOX)
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
    let rows: Vec<(Vec<u8>,)> = sql(format!("{} RETURNING run_id", dialect::FAN_OUT_INBOX))
        .text(&event.source)
        .text(&event.id)
        .text(&event.kind)
        .rows::<(Binary,)>()
        .load(conn)
        .await?;
    for (run,) in rows {
        let run = At {
            table: "subscription",
            row: &event.kind,
        }
        .id("run_id", &run)?;
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
