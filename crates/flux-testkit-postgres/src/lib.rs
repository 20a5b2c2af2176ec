//! Real PostgreSQL servers for tests: started, stopped, killed, frozen, replicated, given a wrong
//! clock. Used by `flux-testkit`, which shows it as `flux_testkit::postgres`, and by `xtask`, which
//! starts one server for a whole test run.
//!
//! ```text
//!   shared ---> Server <--- Standby
//!                 | \----> Endpoint ---> Database     (what clients see)
//!                 v
//!               Place ---> Postmaster                 (what the machine sees: files, processes)
//!                 | \----> Home + watchdog
//!                 v
//!              template ---> Programs                 (PostgreSQL's own, and their user)
//! ```
//!
//! A test that needs no faults takes a database of its own from the [shared](Server::shared) server; one that
//! breaks the server starts its own with [`Server::start`]. It panics instead of returning errors:
//! that is its way to fail a test.
#![expect(
    clippy::missing_panics_doc,
    reason = "every helper panics when the test's world is broken"
)]

mod endpoint;
mod home;
mod place;
mod postmaster;
mod programs;
mod server;
mod shared;
mod standby;
mod storage;
mod template;
mod wait;

pub use endpoint::{Database, Endpoint};
pub use place::faketime_installed;
pub use postmaster::Mode;
pub use programs::installed;
pub use server::{Builder, Server};
pub use shared::{VARIABLE, available};
pub use standby::{Replication, Standby};
