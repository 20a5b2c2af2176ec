//! Keeps an engine a member of the cluster and recovers what dead members ran.
//!
//! The engine starts a [`Membership`], looks at its [`TrustHandle`] before every action, follows
//! its [`Status`], and calls [`Membership::rejoin`] when it had to step down and has stopped
//! everything. The rules are `flux_core::ownership`; the store is behind the port
//! `flux_core::ports::members::Members`.
//!
//! ```text
//!  Membership --- join, rejoin, drain, leave
//!    |-- Heartbeat   own thread and connection: beats, renews the trust
//!    |-- TrustHandle own watchdog thread: tells everybody when it fades
//!    `-- Failover    a pass every C: observe -> plan -> execute -> report
//! ```

mod calendar;
mod failover;
mod heartbeat;
mod membership;
mod system_clock;
mod system_host;
mod trust;

#[cfg(test)]
mod memory;

/// Target of the events that say who did what to which branch and member, with boot times: what
/// one reads to find out afterwards who was right. `RUST_LOG=info,flux::evidence=debug` shows them.
pub const EVIDENCE: &str = "flux::evidence";

pub use failover::{Conviction, Failover, Report};
pub use heartbeat::Heartbeat;
pub use membership::{Config, Factory, Membership, StartError, Status};
pub use system_clock::SystemClock;
pub use system_host::SystemHost;
pub use trust::{Loss, TrustHandle};
