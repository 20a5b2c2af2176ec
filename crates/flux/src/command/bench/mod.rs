//! `flux bench`: what the engine reaches here and now.
//!
//! ```text
//!   sitting.rs    the measurements of one sitting ──► report.rs
//!     raw.rs        the store without an engine
//!     load.rs       shapes of load ── fleet.rs: engines in this process
//!     workload.rs   what the runs do
//!     cost.rs       processor time, memory, bytes: proc.rs, server.rs
//!     yardstick.rs  what others reach on the same server: pgbench.rs
//! ```

mod cost;
mod fleet;
mod latency;
mod load;
mod pgbench;
mod proc;
mod raw;
mod report;
mod server;
mod sitting;
mod workload;
mod yardstick;

use super::start::Stop;
use crate::config::Config;
use crate::database::Database;
use crate::exit::{Failure, INTERRUPTED, UNAVAILABLE};
use crate::wiring;
use flux_core::chart::{Chart, Compiler};
use flux_core::clock::Clock;
use flux_core::ids::BranchId;
use flux_core::ports::runs::NewRun;
use flux_core::value::{self, Value};
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;
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
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    sitting: sitting::Args,
}

pub async fn run(args: &Args, mut config: Config) -> Result<(), Failure> {
    let folder = temporary(args.sitting.folder.as_ref())?;
    config.database = own(&config.database, folder.path())?;
    let mut stop = Stop::new()?;
    let measured = tokio::select! {
        measured = sitting::run(&args.sitting, config.clone()) => measured,
        () = stop.wanted() => Err(Failure::new(INTERRUPTED, "stopped before the end")),
    };
    if let Database::Server(address) = &config.database {
        let dropped = flux_store::postgres::drop_schema(address).await;
        dropped.map_err(|error| Failure::new(UNAVAILABLE, error.to_string()))?;
    }
    measured
}

fn temporary(within: Option<&PathBuf>) -> Result<TempDir, Failure> {
    let folder = within.cloned().unwrap_or_else(std::env::temp_dir);
    tempfile::tempdir_in(&folder).map_err(|error| {
        let text = format!(
            "cannot make a temporary folder in {}: {error}",
            folder.display()
        );
        Failure::new(1, text).help("--folder names a folder that can be written to")
    })
}

/// A place like the configured one where nobody else works.
fn own(configured: &Database, folder: &Path) -> Result<Database, Failure> {
    let Database::Server(address) = configured else {
        return Ok(Database::File(folder.join("flux.db")));
    };
    let schema = format!("bench_{}", Uuid::now_v7().simple());
    let own = address.clone().with_schema(&schema);
    let own = own.map_err(|error| Failure::new(1, error.to_string()))?;
    Ok(Database::Server(own))
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
