//! `flux start`

use super::input;
use crate::config::Config;
use crate::exit::{Failure, INTERRUPTED, UNAVAILABLE};
use crate::output;
use crate::serving;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ports::peers::{Alone, Peers};
use flux_engine::deploy;
use flux_failover::SystemClock;
use flux_server::Routes;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs an engine in the foreground until it is asked to stop
///
/// Several engines may be started on one store: they share the work, and when one
/// dies the others go on with what it ran. Each serves clients on a port of its own.
///
/// Examples:
///   flux start
///   flux start nightly.yaml              # deploys it and activates its schedule
///   FLUX_FAILOVER_TIME_WINDOW=+15s flux start
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Definitions to deploy, with their schedules
    files: Vec<PathBuf>,
}

pub async fn run(args: &Args, config: Config) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    // Before anything else is done: a port that cannot be had is an error that needs no database.
    let bound = serving::bind(&config).await?;
    let store = tokio::select! {
        store = wiring::store_in_time(&config) => store?,
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped before it had joined")),
    };
    for file in &args.files {
        let (chart, source) = input::definition(file)?;
        deploy(&*store, &chart, &source, true, SystemClock.now()).await?;
    }
    let network = tokio::select! {
        network = wiring::network(&config, &*store) => network?,
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped before it had joined")),
    };
    let mut settings = config.engine.clone();
    settings.address = network
        .as_ref()
        .map(|_| serving::advertised(&config, &bound));
    let peers: Arc<dyn Peers> = match &network {
        Some(network) => Arc::new(network.clone()),
        None => Arc::new(Alone),
    };
    // Joining waits while the store is away or every place is taken.
    let mut engine = tokio::select! {
        engine = wiring::engine(settings, &store, peers) => engine?,
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped before it had joined")),
    };
    let (name, address) = (config.engine.name, serving::url(&bound));
    let (asked_to_drain, closing) = (CancellationToken::new(), CancellationToken::new());
    let others = network
        .as_ref()
        .map(|network| Routes::new(network.service()));
    let api = serving::api(&store, engine.handle(), network, asked_to_drain.clone());
    let clients = api.handle();
    let closed = closing.clone().cancelled_owned();
    let mut server = tokio::spawn(bound.serve(api, others.unwrap_or_default(), closed));
    output::data(&format!(
        "ready: engine {name}, incarnation {}, address {address}, store {}",
        engine.incarnation(),
        config.database
    ));
    let server_failed = tokio::select! {
        () = stop.wanted() => None,
        () = asked_to_drain.cancelled() => None,
        () = engine.ended() => {
            output::note("drained, as somebody has asked");
            closing.cancel();
            let _closed = server.await;
            return Ok(());
        }
        ended = &mut server => Some(format!("the server for clients has ended: {ended:?}")),
    };
    clients.draining();
    output::note("draining; a second signal stops at once");
    tokio::select! {
        () = engine.drain() => {}
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped without draining")),
    }
    if let Some(message) = server_failed {
        return Err(Failure::new(UNAVAILABLE, message));
    }
    closing.cancel();
    if let Ok(Err(error)) = server.await {
        tracing::warn!("{error}");
    }
    Ok(())
}

/// SIGINT and SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    pub fn new() -> Result<Stop, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::new(1, format!("cannot listen to signals: {error}")))
        };
        Ok(Stop {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub async fn wanted(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}
