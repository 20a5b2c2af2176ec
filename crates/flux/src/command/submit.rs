//! `flux submit`

use super::input::{self, Input};
use crate::config::Config;
use crate::exit::{CANCELLED, FAULTED, Failure, NOT_FOUND, TIMEOUT};
use crate::output;
use crate::wiring;
use flux_core::chart::{Chart, Compiler, WorkflowName};
use flux_core::clock::Clock;
use flux_core::ids::RunId;
use flux_core::ports::runs::{NewRun, Outcome, RunRecord};
use flux_core::throttle::PRIORITIES;
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts runs, which the engines on the same store take up
///
/// Examples:
///   flux submit workflow.yaml --input '{"order": 7}'
///   flux submit sales/order-approval --wait
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A definition's file, or NAMESPACE/NAME:VERSION of a deployed one (without version: the latest)
    definition: String,
    #[command(flatten)]
    input: Input,
    /// The same id again returns the first run instead of starting another
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Lower numbers run first, and each is worth a minute of waiting; the definition's own when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(PRIORITIES))]
    priority: Option<i32>,
    /// How many runs to start
    #[arg(
        long,
        default_value_t = 1,
        value_name = "N",
        conflicts_with = "request_id"
    )]
    count: u32,
    /// Wait for the end, and print the output
    #[arg(long)]
    wait: bool,
    /// Longest wait in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
}

pub async fn run(args: Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let chart = chart(&store, &args.definition).await?;
    let value = args.input.read()?;
    let options = RunOptions {
        request_id: args.request_id,
        pool: None,
        traceparent: std::env::var("TRACEPARENT").ok(),
        priority: args.priority,
    };
    let mut ids = Vec::new();
    let mut left = args.count;
    while left > 0 {
        let batch: Vec<NewRun> = (0..left.min(500))
            .map(|_| new_run(&chart, &value, options.clone(), SystemClock.now()))
            .collect();
        left -= batch.len() as u32;
        ids.extend(
            store
                .submit(batch)
                .await?
                .into_iter()
                .map(|submitted| submitted.run),
        );
    }
    if !args.wait {
        for id in &ids {
            output::data(&id.to_string());
        }
        return Ok(());
    }
    let deadline = args
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    for id in ids {
        report(&ended(&*store, id, deadline).await?)?;
    }
    Ok(())
}

async fn chart(store: &Arc<dyn Store>, definition: &str) -> Result<Arc<Chart>, Failure> {
    if Path::new(definition).exists() || !definition.contains('/') || definition == "-" {
        let (chart, source) = input::definition(Path::new(definition))?;
        deploy(&**store, &chart, &source, false, SystemClock.now()).await?;
        return Ok(chart);
    }
    let missing = || {
        Failure::new(
            NOT_FOUND,
            format!("there is no file and no deployed definition `{definition}`"),
        )
        .help("`flux workflow list` shows the deployed ones")
    };
    let (namespace, rest) = definition.split_once('/').ok_or_else(missing)?;
    let (name, version) = rest.split_once(':').unwrap_or((rest, "latest"));
    let name = WorkflowName {
        namespace: namespace.into(),
        name: name.into(),
        version: version.into(),
    };
    let id = store.find(&name).await?.ok_or_else(missing)?;
    let source = store.source(&id).await?.ok_or_else(missing)?;
    flux_lang::Language
        .compile(&source)
        .map_err(|report| Failure::new(1, report))
}

/// Waits for the end of a run.
pub async fn ended(
    store: &dyn Store,
    id: RunId,
    deadline: Option<Instant>,
) -> Result<RunRecord, Failure> {
    loop {
        if let Some(record) = store.run(id).await?
            && record.state.is_final()
        {
            return Ok(record);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let message = format!("run {id} has not ended in time; it goes on");
            return Err(Failure::new(TIMEOUT, message).help(format!("flux why {id}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Prints how a run ended, with the exit code that says the same.
pub fn report(record: &RunRecord) -> Result<(), Failure> {
    match &record.outcome {
        Some(Outcome::Completed { output }) => {
            let value: serde_json::Value = serde_json::from_str(output).unwrap_or_default();
            output::json(&value);
            Ok(())
        }
        Some(Outcome::Faulted { fault }) => Err(Failure::new(
            FAULTED,
            format!("run {} faulted: {fault}", record.id),
        )
        .help(format!("flux history {}", record.id))),
        Some(Outcome::Cancelled) | None => Err(Failure::new(
            CANCELLED,
            format!("run {} was cancelled", record.id),
        )),
    }
}
