//! `flux run`

use super::input::{self, Input};
use super::progress::Progress;
use super::start::Stop;
use super::{find_run, submit};
use crate::config::Config;
use crate::exit::{CONFLICT, Failure, INTERRUPTED, TIMEOUT};
use crate::output;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ids::RunId;
use flux_core::ports::members::MemberState;
use flux_core::ports::peers::Alone;
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Runs one workflow to its end in this process
///
/// Progress goes to standard error, the output as JSON to standard output. What was
/// reached is in the store: interrupted or killed, the run goes on with --resume.
///
/// Examples:
///   flux run examples/hello/workflow.yaml
///   flux run order.yaml --input '{"order": 7}'
///   flux run parent.yaml --with child.yaml
///   flux run --resume 0193
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The definition; `-` for standard input
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
    /// Definitions that it starts as sub-workflows
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Go on with a run that was interrupted
    #[arg(long, value_name = "RUN", conflicts_with = "file")]
    resume: Option<String>,
    /// Stop waiting after this many seconds; the run can be resumed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub async fn run(args: Args, mut config: Config) -> Result<(), Failure> {
    let store = wiring::database(&config).await?;
    let id = match &args.resume {
        Some(text) => resume(&store, text).await?,
        None => begin(&store, &args).await?,
    };
    config.engine.pool = Some(pool(id));
    config.engine.listened = true;
    config.engine.poll = Duration::from_millis(200);
    let mut stop = Stop::new()?;
    let engine = wiring::engine(config.engine.clone(), &store, Arc::new(Alone)).await?;
    let progress = Progress::follow(id, engine.events());
    let end = async {
        let deadline = args.timeout.map(Duration::from_secs);
        let ended = submit::ended(&*store, id, None);
        match deadline {
            Some(deadline) => tokio::time::timeout(deadline, ended).await.ok(),
            None => Some(ended.await),
        }
    };
    let ended = tokio::select! {
        ended = end => ended,
        () = stop.wanted() => {
            output::note("stopping at the next commit point; a second signal stops at once");
            tokio::select! { () = engine.drain() => {}, () = stop.wanted() => {} }
            progress.end().await;
            return Err(Failure::new(INTERRUPTED, format!("run {id} was interrupted"))
                .help(format!("flux run --resume {id}")));
        }
    };
    engine.drain().await;
    progress.end().await;
    match ended {
        Some(record) => submit::report(&record?),
        None => Err(
            Failure::new(TIMEOUT, format!("run {id} has not ended in time"))
                .help(format!("flux run --resume {id}")),
        ),
    }
}

/// Only this process works on the run.
fn pool(id: RunId) -> String {
    format!("run:{id}")
}

async fn begin(store: &Arc<dyn Store>, args: &Args) -> Result<RunId, Failure> {
    for file in &args.with {
        let (chart, source) = input::definition(file)?;
        deploy(&**store, &chart, &source, false, SystemClock.now()).await?;
    }
    let file = args.file.clone().unwrap_or_default();
    let (chart, source) = input::definition(&file)?;
    let value = args.input.read()?;
    deploy(&**store, &chart, &source, false, SystemClock.now()).await?;
    let traceparent = std::env::var("TRACEPARENT").ok();
    let options = RunOptions {
        traceparent,
        ..RunOptions::default()
    };
    let mut run = new_run(&chart, &value, options, SystemClock.now());
    run.pool = Some(pool(run.id));
    let id = run.id;
    store.submit(vec![run]).await?;
    output::note(&format!("run {id} of {}", chart.name));
    Ok(id)
}

async fn resume(store: &Arc<dyn Store>, text: &str) -> Result<RunId, Failure> {
    let record = find_run(&**store, text).await?;
    let id = record.id;
    if record.state.is_final() {
        submit::report(&record)?;
        return Err(Failure::new(
            CONFLICT,
            format!("run {id} has ended already; its output is above"),
        ));
    }
    if record.pool != Some(pool(id)) {
        return Err(
            Failure::new(CONFLICT, format!("run {id} was not started by `flux run`"))
                .help("`flux start` runs an engine that takes it up"),
        );
    }
    let branches = store.branches(id).await?;
    let members = store.members().members().await?;
    for branch in branches {
        let owner = members
            .iter()
            .find(|member| Some(member.incarnation) == branch.owner);
        if let Some(owner) = owner.filter(|owner| owner.state != MemberState::Dead) {
            output::note(&format!(
                "{} is still owned by engine {}; unless it is alive, it is taken over once its \
                 heartbeat has been silent for its failover time window of {} s",
                branch.node,
                owner.name,
                owner.window.as_secs()
            ));
        }
    }
    Ok(id)
}
