//! The composition root: which store stands behind which port.

use crate::config::Config;
use crate::exit::{CONFIG, Failure, TRY_AGAIN, UNAVAILABLE};
use flux_core::ports::members::Members;
use flux_engine::{Engine, StartError, Stores};
use flux_failover::SystemHost;
use flux_store::SqliteStore;
use std::sync::Arc;

/// Opens the store, creating or migrating it when needed.
pub fn store(config: &Config) -> Result<Arc<SqliteStore>, Failure> {
    match SqliteStore::open(&config.database, flux_store::Options::default()) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(Failure::new(UNAVAILABLE, error.to_string())
            .help("set FLUX_DATA_DIR to a folder on a local disk")),
    }
}

/// Starts an engine on the store.
pub async fn engine(
    config: flux_engine::Config,
    store: &Arc<SqliteStore>,
) -> Result<Engine, Failure> {
    let opener = Arc::clone(store);
    let stores = Stores {
        members: Arc::new(move || -> Arc<dyn Members> { opener.members() }),
        branches: store.clone(),
        runs: store.clone(),
        definitions: store.clone(),
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
