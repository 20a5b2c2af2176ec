//! What the tests of the other crates share: real servers and real processes on this machine, and
//! ways to wait for them. Used by dev-dependencies only, so it panics instead of returning errors.
//!
//! - [`Stub`]: an HTTP(S) server whose answers the test decides; [`petstore`] and [`httpbin`] are
//!   the two public services that the conformance kit calls.
//! - [`gherkin`]: reads the conformance kit.
//! - [`Flux`]: the real `flux` binary, to be started, stopped, killed and read.
//! - [`Cluster`]: several of them on one store.
//! - [`postgres`]: real PostgreSQL servers, shared by many tests or for one test to break.
//! - [`proxy`]: faults of the network between clients and a server, and lost COMMITs.
//! - [`Witness`]: a file in which actions leave traces, to count and order them.
//! - [`history`]: what must hold in every history of real engines, checked over the evidence.
//! - [`mod@store_suite`]: what every store must do, as one test for each promise of the ports.
//! - [`races`]: what several engines may do at the same moment on one database.
//! - [`differential`]: random operations, on which two stores must agree.
//! - [`MemoryStore`]: a store that keeps everything in memory, and does the same each time.
//! - [`seed`], [`drawn`]: what a random test draws from, so that it can be repeated.
//! - [`wait_until`], [`wait_until_async`]: wait for a predicate instead of sleeping for luck.
#![expect(
    clippy::missing_panics_doc,
    reason = "every helper panics when the test's world is broken: that is its way to fail a test"
)]

mod cluster;
pub mod differential;
mod flux;
pub mod gherkin;
pub mod history;
mod memory_store;
pub mod proxy;
pub mod races;
mod seed;
pub mod store_suite;
mod stub;
mod wait;
mod witness;

pub use cluster::{Cluster, PATIENCE, alive, shell_task};
/// Real PostgreSQL servers. A crate of its own because `xtask` uses it, too.
pub use flux_testkit_postgres as postgres;

pub use flux::{Flux, FluxBuilder};
pub use memory_store::MemoryStore;
pub use seed::{drawn, seed};
pub use stub::services::{conformance, httpbin, petstore};
pub use stub::{Answer, Asked, Manner, Stub};
pub use wait::{wait_until, wait_until_async};
pub use witness::{Mark, Sign, Witness};
