//! What every worker of an engine shares.

use crate::action::Perform;
use crate::charts::Charts;
use crate::event::Events;
use flux_core::host::Host;
use flux_core::ports::branches::Branches;
use flux_core::ports::peers::Peers;
use flux_core::ports::runs::Runs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// What every worker of an engine shares.
pub(crate) struct Shop {
    pub branches: Arc<dyn Branches>,
    pub runs: Arc<dyn Runs>,
    pub charts: Charts,
    pub actions: Arc<dyn Perform>,
    pub host: Arc<dyn Host>,
    pub events: Events,
    /// Something became ready.
    pub nudge: Notify,
    /// Something is ready of which the other engines have perhaps not been told.
    pub untold: AtomicBool,
    /// A schedule is due.
    pub firing: Notify,
    /// The lookout may know better now than it did.
    pub look: Notify,
    pub running: crate::running::Running,
    pub peers: Arc<dyn Peers>,
    /// Perhaps the store says that we own what does not run here.
    pub strays: AtomicBool,
    /// Whether ready branches waited for a slot of a throttle when this engine claimed last.
    pub slots_wanted: AtomicBool,
    pub version: &'static str,
}

impl Shop {
    /// Work became ready, for whoever has room.
    pub fn woke(&self, ready: u32) {
        self.nudge.notify_one();
        self.peers.nudge(ready);
    }

    /// Perhaps branches are ours that nobody runs here: the claimer finds out.
    pub fn doubt(&self) {
        self.strays.store(true, Ordering::Relaxed);
        self.nudge.notify_one();
    }
}
