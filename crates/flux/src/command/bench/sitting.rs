//! The measurements of one sitting.

use super::fleet::Setup;
use super::load::{self, Plan, Shape};
use super::report::Figures;
use super::workload::Workload;
use super::{Bench, Common, raw, yardstick};
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};

/// See [`super::Args`].
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// What each run does
    #[arg(long, value_enum, default_value_t)]
    pub workload: Workload,
    /// When runs are submitted
    #[arg(long, value_enum, default_value_t)]
    pub shape: Shape,
    /// Runs of the load measurement
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs in flight at any moment with the shape `closed`; with each shape, engines have room for so many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub in_flight: u32,
    /// Runs submitted per second with the shape `rate`
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Engines under load, each with connections of its own; more than one are measured beside one alone
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=35))]
    pub engines: u32,
    /// Whether several engines have a network between them
    #[arg(long, value_enum, default_value_t)]
    network: Network,
    /// Runs of the latency measurement, one after the other
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    singles: u32,
    #[command(flatten)]
    yardstick: yardstick::Args,
    #[command(flatten)]
    pub common: Common,
}

/// Whether several engines have a network between them.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Network {
    /// First without, then with one
    #[default]
    Both,
    /// With one
    On,
    /// Without
    Off,
}

impl Network {
    /// The measurements, as whether each has a network.
    fn choices(self) -> &'static [bool] {
        match self {
            Self::Both => &[false, true],
            Self::On => &[true],
            Self::Off => &[false],
        }
    }
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            shape: self.shape,
            runs: self.runs,
            in_flight: self.in_flight,
            rate: self.rate,
        }
    }

    fn setup(&self, engines: u32, network: bool) -> Setup {
        Setup {
            engines,
            // A little more than its part, so that no slot is missing when others have fewer.
            concurrency: (self.in_flight.div_ceil(engines) * 3).div_ceil(2),
            network,
        }
    }
}

/// Measures and prints.
pub async fn run(args: &Args, config: Config) -> Result<(), Failure> {
    let bench = Bench::prepare(config, args.workload).await?;
    let figures = measure(&bench, args).await?;
    if args.common.output != Format::Table {
        return output::document(args.common.output, &figures.json());
    }
    figures.table();
    Ok(())
}

async fn measure<'a>(bench: &Bench, args: &'a Args) -> Result<Figures<'a>, Failure> {
    let mut raw = None;
    if args.workload.is_three_commits() {
        output::note(&format!("store alone: {} runs", args.runs));
        raw = Some(raw::measure(bench, args.runs, args.in_flight).await?);
    }
    output::note(&format!("engine under load: {} runs", args.runs));
    let load = load::measure(bench, args.setup(1, false), args.plan()).await?;
    let mut clusters = Vec::new();
    let choices = args.network.choices().iter().copied();
    for network in choices.filter(|_| args.engines > 1) {
        let with = if network { "with" } else { "without" };
        output::note(&format!("{} engines {with} a network", args.engines));
        let setup = args.setup(args.engines, network);
        clusters.push((network, load::measure(bench, setup, args.plan()).await?));
    }
    output::note(&format!("one run after the other: {} runs", args.singles));
    let idle = load::singles(bench, args.singles).await?;
    Ok(Figures {
        store: bench.config.database.kind(),
        args,
        raw,
        load,
        clusters,
        idle,
        yardstick: yardstick::measure(&args.yardstick, &bench.config.database).await?,
    })
}
