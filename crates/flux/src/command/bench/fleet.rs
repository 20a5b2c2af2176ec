//! Real engines in this process, and the runs that they are given.

use super::Bench;
use super::latency::Latency;
use crate::exit::Failure;
use crate::{serving, wiring};
use flux_core::clock::Clock;
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::peers::{Alone, Peers};
use flux_core::ports::runs::{Event, Outcome};
use flux_engine::{Engine, EngineEvent, Handle};
use flux_failover::SystemClock;
use flux_store::{Stats, Store};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use uuid::Uuid;

/// The longest that no run ends while some should.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// The engines of one measurement, and the runs that have not ended.
pub struct Fleet {
    nodes: Vec<Node>,
    /// Who is submitted to next.
    turn: usize,
    /// Since when each run counts, by its first branch: the run ends with it.
    open: HashMap<BranchId, Instant>,
    latency: Latency,
    telling: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
}

struct Node {
    store: Arc<dyn Store>,
    engine: Engine,
    /// Ends its server.
    closing: CancellationToken,
}

/// What is heard of the engines.
enum News {
    Ended(BranchId, Instant, Outcome),
    Failed(Failure),
}

impl Fleet {
    /// Without any engine yet.
    pub fn new() -> Fleet {
        let (telling, news) = unbounded_channel();
        Fleet {
            nodes: Vec::new(),
            turn: 0,
            open: HashMap::new(),
            latency: Latency::new(),
            telling,
            news,
        }
    }

    /// Starts the engines.
    pub async fn start(&mut self, bench: &Bench, setup: Setup) -> Result<(), Failure> {
        for number in 1..=setup.engines {
            let node = Node::start(bench, setup, number).await?;
            let teller = Teller {
                store: Arc::clone(&node.store),
                engine: node.engine.handle(),
                signal: bench.workload.signal(),
                news: self.telling.clone(),
            };
            tokio::spawn(teller.tell(node.engine.events()));
            self.nodes.push(node);
        }
        Ok(())
    }

    /// An engine claims once its first heartbeat has succeeded; a first run for each shows that some do.
    pub async fn warm_up(&mut self, bench: &Bench) -> Result<(), Failure> {
        for _ in 0..self.nodes.len() {
            self.submit(bench, 1).await?;
            self.next_end().await?;
        }
        self.latency = Latency::new();
        Ok(())
    }

    /// What the engines' stores have done so far.
    pub fn stats(&self) -> Stats {
        let sum = |sum: Stats, stats: Stats| Stats {
            ticks: sum.ticks + stats.ticks,
            requests: sum.requests + stats.requests,
            largest: sum.largest.max(stats.largest),
            statements: sum.statements + stats.statements,
        };
        let all = self.nodes.iter().map(|node| node.store.stats());
        all.fold(Stats::default(), sum)
    }

    /// Submits so many runs, which count from now.
    pub async fn submit(&mut self, bench: &Bench, count: u32) -> Result<(), Failure> {
        let since = vec![Instant::now(); count as usize];
        for group in since.chunks(bench.group()) {
            self.submission(bench, group).await?;
        }
        Ok(())
    }

    /// Will submit a run for each of these moments, from which they count: to one engine, the next time to
    /// the next one.
    pub fn submission(
        &mut self,
        bench: &Bench,
        since: &[Instant],
    ) -> impl Future<Output = Result<(), Failure>> + use<> {
        let runs = bench.runs(since.len());
        for (run, since) in runs.iter().zip(since) {
            self.expect(run.branch, *since);
        }
        let node = &self.nodes[self.turn % self.nodes.len()];
        self.turn += 1;
        let engine = node.engine.handle();
        async move {
            engine.submit(runs).await?;
            Ok(())
        }
    }

    /// Takes note of a run with this first branch, and of since when it counts.
    pub fn expect(&mut self, branch: BranchId, since: Instant) {
        self.open.insert(branch, since);
    }

    /// Waits until one of the runs has ended, which must have completed.
    pub async fn next_end(&mut self) -> Result<(), Failure> {
        loop {
            let (branch, at, outcome) = match tokio::time::timeout(PATIENCE, self.news.recv()).await
            {
                Ok(Some(News::Ended(branch, at, outcome))) => (branch, at, outcome),
                Ok(Some(News::Failed(failure))) => return Err(failure),
                Ok(None) | Err(_) => return Err(self.stuck()),
            };
            // Branches of splits and runs of sub-workflows end, too.
            let Some(since) = self.open.remove(&branch) else {
                continue;
            };
            if !matches!(outcome, Outcome::Completed { .. }) {
                let text = format!("a run of the benchmark did not complete: {outcome:?}");
                return Err(Failure::new(1, text));
            }
            self.latency.record(at.saturating_duration_since(since));
            return Ok(());
        }
    }

    fn stuck(&self) -> Failure {
        let (open, seconds) = (self.open.len(), PATIENCE.as_secs());
        let text = format!("no run has ended for {seconds} s, and {open} have not ended");
        Failure::new(1, text).help("lower --in-flight or --rate")
    }

    /// Ends the engines; from when they counted to when they ended is told of all runs that did.
    pub async fn drain(self) -> Latency {
        for node in self.nodes {
            node.engine.drain().await;
            node.closing.cancel();
        }
        self.latency
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

/// Tells of one engine, and answers the runs that wait for a signal.
struct Teller {
    store: Arc<dyn Store>,
    engine: Handle,
    /// Where a run waits, and for what.
    signal: Option<(&'static str, &'static str)>,
    news: UnboundedSender<News>,
}

impl Teller {
    /// Until the engine ends, or nobody listens any more.
    async fn tell(self, mut events: broadcast::Receiver<EngineEvent>) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = self.news.closed() => return,
            };
            let news = match event {
                Ok(EngineEvent::BranchEnded {
                    branch, outcome, ..
                }) => News::Ended(branch, Instant::now(), outcome),
                Ok(EngineEvent::Committed { run, node, .. }) => {
                    self.answer(run, &node);
                    continue;
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(missed)) => {
                    let text = format!("{missed} events of an engine were missed");
                    News::Failed(Failure::new(1, text).help("lower --in-flight, --rate or --runs"))
                }
                Err(RecvError::Closed) => return,
            };
            let _nobody_listens = self.news.send(news);
        }
    }

    /// Sends a run the signal that it waits for at this node, if it does.
    fn answer(&self, run: RunId, node: &str) {
        let Some((_, kind)) = self.signal.filter(|(waiting, _)| *waiting == node) else {
            return;
        };
        let (store, engine, news) = (self.store.clone(), self.engine.clone(), self.news.clone());
        tokio::spawn(async move {
            match store.signal(run, signal(kind), SystemClock.now()).await {
                Ok(_) => engine.nudge(1),
                Err(error) => {
                    let _nobody_listens = news.send(News::Failed(error.into()));
                }
            }
        });
    }
}

fn signal(kind: &str) -> Event {
    let (id, source) = (Uuid::now_v7().to_string(), "flux:/bench".to_owned());
    let json = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"{kind}","data":1}}"#
    );
    Event {
        id,
        source,
        kind: kind.to_owned(),
        json,
    }
}
