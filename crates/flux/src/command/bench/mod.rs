//! `flux bench`: what the engine reaches here and now.
//!
//! ```text
//!   place.rs      a temporary store, where all of it happens
//!   sitting.rs    the measurements of one sitting ──► report.rs
//!     raw.rs        the store without an engine
//!     load.rs       shapes of load ── fleet.rs: engines in this process
//!     workload.rs   what the runs do
//!     cost.rs       processor time, memory, bytes: proc.rs, server.rs
//!     yardstick.rs  what others reach on the same server: pgbench.rs
//!   idle.rs       engines with nothing to do: process.rs
//!   failover.rs   a killed engine's branches, which ask holder.rs: process.rs
//! ```

mod cost;
mod failover;
mod fleet;
mod holder;
mod idle;
mod latency;
mod load;
mod pgbench;
mod place;
mod proc;
mod process;
mod raw;
mod report;
mod server;
mod sitting;
mod workload;
mod yardstick;

use super::start::Stop;
use crate::config::Config;
use crate::exit::{Failure, INTERRUPTED};
use crate::output::Format;
use crate::wiring;
use flux_core::chart::{Chart, Compiler};
use flux_core::clock::Clock;
use flux_core::ids::BranchId;
use flux_core::ports::runs::NewRun;
use flux_core::value::{self, Value};
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use place::Place;
use std::path::PathBuf;
use std::sync::Arc;
use workload::Workload;

/// Measures how many runs the engine gets done, how fast, and what they cost
///
/// Works on a store of its own, with the settings that are in force: in a temporary
/// folder, or in a temporary schema of the PostgreSQL database that is set. Several
/// measurements in one sitting, because only their ratios mean something on a shared
/// machine: the store alone, the engine under load, one run after the other on the
/// idle engine, and on PostgreSQL what others reach on the same server.
///
/// Examples:
///   flux bench
///   flux bench --runs 100000 --in-flight 2000 -o json
///   flux bench --workload signals --shape rate --rate 500
///   flux bench --database-url postgres://flux@db/flux --engines 4
#[derive(clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    sitting: sitting::Args,
}

/// Other measurements.
#[derive(clap::Subcommand)]
enum Other {
    Idle(idle::Args),
    Failover(failover::Args),
}

/// What all measurements may be told.
#[derive(clap::Args)]
#[group(skip)]
struct Common {
    /// Where to put the temporary store; a folder on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub async fn run(args: &Args, mut config: Config) -> Result<(), Failure> {
    let common = match &args.other {
        None => &args.sitting.common,
        Some(Other::Idle(args)) => &args.common,
        Some(Other::Failover(args)) => &args.common,
    };
    let place = Place::make(common.folder.as_ref(), &mut config)?;
    let mut stop = Stop::new()?;
    let measuring = async {
        match &args.other {
            None => sitting::run(&args.sitting, config.clone()).await,
            Some(Other::Idle(args)) => idle::run(args, &config, &place).await,
            Some(Other::Failover(args)) => failover::run(args, &config, &place).await,
        }
    };
    let measured = tokio::select! {
        measured = measuring => measured,
        () = stop.wanted() => Err(Failure::new(INTERRUPTED, "stopped before the end")),
    };
    let cleared = place.clear(&config).await;
    measured.and(cleared)
}

/// What every measurement works on.
struct Bench {
    store: Arc<dyn Store>,
    workload: Workload,
    chart: Arc<Chart>,
    input: Value,
    /// Of the input, as JSON.
    input_bytes: usize,
    config: Config,
}

impl Bench {
    /// Opens the store, and deploys what is to run.
    async fn prepare(config: Config, workload: Workload) -> Result<Bench, Failure> {
        let store = wiring::database(&config).await?;
        let mut last = None;
        for definition in workload.definitions() {
            let chart = flux_lang::Language.compile(definition);
            let chart = chart.map_err(|report| Failure::new(1, report))?;
            deploy(&*store, &chart, definition, false, SystemClock.now()).await?;
            last = Some(chart);
        }
        let input = workload.input()?;
        Ok(Bench {
            store,
            workload,
            chart: last.ok_or_else(|| Failure::new(1, "the workload is empty"))?,
            input_bytes: value::to_json(&input).len(),
            input,
            config,
        })
    }

    /// So many new runs of the workload.
    fn runs(&self, count: usize) -> Vec<NewRun> {
        let new = |_| {
            let options = RunOptions::default();
            new_run(&self.chart, &self.input, options, SystemClock.now())
        };
        (0..count).map(new).collect()
    }

    /// How many runs are submitted in one go: as many as a client would have in its memory.
    fn group(&self) -> usize {
        const BYTES: usize = 8 << 20;
        (BYTES / self.input_bytes).clamp(1, 1000)
    }

    /// Submits so many runs, for engines that are still to come; their first branches.
    async fn submitted(&self, count: u32) -> Result<Vec<BranchId>, Failure> {
        let mut branches = Vec::with_capacity(count as usize);
        while branches.len() < count as usize {
            let runs = self.runs(self.group().min(count as usize - branches.len()));
            branches.extend(runs.iter().map(|run| run.branch));
            self.store.submit(runs).await?;
        }
        Ok(branches)
    }
}
