//! Deploying definitions and preparing runs of them.

use flux_core::chart::{Chart, ScheduleRule};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::Error;
use flux_core::ports::definitions::{Definitions, NewDefinition, NewSchedule};
use flux_core::ports::runs::NewRun;
use flux_core::schedule;
use flux_core::value::{self, Value};
use flux_core::walk::Memory;
use uuid::Uuid;

/// What may be said about a run beside its input.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The same value again returns the first run.
    pub request_id: Option<String>,
    /// The private pool of the engine that works on it.
    pub pool: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// In the place of the definition's own.
    pub priority: Option<i32>,
}

/// A new run of a chart, with fresh ids.
#[must_use]
pub fn new_run(chart: &Chart, input: &Value, options: RunOptions, now: Timestamp) -> NewRun {
    let ids = (RunId::new(Uuid::now_v7()), BranchId::new(Uuid::now_v7()));
    run_with_ids(chart, input, options, now, ids)
}

pub(crate) fn run_with_ids(
    chart: &Chart,
    input: &Value,
    options: RunOptions,
    now: Timestamp,
    (id, branch): (RunId, BranchId),
) -> NewRun {
    NewRun {
        id,
        branch,
        chart: chart.id.clone(),
        name: chart.name.clone(),
        input: value::to_json(input),
        memory: Memory::of_run(input.clone()).to_json(),
        priority: options.priority.unwrap_or(chart.priority),
        pool: options
            .pool
            .or_else(|| chart.node(Chart::ROOT).requires.pool()),
        request_id: options.request_id,
        listens: chart.listens.clone(),
        traceparent: options.traceparent,
        at: now,
    }
}

/// Stores a definition; with `schedule`, its schedule (if it has one) becomes the active one of
/// its namespace and name.
///
/// # Errors
/// Those of the store.
pub async fn deploy(
    definitions: &dyn Definitions,
    chart: &Chart,
    source: &str,
    schedule: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let schedule = match &chart.schedule {
        Some(rule) if schedule => schedule::first_due(rule, now).map(|due_at| NewSchedule {
            due_at,
            after: match rule.rule {
                ScheduleRule::After(after) => Some(after),
                ScheduleRule::Every(_) | ScheduleRule::Cron(_) => None,
            },
        }),
        _ => None,
    };
    let definition = NewDefinition {
        chart: chart.id.clone(),
        name: chart.name.clone(),
        source: source.to_owned(),
        at: now,
        schedule,
        limits: chart.limits,
        pools: chart.required_pools(),
    };
    definitions.deploy(definition).await
}
