//! Serves clients beside the engine of this process.

use crate::config::Config;
use crate::exit::{CONFIG, Failure, UNAVAILABLE};
use crate::output;
use async_trait::async_trait;
use flux_core::balance::Load;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use flux_core::ports::runs::{NewRun, Submitted};
use flux_engine::Handle;
use flux_failover::SystemHost;
use flux_peer::Network;
use flux_server::{Api, BindError, Bound, Local, Ports, Server};
use flux_store::Store;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Opens the port. When nobody asked for a certain one and the usual one is taken, which is so when
/// a second engine starts on the same machine, any free one is taken.
pub async fn bind(config: &Config) -> Result<Bound, Failure> {
    let mut listen = config.listening.open()?;
    match Server::bind(listen.clone()).await {
        Err(BindError::Address { address, error })
            if error.kind() == ErrorKind::AddrInUse && !config.listening.is_port_given =>
        {
            output::note(&format!("{address} is taken, so another port is used"));
            listen.address.set_port(0);
            Server::bind(listen).await.map_err(failure)
        }
        bound => bound.map_err(failure),
    }
}

fn failure(error: BindError) -> Failure {
    let message = error.to_string();
    match error {
        BindError::Locked(_) | BindError::Tls(_) => Failure::new(CONFIG, message),
        BindError::Address { address, .. } => {
            let port = address.port();
            Failure::new(UNAVAILABLE, message).help(format!(
                "port {port} is perhaps that of another engine; FLUX_PORT=0 takes any free one"
            ))
        }
    }
}

/// The address to be shown and given to clients on this machine.
pub fn url(bound: &Bound) -> String {
    format!("{}://{}", bound.scheme(), bound.local_addr())
}

/// Where others reach this engine. An address like `127.0.0.1` is of use on the same machine only, which
/// the others find out by its name.
pub fn advertised(config: &Config, bound: &Bound) -> String {
    if let Some(given) = &config.listening.advertised {
        return given.clone();
    }
    let address = bound.local_addr();
    if !address.ip().is_unspecified() {
        return url(bound);
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{}://{host}:{}", bound.scheme(), address.port())
}

/// What answers clients; `drain` is cancelled when one of them asks this engine to drain.
pub fn api(
    store: &Arc<dyn Store>,
    engine: Handle,
    network: Option<Network>,
    drain: CancellationToken,
) -> Api {
    let ports = Ports {
        runs: store.clone(),
        operations: store.clone(),
        throttles: store.clone(),
        definitions: store.clone(),
        members: store.members(),
        identity: store.clone(),
        compiler: Arc::new(flux_lang::Language),
        host: Arc::new(SystemHost),
    };
    let beside = Beside {
        engine,
        network,
        drain,
    };
    Api::new(ports, Arc::new(beside))
}

/// The engine of this process, as the server knows it.
struct Beside {
    engine: Handle,
    network: Option<Network>,
    drain: CancellationToken,
}

#[async_trait]
impl Local for Beside {
    fn incarnation(&self) -> Incarnation {
        self.engine.incarnation()
    }

    async fn submit(&self, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error> {
        self.engine.submit(runs).await
    }

    fn nudge(&self, ready: u32) {
        self.engine.nudge(ready);
    }

    fn drain(&self) {
        self.drain.cancel();
    }

    fn load_of(&self, engine: Incarnation) -> Option<(Load, Duration)> {
        self.network.as_ref()?.load_of(engine)
    }
}
