//! The only crate that knows SQL: keeps branches, runs, definitions and members in a database.
//!
//! ```text
//!   flux-engine, flux-failover, flux ──► ports (flux-core) ──► SqliteStore │ PostgresStore
//!                                                               │ writer thread: ticks
//!                                                               │ reader threads
//!                                                               ▼ members: a thread of their own
//!   shared::queries (free functions on a connection) ── dialect, lock ──► the database
//! ```
//!
//! `shared` is compiled once for each database and holds nearly everything; [`sqlite`] and [`postgres`]
//! hold what belongs to one of them alone: connections, migrations, the statements that it says
//! differently (`dialect`) and how it keeps writers out of each other's way (`lock`).

// One source for both databases is the point of `shared`; each is compiled with its own types.
#![allow(clippy::duplicate_mod)]

mod codec;
mod counts;
mod error;
pub mod postgres;
mod sql;
pub mod sqlite;
mod stats;

pub use counts::Counts;
pub use error::OpenError;
pub use postgres::{Address, PostgresOptions, PostgresStore};
pub use sqlite::{Options, SqliteStore, Status, backup, status};
pub use stats::Stats;

use std::sync::Arc;

use flux_core::ports::branches::Branches;
use flux_core::ports::definitions::Definitions;
use flux_core::ports::identity::Identity;
use flux_core::ports::members::Members;
use flux_core::ports::operations::Operations;
use flux_core::ports::runs::Runs;
use flux_core::ports::throttles::Throttles;

/// A store, whatever its database is.
pub trait Store: Branches + Runs + Operations + Definitions + Identity + Throttles {
    /// The members port, on a thread and connection of its own.
    fn members(&self) -> Arc<dyn Members>;

    /// How much it has done.
    fn stats(&self) -> Stats;
}
