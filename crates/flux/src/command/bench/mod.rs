//! `flux bench`

mod engine;
mod raw;
mod report;

use crate::config::Config;
use crate::database::Database;
use crate::exit::{Failure, UNAVAILABLE};
use crate::output::{self, Format};
use crate::wiring;
use engine::Setup;
use flux_core::chart::{Chart, Compiler};
use flux_core::clock::Clock;
use flux_core::ports::runs::NewRun;
use flux_core::value::{self, Value};
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use report::{Figures, Memory};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Measures runs per second and latency of a workflow of three steps with a commit after each
///
/// Works on a store of its own, with the settings that are in force: in a temporary
/// folder, or in a temporary schema of the PostgreSQL database that is set. Three measurements in one sitting, because only their ratios mean something
/// on a shared machine: the store alone (claim, three commits, no engine), the engine
/// under load, and one run after the other on the idle engine.
///
/// Examples:
///   flux bench
///   flux bench --runs 100000 --in-flight 2000 -o json
///   flux bench --database-url postgres://flux@db/flux --engines 4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Runs of the load measurement
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs in flight at any moment of the load measurement
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,
    /// Engines under load, each with connections of its own; more than one are measured without and with
    /// a network between them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=35))]
    engines: u32,
    /// Runs of the latency measurement, one after the other
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    singles: u32,
    /// Where to put the temporary file; a folder on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

const DEFINITION: &str = include_str!("workload.yaml");

/// What every measurement works on.
struct Bench {
    store: Arc<dyn Store>,
    chart: Arc<Chart>,
    input: Value,
    config: Config,
}

impl Bench {
    /// So many new runs of the workload.
    fn runs(&self, count: u32) -> Vec<NewRun> {
        let new = |_| {
            let options = RunOptions::default();
            new_run(&self.chart, &self.input, options, SystemClock.now())
        };
        (0..count).map(new).collect()
    }
}

pub async fn run(args: &Args, mut config: Config) -> Result<(), Failure> {
    let failed = |error| Failure::new(1, format!("cannot make a temporary folder: {error}"));
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(failed)?;
    config.database = own(&config.database, folder.path())?;
    let figures = on_own(args, config.clone()).await;
    if let Database::Server(address) = &config.database {
        let dropped = flux_store::postgres::drop_schema(address).await;
        dropped.map_err(|error| Failure::new(UNAVAILABLE, error.to_string()))?;
    }
    let figures = figures?;
    if args.output != Format::Table {
        return output::document(args.output, &figures.json());
    }
    figures.table();
    Ok(())
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

async fn on_own(args: &Args, config: Config) -> Result<Figures, Failure> {
    let store = wiring::database(&config).await?;
    let chart = flux_lang::Language
        .compile(DEFINITION)
        .map_err(|report| Failure::new(1, report))?;
    deploy(&*store, &chart, DEFINITION, false, SystemClock.now()).await?;
    let bench = Bench {
        store,
        chart,
        input: value::parse(r#"{"order":4711,"customer":"Q-17","items":[1,2,3]}"#)
            .map_err(|error| Failure::new(1, error.to_string()))?,
        config,
    };
    measure(&bench, args).await
}

async fn measure(bench: &Bench, args: &Args) -> Result<Figures, Failure> {
    output::note(&format!("store alone: {} runs", args.runs));
    let raw = raw::measure(bench, args.runs, args.in_flight).await?;
    let idle = Memory::now();
    output::note(&format!(
        "engine under load: {} runs, {} in flight",
        args.runs, args.in_flight
    ));
    let setup = |engines: u32, network| Setup {
        engines,
        // A little more than its part, so that no slot is missing when others have fewer.
        concurrency: (args.in_flight.div_ceil(engines) * 3).div_ceil(2),
        network,
    };
    let load = engine::load(bench, setup(1, false), args.runs, args.in_flight).await?;
    let mut clusters = Vec::new();
    if args.engines > 1 {
        for network in [false, true] {
            let with = if network { "with" } else { "without" };
            output::note(&format!("{} engines {with} a network", args.engines));
            let setup = setup(args.engines, network);
            clusters.push(engine::load(bench, setup, args.runs, args.in_flight).await?);
        }
    }
    output::note(&format!("engine idle: {} single runs", args.singles));
    let latency = engine::latency(bench, args.singles).await?;
    Ok(Figures {
        store: match bench.config.database {
            Database::File(_) => "sqlite",
            Database::Server(_) => "postgresql",
        },
        raw,
        load,
        engines: args.engines,
        clusters,
        latency,
        idle,
        busy: Memory::now(),
    })
}
