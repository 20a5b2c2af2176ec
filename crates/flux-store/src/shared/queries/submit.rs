//! Starting runs.

use flux_core::ids::RunId;
use flux_core::ports::Error;
use flux_core::ports::runs::{NewRun, Submitted, Taker};
use uuid::Uuid;

use super::{Conn, Id, RawId, dialect};
use crate::codec::{At, pool};
use crate::error::Fail;
use crate::sql::sql;

/// A run, unless its id or its request id is there. Values: the columns in order.
pub(crate) const INSERT_RUN: &str = "\
    INSERT INTO run (id, chart, namespace, name, version, state, input, started_at, \
        parent_branch, attached, pool, priority, request_id, traceparent) \
    VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
/// A type that a run listens to, once. Values: kind, run.
pub(crate) const INSERT_SUBSCRIPTION: &str =
    "INSERT INTO subscription (kind, run_id) VALUES (?, ?) ON CONFLICT DO NOTHING";
/// The first branch of a run: ready in epoch 0, or running in epoch 1 with its taker.
pub(crate) const INSERT_ROOT: &str = "\
    INSERT INTO branch (id, run_id, parent_id, idx, root, state, epoch, owner, commit_no, lost, \
        priority, pool, due_at, node, created_at, updated_at, memory) \
    VALUES (?, ?, NULL, 0, 1, ?, ?, ?, 0, 0, ?, ?, ?, '/', ?, ?, ?)";
pub(crate) const RUN_OF_REQUEST: &str = "SELECT id FROM run WHERE request_id = ?";
pub(crate) const DEFINED: &str = "SELECT 1 FROM definition WHERE chart = ?";

/// Starts runs; one that was started before by the same request is answered instead.
pub(crate) async fn submit(
    conn: &mut Conn,
    runs: &[NewRun],
    taker: Option<&Taker>,
) -> Result<Vec<Submitted>, Fail> {
    let mut answers = Vec::with_capacity(runs.len());
    let mut defined = None;
    let owners = owners(conn, runs, taker).await?;
    for (run, owner) in runs.iter().zip(owners) {
        // Mostly many runs of one definition: asked for once.
        if defined != Some(&run.chart) {
            require_definition(conn, run).await?;
            defined = Some(&run.chart);
        }
        let new = insert(conn, run, None, owner).await?;
        let started = match (&run.request_id, new) {
            (Some(request), false) => of_request(conn, request).await?.unwrap_or(run.id),
            _ => run.id,
        };
        answers.push(Submitted {
            run: started,
            new,
            taken: new && owner.is_some(),
        });
    }
    Ok(answers)
}

/// Who takes each of these runs.
async fn owners(
    conn: &mut Conn,
    runs: &[NewRun],
    taker: Option<&Taker>,
) -> Result<Vec<Option<Uuid>>, Fail> {
    let Some(taker) = taker else {
        return Ok(vec![None; runs.len()]);
    };
    let owner = taker.owner.uuid();
    let pool = pool(taker.pool.as_deref());
    let statement = sql(dialect::TAKER).id(owner).text(pool).text(pool);
    let may: Vec<(RawId,)> = statement.rows::<(Id,)>().load(conn).await?;
    let chosen = taker.choose(runs).into_iter();
    let owner = |chosen| (chosen && !may.is_empty()).then_some(owner);
    Ok(chosen.map(owner).collect())
}

pub(crate) async fn of_request(conn: &mut Conn, request: &str) -> Result<Option<RunId>, Fail> {
    let rows: Vec<(RawId,)> = sql(RUN_OF_REQUEST)
        .text(request)
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    let at = At {
        table: "run",
        row: &request,
    };
    Ok(match rows.as_slice().first() {
        Some((id,)) => Some(RunId::new(at.id("id", id)?)),
        None => None,
    })
}

/// Starts a run; false when its id or its request is there already.
pub(crate) async fn start(
    conn: &mut Conn,
    run: &NewRun,
    parent: Option<Uuid>,
) -> Result<bool, Fail> {
    require_definition(conn, run).await?;
    insert(conn, run, parent, None).await
}

async fn insert(
    conn: &mut Conn,
    run: &NewRun,
    parent: Option<Uuid>,
    owner: Option<Uuid>,
) -> Result<bool, Fail> {
    let at = run.at.as_micros();
    let inserted = sql(INSERT_RUN)
        .id(run.id.uuid())
        .text(&run.chart.0)
        .text(&run.name.namespace)
        .text(&run.name.name)
        .text(&run.name.version)
        .text(&run.input)
        .int(at)
        .maybe_id(parent)
        .int(i64::from(parent.is_some()))
        .text(pool(run.pool.as_deref()))
        .int(i64::from(run.priority))
        .maybe_text(run.request_id.as_deref())
        .maybe_text(run.traceparent.as_deref())
        .execute(conn)
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    sql(INSERT_ROOT)
        .id(run.branch.uuid())
        .id(run.id.uuid())
        .int(i64::from(owner.is_some()))
        .int(i64::from(owner.is_some()))
        .maybe_id(owner)
        .int(i64::from(run.priority))
        .text(pool(run.pool.as_deref()))
        .int(at)
        .int(at)
        .int(at)
        .text(&run.memory)
        .execute(conn)
        .await?;
    subscribe(conn, run.id, &run.listens).await?;
    Ok(true)
}

/// Events of these types are kept for the run from now on.
pub(crate) async fn subscribe(
    conn: &mut Conn,
    run: RunId,
    listens: &[Option<String>],
) -> Result<(), Fail> {
    for kind in listens {
        sql(INSERT_SUBSCRIPTION)
            .text(kind.as_deref().unwrap_or_default())
            .id(run.uuid())
            .execute(conn)
            .await?;
    }
    Ok(())
}

pub(crate) async fn require_definition(conn: &mut Conn, run: &NewRun) -> Result<(), Fail> {
    let rows: Vec<(i32,)> = sql(DEFINED)
        .text(&run.chart.0)
        .rows::<(diesel::sql_types::Integer,)>()
        .load(conn)
        .await?;
    if rows.is_empty() {
        let text = format!(
            "the definition of {} is not stored; deploy it first",
            run.name
        );
        return Err(Error::Internal(text).into());
    }
    Ok(())
}
