//! The real engine in this process: under load, and idle.

use super::Bench;
use super::report::{Latency, Load};
use crate::exit::Failure;
use crate::wiring;
use flux_core::ids::RunId;
use flux_core::ports::peers::Alone;
use flux_core::ports::runs::Outcome;
use flux_engine::{Engine, EngineEvent};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Runs `runs` runs, with `in_flight` of them submitted and not ended at any moment.
pub async fn load(bench: &Bench, runs: u32, in_flight: u32) -> Result<Load, Failure> {
    let engine = start(bench, in_flight).await?;
    let mut events = engine.events();
    let before = bench.store.stats();
    let begin = Instant::now();
    let mut submitted = submit(bench, &engine, runs.min(in_flight)).await?;
    let mut ended = 0;
    let mut gone = 0;
    while ended < runs {
        let (_, ok) = next_end(&mut events).await?;
        if !ok {
            return Err(Failure::new(1, "a run of the benchmark faulted"));
        }
        ended += 1;
        gone += 1;
        // In groups, as a client that has many runs to start would do it.
        if gone >= in_flight.div_ceil(4) && submitted < runs {
            submitted += submit(bench, &engine, gone.min(runs - submitted)).await?;
            gone = 0;
        }
    }
    let took = begin.elapsed();
    let load = Load::new(runs, took, before, bench.store.stats());
    engine.drain().await;
    Ok(load)
}

/// Runs one run after the other; from before its submission to the news of its end.
pub async fn latency(bench: &Bench, runs: u32) -> Result<Latency, Failure> {
    let engine = start(bench, 10).await?;
    let mut events = engine.events();
    let mut times = Vec::with_capacity(runs as usize);
    for _ in 0..runs {
        let begin = Instant::now();
        submit(bench, &engine, 1).await?;
        next_end(&mut events).await?;
        times.push(begin.elapsed());
    }
    engine.drain().await;
    Ok(Latency::of(times))
}

async fn start(bench: &Bench, concurrency: u32) -> Result<Engine, Failure> {
    let mut config = bench.config.engine.clone();
    config.concurrency = concurrency;
    config.listened = true;
    let engine = wiring::engine(config, &bench.store, Arc::new(Alone)).await?;
    // It claims once its first heartbeat has succeeded; a first run shows that it does.
    let mut events = engine.events();
    submit(bench, &engine, 1).await?;
    next_end(&mut events).await?;
    Ok(engine)
}

async fn submit(bench: &Bench, engine: &Engine, count: u32) -> Result<u32, Failure> {
    bench.store.submit(bench.runs(count)).await?;
    engine.nudge(count);
    Ok(count)
}

/// The next run that ended, and whether it completed.
async fn next_end(events: &mut Receiver<EngineEvent>) -> Result<(RunId, bool), Failure> {
    loop {
        match events.recv().await {
            Ok(EngineEvent::BranchEnded { run, outcome, .. }) => {
                return Ok((run, matches!(outcome, Outcome::Completed { .. })));
            }
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => {
                let text = format!("{missed} events were missed; lower --in-flight");
                return Err(Failure::new(1, text));
            }
            Err(RecvError::Closed) => return Err(Failure::new(1, "the engine has ended")),
        }
    }
}
