//! `flux bench failover`

use super::Common;
use super::cost::mib;
use super::holder::Holder;
use super::place::{Place, open_files};
use super::process::Process;
use super::report::round;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::chart::Compiler;
use flux_core::clock::{Clock, Timestamp};
use flux_core::value;
use flux_engine::{RunOptions, deploy, new_run};
use flux_failover::SystemClock;
use flux_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const DEFINITION: &str = include_str!("workloads/hold.yaml");

/// Runs that are submitted in one go.
const GROUP: usize = 1000;

/// How often the failovers are looked at; when one was is told by the engine that declared it.
const PACE: Duration = Duration::from_millis(50);

/// The failover time window when none is set.
const WINDOW: &str = "+9s";

/// Measures how soon other engines run again what a killed engine ran
///
/// Starts engines as processes of their own, on a temporary store like that of `flux
/// bench`. The first one gets all branches, each with an HTTP call that is never
/// answered; the others join, and the first is killed. The failover time window is nine
/// seconds unless another one is set.
///
/// Examples:
///   flux bench failover
///   flux bench failover --branches 1000 --engines 5 --failover-time-window +30s
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Branches that the engine runs which is killed
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    branches: u32,
    /// How many engines, the one that is killed included
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=35))]
    engines: u32,
    /// How long each part may take: until all run, until the engine is declared dead, until all run again
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
    #[command(flatten)]
    pub common: Common,
}

/// What was measured; memory in bytes, with the share of what is shared.
struct Figures<'a> {
    store: &'static str,
    args: &'a Args,
    window: Duration,
    /// From the submission until all branches ran for the first time.
    first: Duration,
    memory: (u64, u64),
    /// From the kill until the engine was declared dead.
    conviction: Duration,
    /// From then until all branches ran again.
    takeover: Duration,
    /// The most of those that run them now.
    memory_after: (u64, u64),
}

pub async fn run(args: &Args, config: &Config, place: &Place) -> Result<(), Failure> {
    let figures = Trial::new(args, config, place).await?.run().await?;
    if args.common.output != Format::Table {
        return output::document(args.common.output, &figures.json());
    }
    figures.table();
    Ok(())
}

/// One failover.
struct Trial<'a> {
    args: &'a Args,
    config: &'a Config,
    place: &'a Place,
    store: Arc<dyn Store>,
    holder: Holder,
    branches: usize,
}

impl<'a> Trial<'a> {
    async fn new(
        args: &'a Args,
        config: &'a Config,
        place: &'a Place,
    ) -> Result<Trial<'a>, Failure> {
        // Each branch is a connection, here and in the engine; the rest is for everything else.
        open_files(u64::from(args.branches) + 500)?;
        let branches = args.branches as usize;
        Ok(Trial {
            args,
            config,
            place,
            store: wiring::database(config).await?,
            holder: Holder::start(branches).await?,
            branches,
        })
    }

    async fn run(self) -> Result<Figures<'a>, Failure> {
        let mut dying = self.engine("dying").await?;
        output::note(&format!("{} branches are started", self.branches));
        let submitted = SystemClock.now();
        self.submit().await?;
        self.all_run("run").await?;
        let first = SystemClock.now().since(submitted);
        let mut others = Vec::new();
        for number in 2..=self.args.engines {
            others.push(self.engine(&format!("other-{number}")).await?);
        }
        let memory = dying.memory();
        output::note("their engine is killed");
        let killed = SystemClock.now();
        dying.kill().await?;
        let convicted = self.conviction(&dying.incarnation).await?;
        output::note("it was declared dead");
        self.all_run("run again").await?;
        let again = SystemClock.now();
        let memory_after = others.iter().map(Process::memory).max();
        for other in &mut others {
            other.kill().await?;
        }
        Ok(Figures {
            store: self.config.database.kind(),
            args: self.args,
            window: self.window(),
            first,
            memory,
            conviction: convicted.since(killed),
            takeover: again.since(convicted),
            memory_after: memory_after.unwrap_or_default(),
        })
    }

    /// The default of everything else is too patient to be waited for.
    fn is_window_given(&self) -> bool {
        let given = self.config.given.get("failover_time_window");
        given.is_some_and(|setting| setting.source != "default")
    }

    fn window(&self) -> Duration {
        match self.is_window_given() {
            true => self.config.engine.window,
            false => Duration::from_secs(9),
        }
    }

    async fn engine(&self, name: &str) -> Result<Process, Failure> {
        let concurrency = self.branches.to_string();
        let mut settings = vec![
            ("concurrency_level", concurrency.as_str()),
            ("http_timeout", "+1d"),
        ];
        if !self.is_window_given() {
            settings.push(("failover_time_window", WINDOW));
        }
        Process::start(self.config, self.place.folder(), name, &settings).await
    }

    async fn submit(&self) -> Result<(), Failure> {
        let chart = flux_lang::Language.compile(DEFINITION);
        let chart = chart.map_err(|report| Failure::new(1, report))?;
        deploy(&*self.store, &chart, DEFINITION, false, SystemClock.now()).await?;
        let numbers: Vec<usize> = (0..self.branches).collect();
        for group in numbers.chunks(GROUP) {
            let mut runs = Vec::with_capacity(group.len());
            for number in group {
                let input = value::parse(&json!({ "url": self.holder.url(*number) }).to_string());
                let input = input.map_err(|error| Failure::new(1, error.to_string()))?;
                let options = RunOptions::default();
                runs.push(new_run(&chart, &input, options, SystemClock.now()));
            }
            self.store.submit(runs).await?;
        }
        Ok(())
    }

    /// Waits until all branches run; `what` they are to do, for the error.
    async fn all_run(&self, what: &str) -> Result<(), Failure> {
        let all = self.holder.reaches(self.branches);
        let waited = tokio::time::timeout(self.patience(), all).await;
        waited.map_err(|_| {
            let (count, all) = (self.holder.count(), self.branches);
            self.too_late(&format!("only {count} of {all} branches {what}"))
        })
    }

    /// When the engine was declared dead, by the clock of this machine.
    async fn conviction(&self, incarnation: &str) -> Result<Timestamp, Failure> {
        let looking = async {
            loop {
                let all = self.store.failovers(self.args.engines).await?;
                let mut all = all.into_iter();
                if let Some(found) = all.find(|one| one.from.to_string() == incarnation) {
                    return Ok(found.at);
                }
                tokio::time::sleep(PACE).await;
            }
        };
        let waited = tokio::time::timeout(self.patience(), looking).await;
        waited.unwrap_or_else(|_| Err(self.too_late("nobody has declared the killed engine dead")))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.args.patience.into())
    }

    fn too_late(&self, what: &str) -> Failure {
        let seconds = self.args.patience;
        Failure::new(1, format!("{what} after {seconds} s"))
            .help("--patience is how long to wait; fewer --branches need less")
    }
}

impl Figures<'_> {
    fn total(&self) -> Duration {
        self.conviction + self.takeover
    }

    fn json(&self) -> Value {
        let seconds = |time: Duration| round(time.as_secs_f64(), 3);
        let memory = |(resident, share): (u64, u64)| json!({ "resident_mib": mib(resident), "proportional_mib": mib(share) });
        json!({
            "store": self.store,
            "branches": self.args.branches,
            "engines": self.args.engines,
            "failover_time_window_s": self.window.as_secs_f64(),
            "first_start_s": seconds(self.first),
            "kill_to_conviction_s": seconds(self.conviction),
            "conviction_to_all_running_s": seconds(self.takeover),
            "kill_to_all_running_s": seconds(self.total()),
            "memory_of_killed": memory(self.memory),
            "largest_memory_of_others": memory(self.memory_after),
        })
    }

    fn table(&self) {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let memory = |(resident, share): (u64, u64)| {
            format!(
                "{:.0} MiB ({:.0} MiB as its share)",
                mib(resident),
                mib(share)
            )
        };
        let branches = self.args.branches;
        let rows = [
            (
                format!("{branches} branches run after their submission"),
                seconds(self.first),
            ),
            (
                "kill until declared dead".to_owned(),
                seconds(self.conviction),
            ),
            (
                "from then until all run again".to_owned(),
                seconds(self.takeover),
            ),
            ("kill until all run again".to_owned(), seconds(self.total())),
            (
                "memory of the killed engine".to_owned(),
                memory(self.memory),
            ),
            (
                "largest memory of the others".to_owned(),
                memory(self.memory_after),
            ),
        ];
        let rows = rows.map(|(name, figure)| vec![name, figure]);
        output::table(&["failover", "measured"], rows.into());
    }
}
