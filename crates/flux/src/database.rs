//! Which database is used: the embedded store, or a server that engines share.

use crate::exit::{Failure, UNAVAILABLE};
use flux_store::{Address, Options, PostgresOptions, PostgresStore, SqliteStore, Store};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The database of the configuration.
#[derive(Clone)]
pub enum Database {
    /// The embedded store, in this file.
    File(PathBuf),
    /// A PostgreSQL database.
    Server(Address),
}

impl Database {
    /// The file of the embedded store, for what only makes sense for a file.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }

    /// What it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "sqlite",
            Self::Server(_) => "postgresql",
        }
    }

    /// Opens it, creating or migrating the schema when needed. Nothing that is done with it waits
    /// longer than an engine with this failover time window can.
    pub async fn open(&self, name: &str, window: Duration) -> Result<Arc<dyn Store>, OpenFailure> {
        match self {
            Self::File(path) => match SqliteStore::open(path, Options::default()) {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(OpenFailure {
                    is_transient: false,
                    failure: Failure::new(UNAVAILABLE, error.to_string())
                        .help("set FLUX_DATA_DIR to a folder on a local disk"),
                }),
            },
            Self::Server(address) => {
                let name = name.to_owned();
                match PostgresStore::open(address, &PostgresOptions { name, window }).await {
                    Ok(store) => Ok(Arc::new(store)),
                    Err(error) => Err(OpenFailure {
                        is_transient: error.is_transient(),
                        failure: Failure::new(UNAVAILABLE, error.to_string()),
                    }),
                }
            }
        }
    }
}

/// Why it could not be opened.
pub struct OpenFailure {
    /// It may be open a moment later, without anybody changing something.
    pub is_transient: bool,
    /// What to tell.
    pub failure: Failure,
}

/// Where it is, without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(address) => address.fmt(f),
        }
    }
}
