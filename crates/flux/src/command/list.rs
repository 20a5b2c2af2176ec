//! `flux list`

use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::branch::RunState;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::runs::{Outcome, RunFilter, RunRecord};
use flux_core::time_expression::TimeExpression;
use flux_failover::SystemClock;
use serde_json::{Value, json};

/// Lists runs, newest first
///
/// Examples:
///   flux list --state running --state waiting
///   flux list --name order-approval --since -1d -o json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only this state; may be repeated
    #[arg(long, value_name = "STATE")]
    state: Vec<RunState>,
    /// Only this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only this workflow
    #[arg(long)]
    name: Option<String>,
    /// Only runs submitted since then, such as -1d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeExpression>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let since = match &args.since {
        Some(time) => {
            let after = time.after(SystemClock.now());
            Some(after.map_err(|error| Failure::new(2, error.to_string()))?)
        }
        None => None,
    };
    let filter = RunFilter {
        states: args.state.clone(),
        namespace: args.namespace.clone(),
        name: args.name.clone(),
        since,
        limit: args.limit,
        before: None,
    };
    let runs = store.list(filter).await?;
    if args.output != Format::Table {
        let runs: Vec<Value> = runs.iter().map(run_json).collect();
        return output::document(args.output, &json!({ "runs": runs }));
    }
    let rows = runs.iter().map(|run| {
        let ended = run.ended_at.map_or_else(String::new, |at| at.to_string());
        let cells = [
            run.id.to_string(),
            run.name.to_string(),
            run.state.to_string(),
        ];
        cells
            .into_iter()
            .chain([run.started_at.to_string(), ended])
            .collect()
    });
    output::table(
        &["run", "workflow", "state", "started", "ended"],
        rows.collect(),
    );
    Ok(())
}

/// A run as JSON.
pub fn run_json(run: &RunRecord) -> Value {
    let data = |json: &String| serde_json::from_str::<Value>(json).unwrap_or_default();
    let (result, fault) = match &run.outcome {
        Some(Outcome::Completed { output }) => (data(output), Value::Null),
        Some(Outcome::Faulted { fault }) => (Value::Null, json!(fault)),
        Some(Outcome::Cancelled) | None => (Value::Null, Value::Null),
    };
    json!({
        "id": run.id.to_string(),
        "namespace": run.name.namespace,
        "name": run.name.name,
        "version": run.name.version,
        "state": run.state.name(),
        "input": data(&run.input),
        "output": result,
        "fault": fault,
        "started_at": run.started_at.to_string(),
        "ended_at": run.ended_at.map(|at: Timestamp| at.to_string()),
        "priority": run.priority,
    })
}
