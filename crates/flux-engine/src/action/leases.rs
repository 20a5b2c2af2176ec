//! How long the processes of the actions may live: each runner is told at every heartbeat that
//! succeeded, from a thread of its own, so that a busy runtime does not cost them their lives.

use crate::runner::{Order, frame};
use flux_core::clock::BootTime;
use flux_failover::TrustHandle;
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Everybody who is to be told.
#[derive(Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    until: Option<BootTime>,
    last: u64,
    sockets: HashMap<u64, UnixStream>,
}

/// Ends the telling when it is dropped.
pub(crate) struct Lease {
    leases: Leases,
    number: u64,
}

impl Leases {
    /// Until when a process that starts now may live.
    pub fn until(&self) -> Option<BootTime> {
        self.lock().until
    }

    /// From now on this runner is told, beginning with the present deadline.
    pub fn add(&self, socket: UnixStream) -> Lease {
        let mut table = self.lock();
        if let Some(until) = table.until {
            tell(&socket, until);
        }
        table.last += 1;
        let number = table.last;
        table.sockets.insert(number, socket);
        Lease {
            leases: self.clone(),
            number,
        }
    }

    /// Follows the trust of one incarnation until `end`.
    pub async fn follow(self, trust: TrustHandle, end: CancellationToken) {
        let mut until = trust.lives_until();
        loop {
            self.renew(*until.borrow_and_update());
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                changed = until.changed() => if changed.is_err() { return },
            }
        }
    }

    fn renew(&self, until: Option<BootTime>) {
        let mut table = self.lock();
        table.until = until;
        if let Some(until) = until {
            table
                .sockets
                .values()
                .for_each(|socket| tell(socket, until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One small write, which does not mix with others on the socket and never waits: a runner that
/// does not read is at its end.
fn tell(mut socket: &UnixStream, until: BootTime) {
    if let Ok(frame) = frame(&Order::Until(until.as_nanos())) {
        let _gone = socket.write_all(&frame);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.lock().sockets.remove(&self.number);
    }
}
