//! PostgreSQL, version 14 and newer: connections, migrations, what it says differently.

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

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
