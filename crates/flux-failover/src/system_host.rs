//! This machine and this process.

use std::io;
use std::thread;
use std::time::Duration;

use flux_core::clock::{BootTime, Clock, Timestamp};
use flux_core::host::{Host, Task};
use uuid::Uuid;

use crate::SystemClock;

/// The real host: the clocks of this machine, and the tokio runtime that it is used on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

impl Clock for SystemHost {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn boot(&self) -> BootTime {
        SystemClock.boot()
    }
}

impl Host for SystemHost {
    fn sleep(&self, by: Duration) -> Task {
        Box::pin(tokio::time::sleep(by))
    }

    fn spawn(&self, task: Task) {
        // Whoever waits for the end of a task does so by a channel that the task holds.
        drop(tokio::spawn(task));
    }

    /// On a thread and a runtime of its own.
    fn spawn_apart(&self, name: &'static str, task: Task) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(task);
                // A call that hangs on a blocking thread must not keep this one.
                runtime.shutdown_background();
            })?;
        Ok(())
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_identifiers_sort_after_earlier_ones() {
        let ids: Vec<Uuid> = (0..100).map(|_| SystemHost.fresh_id()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
    }
}
