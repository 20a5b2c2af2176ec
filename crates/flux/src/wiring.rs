//! The composition root: which store stands behind which port.

use crate::config::Config;
use crate::exit::{CONFIG, Failure, TRY_AGAIN, UNAVAILABLE};
use crate::remote::Remote;
use flux_core::ports::members::Members;
use flux_core::ports::peers::Peers;
use flux_engine::{Engine, StartError, Stores};
use flux_failover::SystemHost;
use flux_peer::Network;
use flux_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a server that is away is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What the commands of a client work on: the database, or the engines that were named.
pub async fn store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let network = &config.network;
    if network.engines.is_empty() {
        return database(config).await;
    }
    let options = flux_client::Options {
        token: network.token.clone(),
        ca_pem: network.ca_pem()?,
        ..flux_client::Options::default()
    };
    let client = flux_client::Client::new(&network.engines, options);
    let client = client.map_err(|error| Failure::new(CONFIG, format!("ENGINE: {error}")))?;
    Ok(Arc::new(Remote::new(client)))
}

/// Opens the database, creating or migrating it when needed.
pub async fn database(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let name = name(config);
    let opened = config.database.open(&name, config.engine.window);
    opened.await.map_err(|refused| refused.failure)
}

/// Opens the store of an engine, which may start before its database does.
pub async fn store_in_time(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let name = name(config);
    let mut told = false;
    loop {
        let opened = config.database.open(&name, config.engine.window);
        match opened.await {
            Ok(store) => return Ok(store),
            Err(refused) if !refused.is_transient => return Err(refused.failure),
            Err(refused) if !std::mem::replace(&mut told, true) => {
                let text = refused.failure.message;
                tracing::warn!("the database is not there yet, it is tried again: {text}");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn name(config: &Config) -> String {
    format!("flux {}", config.engine.name)
}

/// The network of an engine; `None` when it is switched off. Waits for a database that is away.
pub async fn network(config: &Config, store: &dyn Store) -> Result<Option<Network>, Failure> {
    if !config.network.is_on {
        return Ok(None);
    }
    let cluster = loop {
        match store.cluster().await {
            Ok(cluster) => break cluster,
            Err(error) if error.is_transient() => {
                tracing::warn!("cannot read which cluster this is: {error}; trying again");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let system = rustix::system::uname();
    let settings = flux_peer::Config {
        cluster,
        host_name: system.nodename().to_string_lossy().into_owned(),
        pool: config.engine.pool.clone(),
        version: config.engine.version.to_owned(),
        ca_pem: config.network.ca_pem()?,
    };
    Ok(Some(Network::start(settings, Arc::new(SystemHost))))
}

/// Starts an engine on the store.
pub async fn engine(
    config: flux_engine::Config,
    store: &Arc<dyn Store>,
    peers: Arc<dyn Peers>,
) -> Result<Engine, Failure> {
    let opener = Arc::clone(store);
    let stores = Stores {
        members: Arc::new(move || -> Arc<dyn Members> { opener.members() }),
        branches: store.clone(),
        runs: store.clone(),
        definitions: store.clone(),
        peers,
    };
    let compiler = Arc::new(flux_lang::Language);
    Engine::start(config, stores, compiler, Arc::new(SystemHost))
        .await
        .map_err(|error| match error {
            StartError::Actions(text) => Failure::new(CONFIG, text),
            StartError::Join(flux_failover::StartError::ClusterFull { .. }) => {
                Failure::new(TRY_AGAIN, error.to_string())
            }
            StartError::Join(_) => Failure::new(UNAVAILABLE, error.to_string()),
        })
}
