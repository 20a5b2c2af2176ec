//! The calendar that an engine goes by: that of its machine, or the cluster's where the machine's is
//! the odd one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flux_core::clock::{BootTime, Clock, ClockOffset, Timestamp};
use flux_core::host::{Host, Task};
use uuid::Uuid;

/// By how much the calendar of this machine is to be moved; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Correction(Arc<AtomicI64>);

impl Correction {
    /// Replaces it, and returns the one before.
    pub(crate) fn replace(&self, by: ClockOffset) -> ClockOffset {
        ClockOffset::from_micros(self.0.swap(by.as_micros(), Ordering::Relaxed))
    }

    fn get(&self) -> ClockOffset {
        ClockOffset::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A host with a corrected calendar; all else is as it is.
pub(crate) struct Corrected {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) by: Correction,
}

impl Clock for Corrected {
    fn now(&self) -> Timestamp {
        self.host.now().ahead(self.by.get())
    }

    fn boot(&self) -> BootTime {
        self.host.boot()
    }
}

impl Host for Corrected {
    fn sleep(&self, by: Duration) -> Task {
        self.host.sleep(by)
    }

    fn spawn(&self, task: Task) {
        self.host.spawn(task);
    }

    fn spawn_apart(&self, name: &'static str, task: Task) -> io::Result<()> {
        self.host.spawn_apart(name, task)
    }

    fn fresh_id(&self) -> Uuid {
        self.host.fresh_id()
    }
}
