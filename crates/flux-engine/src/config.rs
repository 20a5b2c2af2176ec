//! What an engine must be told.

use crate::action;
use crate::monitor::Config as MonitorConfig;
use flux_core::ports::branches::Branches;
use flux_core::ports::definitions::Definitions;
use flux_core::ports::members::Members;
use flux_core::ports::peers::Peers;
use flux_core::ports::runs::Runs;
use std::sync::Arc;
use std::time::Duration;

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// A label; every start is a new incarnation.
    pub name: String,
    /// Failover time window.
    pub window: Duration,
    /// Branches at a time.
    pub concurrency: u32,
    /// Where the other engines reach it; `None` without networking.
    pub address: Option<String>,
    /// What it works on: its labels ([`flux_core::labels`]), or a private pool; `None` is the common pool.
    pub pool: Option<String>,
    /// How often to look for work that others made ready.
    pub poll: Duration,
    /// How long a drain lets actions go on.
    pub drain_timeout: Duration,
    /// A branch that loses this many owners in a row without a commit point fails.
    pub poison_limit: u32,
    /// Engines in the cluster.
    pub max_cluster_size: u32,
    /// Somebody listens to its events from the start on.
    pub listened: bool,
    /// Tells the others how much this machine has left; else they go by the count of branches.
    pub monitor: Option<MonitorConfig>,
    /// Settings of the actions.
    pub actions: action::Config,
    /// Version of the engine.
    pub version: &'static str,
}

/// Opens the members port on a connection of its own, so that heartbeats never queue behind work.
pub type MembersFactory = Arc<dyn Fn() -> Arc<dyn Members> + Send + Sync>;

/// The ports that an engine works on.
#[derive(Clone)]
pub struct Stores {
    /// Members.
    pub members: MembersFactory,
    /// Branches.
    pub branches: Arc<dyn Branches>,
    /// Runs.
    pub runs: Arc<dyn Runs>,
    /// Definitions.
    pub definitions: Arc<dyn Definitions>,
    /// The other engines, over the network.
    pub peers: Arc<dyn Peers>,
}
