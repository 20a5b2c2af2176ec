//! Real engines in this process: under load, and idle.

use super::Bench;
use super::report::{Latency, Load};
use crate::exit::Failure;
use crate::{serving, wiring};
use flux_core::ports::peers::{Alone, Peers};
use flux_core::ports::runs::Outcome;
use flux_engine::{Engine, EngineEvent};
use flux_store::{Stats, Store};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// How the engines of a measurement are set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// How many, each with connections of its own.
    pub engines: u32,
    /// Branches that each runs at a time.
    pub concurrency: u32,
    /// Whether they talk to each other.
    pub network: bool,
}

/// Runs `runs` runs, with `in_flight` of them submitted and not ended at any moment.
pub async fn load(bench: &Bench, setup: Setup, runs: u32, in_flight: u32) -> Result<Load, Failure> {
    let mut fleet = Fleet::start(bench, setup).await?;
    let before = fleet.stats();
    let begin = Instant::now();
    let mut submitted = fleet.submit(bench, runs.min(in_flight)).await?;
    let (mut ended, mut gone) = (0, 0);
    while ended < runs {
        fleet.next_end().await?;
        ended += 1;
        gone += 1;
        // In groups, as a client that has many runs to start would do it.
        if gone >= in_flight.div_ceil(4) && submitted < runs {
            submitted += fleet.submit(bench, gone.min(runs - submitted)).await?;
            gone = 0;
        }
    }
    let took = begin.elapsed();
    let load = Load::new(runs, took, before, fleet.stats());
    fleet.drain().await;
    Ok(load)
}

/// Runs one run after the other; from before its submission to the news of its end.
pub async fn latency(bench: &Bench, runs: u32) -> Result<Latency, Failure> {
    let setup = Setup {
        engines: 1,
        concurrency: 10,
        network: false,
    };
    let mut fleet = Fleet::start(bench, setup).await?;
    let mut times = Vec::with_capacity(runs as usize);
    for _ in 0..runs {
        let begin = Instant::now();
        fleet.submit(bench, 1).await?;
        fleet.next_end().await?;
        times.push(begin.elapsed());
    }
    fleet.drain().await;
    Ok(Latency::of(times))
}

/// The engines of one measurement.
struct Fleet {
    nodes: Vec<Node>,
    /// Who is submitted to next.
    turn: usize,
    /// For each run that ended, whether it completed; an error when news of some were lost.
    ends: UnboundedReceiver<Result<bool, Failure>>,
}

struct Node {
    store: Arc<dyn Store>,
    engine: Engine,
    /// Ends its server.
    closing: CancellationToken,
}

impl Fleet {
    async fn start(bench: &Bench, setup: Setup) -> Result<Fleet, Failure> {
        let (news, ends) = unbounded_channel();
        let mut nodes = Vec::new();
        for number in 1..=setup.engines {
            let node = Node::start(bench, setup, number).await?;
            let events = node.engine.events();
            tokio::spawn(tell_ends(events, news.clone()));
            nodes.push(node);
        }
        let mut fleet = Fleet {
            nodes,
            turn: 0,
            ends,
        };
        // An engine claims once its first heartbeat has succeeded; a first run for each shows that some do.
        for _ in 0..setup.engines {
            fleet.submit(bench, 1).await?;
            fleet.next_end().await?;
        }
        Ok(fleet)
    }

    fn stats(&self) -> Stats {
        let sum = |sum: Stats, stats: Stats| Stats {
            ticks: sum.ticks + stats.ticks,
            requests: sum.requests + stats.requests,
            largest: sum.largest.max(stats.largest),
        };
        let all = self.nodes.iter().map(|node| node.store.stats());
        all.fold(Stats::default(), sum)
    }

    /// Submits to one engine, the next time to the next one.
    async fn submit(&mut self, bench: &Bench, count: u32) -> Result<u32, Failure> {
        let node = &self.nodes[self.turn % self.nodes.len()];
        self.turn += 1;
        node.store.submit(bench.runs(count)).await?;
        node.engine.nudge(count);
        Ok(count)
    }

    /// Waits until a run has ended, which must have completed.
    async fn next_end(&mut self) -> Result<(), Failure> {
        match self.ends.recv().await {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Failure::new(1, "a run of the benchmark faulted")),
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::new(1, "the engines have ended")),
        }
    }

    async fn drain(self) {
        for node in self.nodes {
            node.engine.drain().await;
            node.closing.cancel();
        }
    }
}

impl Node {
    async fn start(bench: &Bench, setup: Setup, number: u32) -> Result<Node, Failure> {
        let mut config = bench.config.clone();
        config.network.is_on = setup.network;
        config.listening.address.set_port(0);
        config.engine.name = format!("bench-{number}");
        config.engine.concurrency = setup.concurrency;
        config.engine.listened = true;
        let store = wiring::database(&config).await?;
        let closing = CancellationToken::new();
        let mut peers: Arc<dyn Peers> = Arc::new(Alone);
        let mut served = None;
        if let Some(network) = wiring::network(&config, &*store).await? {
            let bound = serving::bind(&config).await?;
            config.engine.address = Some(serving::advertised(&config, &bound));
            peers = Arc::new(network.clone());
            served = Some((bound, network));
        }
        let engine = wiring::engine(config.engine, &store, peers).await?;
        if let Some((bound, network)) = served {
            let others = Routes::new(network.service());
            let drain = CancellationToken::new();
            let api = serving::api(&store, engine.handle(), Some(network), drain);
            let closed = closing.clone().cancelled_owned();
            tokio::spawn(bound.serve(api, others, closed));
        }
        Ok(Node {
            store,
            engine,
            closing,
        })
    }
}

/// Passes on the ends of runs.
async fn tell_ends(
    mut events: broadcast::Receiver<EngineEvent>,
    news: UnboundedSender<Result<bool, Failure>>,
) {
    loop {
        let told = match events.recv().await {
            Ok(EngineEvent::BranchEnded { outcome, .. }) => {
                news.send(Ok(matches!(outcome, Outcome::Completed { .. })))
            }
            Ok(_) => continue,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                let text = format!("{missed} events were missed; lower --in-flight");
                news.send(Err(Failure::new(1, text)))
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if told.is_err() {
            return;
        }
    }
}
