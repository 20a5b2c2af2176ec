//! What the server is given: the ports of the store, and the engine beside it.

use async_trait::async_trait;
use flux_core::balance::Load;
use flux_core::chart::Compiler;
use flux_core::host::Host;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use flux_core::ports::definitions::Definitions;
use flux_core::ports::identity::Identity;
use flux_core::ports::members::Members;
use flux_core::ports::operations::Operations;
use flux_core::ports::runs::{NewRun, Runs, Submitted};
use flux_core::ports::throttles::Throttles;
use std::sync::Arc;
use std::time::Duration;

/// The engine that this server belongs to.
#[async_trait]
pub trait Local: Send + Sync {
    /// Its present incarnation.
    fn incarnation(&self) -> Incarnation;

    /// Starts runs, and runs some of them at once.
    ///
    /// # Errors
    /// As for [`Runs::submit`].
    async fn submit(&self, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error>;

    /// Says that about `ready` branches were made ready.
    fn nudge(&self, ready: u32);

    /// Begins its drain; it ends by itself then. Repeating it changes nothing.
    fn drain(&self);

    /// What it knows of the load of an engine, and how long ago it was told; `None` without a fresh
    /// report.
    fn load_of(&self, engine: Incarnation) -> Option<(Load, Duration)>;
}

/// What the server works on.
#[derive(Clone)]
pub struct Ports {
    /// Runs.
    pub runs: Arc<dyn Runs>,
    /// Changes of runs.
    pub operations: Arc<dyn Operations>,
    /// Limits on what runs at the same time.
    pub throttles: Arc<dyn Throttles>,
    /// Definitions and schedules.
    pub definitions: Arc<dyn Definitions>,
    /// Engines.
    pub members: Arc<dyn Members>,
    /// The cluster; asked to see whether the store answers.
    pub identity: Arc<dyn Identity>,
    /// The language.
    pub compiler: Arc<dyn Compiler>,
    /// Clock, timers and fresh ids.
    pub host: Arc<dyn Host>,
}
