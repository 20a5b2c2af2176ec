//! The only crate that knows SQL: keeps branches, runs, definitions and members in a database.
//!
//! ```text
//!   flux-engine, flux-failover, flux ──► ports (flux-core) ──► SqliteStore
//!                                                               │ writer thread: ticks
//!                                                               │ reader threads
//!                                                               ▼ members: a thread of their own
//!   queries (free functions on a connection) ── sqlite::dialect ──► SQLite
//! ```
//!
//! [`sqlite`] holds what belongs to SQLite alone: connections, threads, migrations, and in
//! `dialect` the statements that another database would say differently. `queries` holds the rest.

mod codec;
mod error;
pub mod postgres;
mod queries;
mod sql;
pub mod sqlite;

pub use error::OpenError;
pub use queries::status::Counts;
pub use sqlite::{Options, SqliteStore, Stats, Status, backup, status};
