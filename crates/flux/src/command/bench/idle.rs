//! `flux bench idle`

use super::Common;
use super::cost::mib;
use super::place::Place;
use super::process::Process;
use super::report::round;
use crate::config::Config;
use crate::database::Database;
use crate::exit::Failure;
use crate::output::{self, Format};
use flux_store::postgres::gauge::{Counters, Gauge};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Measures what engines cost that have nothing to do
///
/// Starts engines as processes of their own, on a temporary store like that of `flux
/// bench`. Statements are counted where the extension pg_stat_statements is there, and
/// transactions otherwise; nobody else should use the database meanwhile.
///
/// Example:
///   flux bench idle --engines 3 --seconds 60
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// How many engines
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=35))]
    engines: u32,
    /// For how long
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// How long they run before: a new engine looks around, and a resting session tells the server what it
    /// did after ten seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=3600))]
    settle: u32,
    #[command(flatten)]
    pub common: Common,
}

/// What was measured.
struct Figures {
    store: &'static str,
    seconds: f64,
    engines: Vec<Idle>,
    /// Of each engine, per second.
    statements: Option<f64>,
    transactions: Option<f64>,
}

/// One engine.
struct Idle {
    name: String,
    /// Milliseconds of processor time per second.
    cpu: f64,
    /// Bytes, and its share of what it shares with others.
    memory: (u64, u64),
}

/// What the server has counted, where there is one.
struct Counting(Option<Gauge>);

pub async fn run(args: &Args, config: &Config, place: &Place) -> Result<(), Failure> {
    output::note(&format!(
        "{} idle engines for {} s",
        args.engines, args.seconds
    ));
    let mut engines = Vec::new();
    for number in 1..=args.engines {
        let name = format!("idle-{number}");
        engines.push(Process::start(config, place.folder(), &name, &[]).await?);
    }
    tokio::time::sleep(Duration::from_secs(args.settle.into())).await;
    let figures = measure(args, config, &mut engines).await?;
    for engine in &mut engines {
        engine.kill().await?;
    }
    if args.common.output != Format::Table {
        return output::document(args.common.output, &figures.json());
    }
    figures.table();
    Ok(())
}

async fn measure(
    args: &Args,
    config: &Config,
    engines: &mut [Process],
) -> Result<Figures, Failure> {
    let mut counting = Counting::open(&config.database).await?;
    let (begin, before) = (Instant::now(), counting.read().await?);
    let cpu: Vec<Duration> = engines.iter().map(Process::cpu).collect();
    tokio::time::sleep(Duration::from_secs(args.seconds.into())).await;
    let (after, took) = (counting.read().await?, begin.elapsed().as_secs_f64());
    if let Some(ended) = engines
        .iter_mut()
        .find_map(|e| e.has_ended().then_some(&e.name))
    {
        return Err(Failure::new(
            1,
            format!("engine {ended} has ended meanwhile"),
        ));
    }
    let idle = |(engine, cpu): (&Process, Duration)| Idle {
        name: engine.name.clone(),
        cpu: (engine.cpu() - cpu).as_secs_f64() * 1000.0 / took,
        memory: engine.memory(),
    };
    let all = took * engines.len() as f64;
    let each = |count: fn(&Counters) -> Option<u64>| {
        let (before, after) = (count(before.as_ref()?)?, count(after.as_ref()?)?);
        Some(after.saturating_sub(before) as f64 / all)
    };
    Ok(Figures {
        store: config.database.kind(),
        seconds: took,
        engines: engines.iter().zip(cpu).map(idle).collect(),
        statements: each(|counters| counters.statements),
        transactions: each(|counters| Some(counters.transactions)),
    })
}

impl Counting {
    async fn open(database: &Database) -> Result<Counting, Failure> {
        Ok(Counting(match database {
            Database::File(_) => None,
            Database::Server(address) => Some(Gauge::open(address).await?),
        }))
    }

    async fn read(&mut self) -> Result<Option<Counters>, Failure> {
        match &mut self.0 {
            Some(gauge) => Ok(Some(gauge.read().await?)),
            None => Ok(None),
        }
    }
}

impl Figures {
    fn json(&self) -> Value {
        let idle = |idle: &Idle| {
            json!({
                "name": idle.name,
                "cpu_ms_per_second": round(idle.cpu, 3),
                "memory_resident_mib": mib(idle.memory.0),
                "memory_proportional_mib": mib(idle.memory.1),
            })
        };
        json!({
            "store": self.store,
            "seconds": round(self.seconds, 3),
            "engines": self.engines.iter().map(idle).collect::<Vec<_>>(),
            "statements_per_second_per_engine": self.statements.map(|rate| round(rate, 3)),
            "transactions_per_second_per_engine": self.transactions.map(|rate| round(rate, 3)),
        })
    }

    fn table(&self) {
        let row = |idle: &Idle| {
            let (resident, proportional) = (mib(idle.memory.0), mib(idle.memory.1));
            vec![
                idle.name.clone(),
                format!("{:.2}", idle.cpu),
                format!("{resident:.1}"),
                format!("{proportional:.1}"),
            ]
        };
        output::table(
            &["engine", "cpu, ms/s", "resident, MiB", "its share, MiB"],
            self.engines.iter().map(row).collect(),
        );
        let rates = [
            ("statements", self.statements),
            ("transactions", self.transactions),
        ];
        for (what, rate) in rates {
            if let Some(rate) = rate {
                output::data(&format!("{what} per second and engine: {rate:.2}"));
            }
        }
    }
}
