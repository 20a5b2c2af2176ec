//! Starting runs.

use super::Api;
use crate::check::Check;
use crate::names;
use crate::refusal::{of_missing, of_store};
use flux_core::chart::{Chart, WorkflowName};
use flux_core::throttle::PRIORITIES;
use flux_core::value::Value;
use flux_engine::{RunOptions, new_run};
use flux_proto::v1::{NewRun, SubmitRunsRequest, SubmitRunsResponse, SubmittedRun};
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Status;

/// Runs in one request.
const MOST: usize = 1_000;
/// Characters of a request id.
const LONGEST_ID: usize = 200;

/// What is wanted, once it is checked.
struct Wanted {
    workflow: WorkflowName,
    input: Value,
    options: RunOptions,
}

impl Api {
    /// `trace` is the W3C trace context of the call itself, for runs that have none of their own.
    pub(super) async fn submit(
        &self,
        request: SubmitRunsRequest,
        trace: Option<String>,
    ) -> Result<SubmitRunsResponse, Status> {
        let trace = trace.filter(|trace| names::is_traceparent(trace));
        let wanted = wanted(&request.runs, trace)?;
        let charts = self.charts(&wanted).await?;
        let now = self.ports.host.now();
        let runs = wanted.into_iter().map(|wanted| {
            let chart = &charts[&wanted.workflow];
            new_run(chart, &wanted.input, wanted.options, now)
        });
        let submitted = self.local.submit(runs.collect()).await.map_err(of_store)?;
        let runs = submitted.into_iter().map(|submitted| SubmittedRun {
            name: names::run(submitted.run),
            already_submitted: !submitted.new,
        });
        Ok(SubmitRunsResponse {
            runs: runs.collect(),
        })
    }

    /// The chart of each workflow that is wanted, looked up once.
    async fn charts(&self, wanted: &[Wanted]) -> Result<HashMap<WorkflowName, Arc<Chart>>, Status> {
        let mut charts = HashMap::new();
        for Wanted { workflow, .. } in wanted {
            if charts.contains_key(workflow) {
                continue;
            }
            let found = self.charts.find(workflow).await;
            let chart = found.map_err(|missing| of_missing(missing, &names::workflow(workflow)))?;
            charts.insert(workflow.clone(), chart);
        }
        Ok(charts)
    }
}

fn wanted(runs: &[NewRun], trace: Option<String>) -> Result<Vec<Wanted>, Status> {
    let mut check = Check::default();
    if runs.is_empty() || runs.len() > MOST {
        let given = format!("{} runs", runs.len());
        check.fault("runs", &given, "1 to 1000 runs", "1 run");
        check.done()?;
        return Ok(Vec::new());
    }
    let each = |(index, run): (usize, &NewRun)| one(&mut check, index, run, trace.clone());
    let wanted: Vec<Wanted> = runs.iter().enumerate().map(each).collect();
    check.done()?;
    Ok(wanted)
}

fn one(check: &mut Check, index: usize, run: &NewRun, trace: Option<String>) -> Wanted {
    let field = |name: &str| format!("runs[{index}].{name}");
    let workflow = check.workflow(&field("workflow"), &run.workflow);
    let input = check.json(&field("input_json"), &run.input_json);
    let id = &run.request_id;
    if id.chars().count() > LONGEST_ID || id.contains(char::is_control) {
        let must = "at most 200 characters without control characters";
        check.fault(&field("request_id"), id, must, "order-4711");
    }
    if !run.traceparent.is_empty() && !names::is_traceparent(&run.traceparent) {
        let example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        check.fault(
            &field("traceparent"),
            &run.traceparent,
            "a W3C trace context",
            example,
        );
    }
    let priority = run.priority;
    if let Some(priority) = priority.filter(|priority| !PRIORITIES.contains(&i64::from(*priority)))
    {
        let must = "a number from -1000000 to 1000000";
        check.fault(&field("priority"), &priority.to_string(), must, "5");
    }
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Wanted {
        workflow,
        input,
        options: RunOptions {
            request_id: given(id),
            pool: None,
            traceparent: given(&run.traceparent).or(trace),
            priority,
        },
    }
}
