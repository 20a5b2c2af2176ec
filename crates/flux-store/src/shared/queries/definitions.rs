//! Definitions and schedules.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::ids::RunId;
use flux_core::ports::definitions::{DefinitionRecord, Firing, NewDefinition, ScheduleRecord};
use flux_core::throttle::{Scope, Throttle};

use super::{Conn, Id, RawId};
use super::{submit, throttles};
use crate::codec::{At, time};
use crate::error::Fail;
use crate::sql::sql;

/// A definition that is stored already stays as it is.
/// Values: chart, namespace, name, version, source, deployed_at.
pub(crate) const INSERT_DEFINITION: &str = "\
    INSERT INTO definition (chart, namespace, name, version, source, deployed_at) \
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (chart) DO NOTHING";
/// A schedule of another definition of that name is replaced; that of the same one goes on.
/// Values: namespace, name, version, chart, due_at, after_us.
pub(crate) const PUT_SCHEDULE: &str = "\
    INSERT INTO schedule (namespace, name, version, chart, due_at, after_us) \
    VALUES (?, ?, ?, ?, ?, ?) \
    ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version, \
        chart = excluded.chart, due_at = excluded.due_at, after_us = excluded.after_us \
    WHERE schedule.chart <> excluded.chart";
pub(crate) const REQUIRE: &str = "INSERT INTO requirement (pool) VALUES (?) ON CONFLICT DO NOTHING";
pub(crate) const SOURCE: &str = "SELECT source FROM definition WHERE chart = ?";
pub(crate) const FIND: &str = "\
    SELECT chart FROM definition \
    WHERE namespace = ? AND name = ? AND (version = ? OR ? = 'latest') \
    ORDER BY seq DESC LIMIT 1";
pub(crate) const ALL: &str = "\
    SELECT chart, namespace, name, version, deployed_at FROM definition \
    ORDER BY namespace, name, seq";
pub(crate) const SCHEDULES: &str = "\
    SELECT chart, namespace, name, version, due_at, last_run, \
        coalesce((SELECT CAST(state <> 0 AS INTEGER) FROM run WHERE run.id = last_run), 1) \
    FROM schedule ORDER BY due_at IS NULL, due_at, namespace, name";
pub(crate) const FIRE: &str = "\
    UPDATE schedule SET due_at = ?, last_run = coalesce(?, last_run) \
    WHERE namespace = ? AND name = ? AND due_at = ?";

pub(crate) async fn deploy(conn: &mut Conn, new: &NewDefinition) -> Result<(), Fail> {
    let inserted = sql(INSERT_DEFINITION)
        .text(&new.chart.0)
        .text(&new.name.namespace)
        .text(&new.name.name)
        .text(&new.name.version)
        .text(&new.source)
        .int(new.at.as_micros())
        .execute(conn)
        .await?;
    for pool in &new.pools {
        sql(REQUIRE).text(pool).execute(conn).await?;
    }
    // What an operator has set since the first deployment stays.
    if let Some(limits) = new.limits.filter(|_| inserted > 0) {
        let scope = Scope::workflow(&new.name.namespace, &new.name.name);
        throttles::put(conn, &Throttle { scope, limits }).await?;
    }
    let Some(schedule) = &new.schedule else {
        return Ok(());
    };
    let after = schedule
        .after
        .map(|after| i64::try_from(after.as_micros()).unwrap_or(i64::MAX));
    sql(PUT_SCHEDULE)
        .text(&new.name.namespace)
        .text(&new.name.name)
        .text(&new.name.version)
        .text(&new.chart.0)
        .int(schedule.due_at.as_micros())
        .int(after)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn source(conn: &mut Conn, chart: &ChartId) -> Result<Option<String>, Fail> {
    let rows: Vec<(String,)> = sql(SOURCE)
        .text(&chart.0)
        .rows::<(Text,)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().next().map(|(source,)| source))
}

pub(crate) async fn find(conn: &mut Conn, name: &WorkflowName) -> Result<Option<ChartId>, Fail> {
    let rows: Vec<(String,)> = sql(FIND)
        .text(&name.namespace)
        .text(&name.name)
        .text(&name.version)
        .text(&name.version)
        .rows::<(Text,)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().next().map(|(chart,)| ChartId(chart)))
}

pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<DefinitionRecord>, Fail> {
    let rows: Vec<(String, String, String, String, i64)> = sql(ALL)
        .rows::<(Text, Text, Text, Text, BigInt)>()
        .load(conn)
        .await?;
    let record = |(chart, namespace, name, version, at)| DefinitionRecord {
        chart: ChartId(chart),
        name: WorkflowName {
            namespace,
            name,
            version,
        },
        at: time(at),
    };
    Ok(rows.into_iter().map(record).collect())
}

type Scheduled = (
    String,
    String,
    String,
    String,
    Option<i64>,
    Option<RawId>,
    i32,
);

pub(crate) async fn schedules(conn: &mut Conn) -> Result<Vec<ScheduleRecord>, Fail> {
    type Types = (
        Text,
        Text,
        Text,
        Text,
        Nullable<BigInt>,
        Nullable<Id>,
        Integer,
    );
    let rows: Vec<Scheduled> = sql(SCHEDULES).rows::<Types>().load(conn).await?;
    rows.into_iter()
        .map(
            |(chart, namespace, name, version, due_at, last_run, ended)| {
                let at = At {
                    table: "schedule",
                    row: &name.clone(),
                };
                let last_run = at.maybe_id("last_run", last_run.as_ref())?.map(RunId::new);
                Ok(ScheduleRecord {
                    chart: ChartId(chart),
                    name: WorkflowName {
                        namespace,
                        name,
                        version,
                    },
                    due_at: due_at.map(time),
                    last_run,
                    last_run_ended: ended == 1,
                })
            },
        )
        .collect()
}

/// Fires a schedule if it is still due at that time.
pub(crate) async fn fire(conn: &mut Conn, firing: &Firing) -> Result<bool, Fail> {
    let rows = sql(FIRE)
        .int(firing.next.map(|next| next.as_micros()))
        .maybe_id(firing.runs.last().map(|run| run.id.uuid()))
        .text(&firing.name.namespace)
        .text(&firing.name.name)
        .int(firing.due_at.as_micros())
        .execute(conn)
        .await?;
    if rows == 0 {
        return Ok(false);
    }
    for run in &firing.runs {
        submit::start(conn, run, None).await?;
    }
    Ok(true)
}
