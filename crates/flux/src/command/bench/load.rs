//! The shapes of load: when runs are submitted.

use super::Bench;
use super::cost::Gauge;
use super::fleet::{Fleet, Setup};
use super::latency::Latency;
use super::report::Load;
use crate::exit::Failure;
use clap::ValueEnum;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::time::{Duration, Instant};

/// When the runs are submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// So many in flight at any moment: where some end, others begin (`--in-flight`)
    #[default]
    Closed,
    /// So many each second, whether those before have ended or not (`--rate`)
    Rate,
    /// All at once, to engines that wait for work
    Burst,
    /// All before the engines start
    Backlog,
}

impl Shape {
    /// As on the command line.
    pub fn name(self) -> String {
        let name = self.to_possible_value();
        name.map_or_else(String::new, |name| name.get_name().to_owned())
    }
}

/// How much of which shape.
#[derive(Clone, Copy)]
pub struct Plan {
    pub shape: Shape,
    pub runs: u32,
    /// Of [`Shape::Closed`].
    pub in_flight: u32,
    /// Runs per second, of [`Shape::Rate`].
    pub rate: u32,
}

/// Lets engines run what is planned.
pub async fn measure(bench: &Bench, setup: Setup, plan: Plan) -> Result<Load, Failure> {
    let mut fleet = Fleet::new();
    let backlog = match plan.shape {
        Shape::Backlog => bench.submitted(plan.runs).await?,
        Shape::Closed | Shape::Rate | Shape::Burst => {
            fleet.start(bench, setup).await?;
            fleet.warm_up(bench).await?;
            Vec::new()
        }
    };
    let gauge = Gauge::start(&bench.config).await?;
    let (before, begin) = (fleet.stats(), Instant::now());
    match plan.shape {
        Shape::Closed => closed(bench, &mut fleet, plan).await?,
        Shape::Rate => at_rate(bench, &mut fleet, plan, begin).await?,
        Shape::Burst => {
            fleet.submit(bench, plan.runs).await?;
            all_end(&mut fleet, plan.runs).await?;
        }
        Shape::Backlog => {
            for branch in backlog {
                fleet.expect(branch, begin);
            }
            fleet.start(bench, setup).await?;
            all_end(&mut fleet, plan.runs).await?;
        }
    }
    let (took, did) = (begin.elapsed(), fleet.stats().since(before));
    let latency = fleet.drain().await;
    let cost = gauge.stop(did).await?;
    Ok(Load::new(plan.runs, bench.workload.steps(), took, did, cost).with(latency))
}

/// Runs one run after the other on an idle engine; from before its submission to the news of its end.
pub async fn singles(bench: &Bench, runs: u32) -> Result<Latency, Failure> {
    let setup = Setup {
        engines: 1,
        concurrency: 10,
        network: false,
    };
    let mut fleet = Fleet::new();
    fleet.start(bench, setup).await?;
    fleet.warm_up(bench).await?;
    for _ in 0..runs {
        fleet.submit(bench, 1).await?;
        fleet.next_end().await?;
    }
    Ok(fleet.drain().await)
}

async fn all_end(fleet: &mut Fleet, runs: u32) -> Result<(), Failure> {
    for _ in 0..runs {
        fleet.next_end().await?;
    }
    Ok(())
}

async fn closed(bench: &Bench, fleet: &mut Fleet, plan: Plan) -> Result<(), Failure> {
    let mut submitted = plan.runs.min(plan.in_flight);
    fleet.submit(bench, submitted).await?;
    let mut gone = 0;
    for _ in 0..plan.runs {
        fleet.next_end().await?;
        gone += 1;
        // In groups, as a client that has many runs to start would do it.
        if gone >= plan.in_flight.div_ceil(4) && submitted < plan.runs {
            let more = gone.min(plan.runs - submitted);
            fleet.submit(bench, more).await?;
            submitted += more;
            gone = 0;
        }
    }
    Ok(())
}

/// Each run counts from the moment at which it was due, so what comes late is not forgiven.
async fn at_rate(
    bench: &Bench,
    fleet: &mut Fleet,
    plan: Plan,
    begin: Instant,
) -> Result<(), Failure> {
    let due = |run: u32| begin + Duration::from_secs_f64(f64::from(run) / f64::from(plan.rate));
    let mut submissions = FuturesUnordered::new();
    let (mut submitted, mut ended) = (0, 0);
    while ended < plan.runs {
        tokio::select! {
            biased;
            Some(done) = submissions.next() => done?,
            () = tokio::time::sleep_until(due(submitted).into()), if submitted < plan.runs => {
                let now = Instant::now();
                let all = (submitted..plan.runs).map(due).take_while(|due| *due <= now);
                let since: Vec<Instant> = all.collect();
                submitted += since.len() as u32;
                for group in since.chunks(bench.group()) {
                    submissions.push(fleet.submission(bench, group));
                }
            }
            end = fleet.next_end() => {
                end?;
                ended += 1;
            }
        }
    }
    Ok(())
}
