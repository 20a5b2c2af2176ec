//! PostgreSQL, version 14 and newer: connections, migrations, what it says differently.

mod batch;
mod blame;
mod conn;
mod dialect;
mod lock;
mod open;
mod opener;
#[path = "../shared/mod.rs"]
mod shared;

use conn::Conn;
use opener::Opener;

pub use shared::store::Store as PostgresStore;

/// How identifiers are kept.
type Id = diesel::sql_types::Uuid;
type RawId = uuid::Uuid;

impl PostgresStore {
    /// Interim.
    pub async fn open(url: &str, schema: &str) -> Result<PostgresStore, String> {
        let opener = Opener::interim(url, schema);
        let mut conn = opener.open().await.map_err(|e| e.to_string())?;
        open::migrate(&mut conn, schema)
            .await
            .map_err(|e| format!("{e:?}"))?;
        Ok(PostgresStore::start(opener))
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
