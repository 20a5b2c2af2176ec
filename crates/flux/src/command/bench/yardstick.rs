//! What the figures are compared with: others on the same server, in the same sitting.

use super::pgbench;
use super::report::round;
use crate::database::Database;
use crate::exit::Failure;
use crate::output;
use flux_store::postgres::yardstick;
use serde_json::{Value, json};
use std::time::Duration;

/// How many runs begin in each transaction of the raw loop.
const SIZES: [u32; 2] = [100, 300];

/// How the yardsticks are measured.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Leave out the yardsticks of PostgreSQL: pgbench and a raw loop of group commits
    #[arg(long)]
    no_yardstick: bool,
    /// How long each yardstick is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    yardstick_seconds: u32,
    /// Scale of pgbench's tables
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pgbench_scale: u32,
}

/// What others reach.
pub struct Yardstick {
    /// Transactions per second; `None` where pgbench could not be run.
    pgbench: Option<f64>,
    /// Runs per second of the raw loop, for each of [`SIZES`].
    raw_loop: Vec<(u32, f64)>,
}

/// Measures them, where there are any for the database.
pub async fn measure(args: &Args, database: &Database) -> Result<Option<Yardstick>, Failure> {
    let Database::Server(address) = database else {
        return Ok(None);
    };
    if args.no_yardstick {
        return Ok(None);
    }
    let seconds = args.yardstick_seconds;
    output::note(&format!("yardsticks: {seconds} s each"));
    let time = Duration::from_secs(seconds.into());
    let mut raw_loop = Vec::new();
    for size in SIZES {
        raw_loop.push((size, yardstick::runs_per_second(address, size, time).await?));
    }
    let pgbench = pgbench::transactions_per_second(address, args.pgbench_scale, seconds).await;
    let pgbench = pgbench.map_err(|failure| {
        let help = failure
            .help
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        output::note(&format!("no ratio to pgbench: {}{help}", failure.message));
    });
    Ok(Some(Yardstick {
        pgbench: pgbench.ok(),
        raw_loop,
    }))
}

impl Yardstick {
    /// For programs, beside so many runs per second of an engine.
    pub fn json(&self, engine: f64) -> Value {
        let size = |(size, rate): &(u32, f64)| {
            json!({
                "runs_per_transaction": size,
                "runs_per_second": rate.round(),
                "engine_over_it": round(engine / rate, 3),
            })
        };
        json!({
            "pgbench": self.pgbench.map(|rate| json!({
                "transactions_per_second": rate.round(),
                "engine_over_it": round(engine / rate, 3),
            })),
            "raw_loop": self.raw_loop.iter().map(size).collect::<Vec<_>>(),
        })
    }

    /// For people: name, rate, and what part of it the engine reaches.
    pub fn rows(&self, engine: f64) -> Vec<Vec<String>> {
        let pgbench = self.pgbench.map(|rate| ("pgbench -N".to_owned(), rate));
        let size = |(size, rate): &(u32, f64)| (format!("raw loop, {size} runs at a time"), *rate);
        let all = pgbench.into_iter().chain(self.raw_loop.iter().map(size));
        let row = |(name, rate): (String, f64)| {
            vec![name, format!("{rate:.0}"), format!("{:.2}", engine / rate)]
        };
        all.map(row).collect()
    }
}
