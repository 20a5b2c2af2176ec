//! `flux bench`: what the engine reaches here and now.
//!
//! ```text
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
mod proc;
mod process;
mod raw;
mod report;
mod server;
mod sitting;
mod workload;
mod yardstick;

use super::start::Stop;
use crate::config::{Config, Setting};
use crate::database::Database;
use crate::exit::{Failure, INTERRUPTED, UNAVAILABLE};
use crate::output::Format;
use crate::wiring;
use flux_core::chart::{Chart, Compiler};
use flux_core::clock::Clock;
use flux_core::ids::BranchId;
use flux_core::ports::runs::NewRun;
use flux_core::value::{self, Value};
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::{Address, Store};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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
    place.clear(&config).await?;
    measured
}

/// A temporary place like the configured one, where nobody else works.
struct Place(TempDir);

impl Place {
    /// From now on the configuration leads there.
    fn make(within: Option<&PathBuf>, config: &mut Config) -> Result<Place, Failure> {
        let within = within.cloned().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::tempdir_in(&within).map_err(|error| {
            let (within, code) = (within.display(), 1);
            Failure::new(
                code,
                format!("cannot make a temporary folder in {within}: {error}"),
            )
            .help("--folder names a folder that can be written to")
        })?;
        let (key, value) = match &config.database {
            Database::File(_) => {
                config.database = Database::File(folder.path().join("flux.db"));
                ("data_dir", folder.path().display().to_string())
            }
            Database::Server(_) => {
                let schema = format!("bench_{}", Uuid::now_v7().simple());
                let url = Address::url_with_schema(&config.given["database_url"].value, &schema);
                let address = url.parse::<Address>();
                let address = address.map_err(|error| Failure::new(1, error.to_string()))?;
                config.database = Database::Server(address);
                ("database_url", url)
            }
        };
        let source = "bench".to_owned();
        config.given.insert(key, Setting { value, source });
        Ok(Place(folder))
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Removes what is not in the folder, which removes itself.
    async fn clear(self, config: &Config) -> Result<(), Failure> {
        if let Database::Server(address) = &config.database {
            let dropped = flux_store::postgres::drop_schema(address).await;
            dropped.map_err(|error| Failure::new(UNAVAILABLE, error.to_string()))?;
        }
        Ok(())
    }
}

/// Lets this process, and those that it starts, have so many files open.
fn open_files(count: u64) -> Result<(), Failure> {
    let limits = getrlimit(Resource::Nofile);
    if let Some(most) = limits.maximum.filter(|most| *most < count) {
        let text = format!("{count} open files are needed, and {most} are allowed");
        return Err(Failure::new(1, text).help("raise the limit (`ulimit -Hn`), or ask for fewer"));
    }
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| Failure::new(1, format!("cannot raise the limit of open files: {error}")))
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
