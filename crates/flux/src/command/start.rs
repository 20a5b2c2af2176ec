//! `flux start`

use super::input;
use crate::config::Config;
use crate::exit::{Failure, INTERRUPTED};
use crate::output;
use crate::wiring;
use flux_core::clock::Clock;
use flux_engine::deploy;
use flux_failover::SystemClock;
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs an engine in the foreground until it is asked to stop
///
/// Several engines may be started on one store: they share the work, and when one
/// dies the others go on with what it ran.
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
    let store = tokio::select! {
        store = wiring::store_in_time(&config) => store?,
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped before it had joined")),
    };
    for file in &args.files {
        let (chart, source) = input::definition(file)?;
        deploy(&*store, &chart, &source, true, SystemClock.now()).await?;
    }
    let name = config.engine.name.clone();
    // Joining waits while the store is away or every place is taken.
    let mut engine = tokio::select! {
        engine = wiring::engine(config.engine.clone(), &store) => engine?,
        () = stop.wanted() => return Err(Failure::new(INTERRUPTED, "stopped before it had joined")),
    };
    output::data(&format!(
        "ready: engine {name}, incarnation {}, store {}",
        engine.incarnation(),
        config.database
    ));
    tokio::select! {
        () = stop.wanted() => {}
        () = engine.ended() => {
            output::note("drained, as somebody has asked");
            return Ok(());
        }
    }
    output::note("draining; a second signal stops at once");
    tokio::select! {
        () = engine.drain() => Ok(()),
        () = stop.wanted() => Err(Failure::new(INTERRUPTED, "stopped without draining")),
    }
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
