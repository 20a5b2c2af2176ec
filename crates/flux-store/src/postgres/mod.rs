//! PostgreSQL, version 14 and newer: connections, migrations, what it says differently.

pub mod address;
mod batch;
mod blame;
mod conn;
pub mod connect;
mod dialect;
pub mod gauge;
pub mod identity;
mod lock;
mod maintain;
mod open;
mod opener;
#[cfg(test)]
mod plans;
#[path = "../shared/mod.rs"]
mod shared;
mod tls;
pub mod yardstick;

use std::time::Duration;

use conn::Conn;
use opener::Opener;

pub use address::Address;
pub use maintain::{Status, drop_schema, status};
pub use open::OpenError;
pub use opener::PostgresOptions;
pub use shared::store::Store as PostgresStore;

/// How identifiers are kept.
type Id = diesel::sql_types::Uuid;
type RawId = uuid::Uuid;

impl PostgresStore {
    /// Connects, and brings the schema up to date. Tries once; whoever starts together with the
    /// database tries again while the error [is transient](OpenError::is_transient).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        address: &Address,
        options: &PostgresOptions,
    ) -> Result<PostgresStore, OpenError> {
        let mut opener = Opener::new(address, options);
        open::open(address, &mut opener).await?;
        Ok(PostgresStore::start(opener))
    }
}

/// Connections are few: a reader gives up its own when nobody has looked for a while.
async fn within_patience<T>(next: impl Future<Output = T>) -> Option<T> {
    const PATIENCE: Duration = Duration::from_secs(10);
    tokio::time::timeout(PATIENCE, next).await.ok()
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
