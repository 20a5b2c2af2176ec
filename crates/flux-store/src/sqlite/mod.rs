//! SQLite: connections, opening a file, what it says differently.

mod batch;
mod blame;
mod conn;
pub(crate) mod dialect;
mod lock;
mod maintain;
mod open;
mod opener;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod schema;
#[path = "../shared/mod.rs"]
mod shared;

use std::path::Path;

use conn::Conn;
use opener::Opener;

use crate::error::OpenError;

pub use maintain::{Status, backup, status};
pub use opener::Options;
pub use shared::store::Store as SqliteStore;

/// How identifiers are kept: their 16 bytes.
type Id = diesel::sql_types::Binary;
type RawId = Vec<u8>;

impl SqliteStore {
    /// Opens the file, creating and migrating it as needed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, options: Options) -> Result<SqliteStore, OpenError> {
        open::open(path, options.busy_timeout)?;
        Ok(SqliteStore::start(Opener::new(path, options)))
    }
}

/// Connections cost little: a reader keeps its own.
async fn within_patience<T>(next: impl Future<Output = T>) -> Option<T> {
    Some(next.await)
}

/// Statements run inline: neither a timer nor the network is waited for.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().build()
}
