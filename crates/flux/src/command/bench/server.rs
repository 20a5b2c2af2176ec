//! The PostgreSQL server of a measurement: what it counts, and its processes where they can be seen.

use super::proc;
use crate::exit::Failure;
use flux_store::Address;
use flux_store::postgres::gauge::{Counters, Gauge};
use std::time::Duration;

/// The name of each of its processes.
const PROGRAM: &str = "postgres";

/// A server that is watched.
pub struct Server {
    gauge: Gauge,
    before: Counters,
    processes: Option<Processes>,
    cpu: Duration,
}

/// What it has done for a measurement.
pub struct Done {
    /// Processor time; `None` when it is not on this machine.
    pub cpu: Option<Duration>,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// How often that was made durable, where the server counts it.
    pub wal_syncs: Option<u64>,
}

/// The processes of a server on this machine, by the one that all others are children of.
#[derive(Clone, Copy)]
pub struct Processes(u32);

impl Server {
    /// From now on.
    pub async fn watch(address: &Address) -> Result<Server, Failure> {
        let mut gauge = Gauge::open(address).await?;
        let processes = Processes::of(gauge.backend().await?);
        Ok(Server {
            before: gauge.settled().await?,
            gauge,
            cpu: processes.map(Processes::cpu).unwrap_or_default(),
            processes,
        })
    }

    /// Its processes, if it is on this machine.
    pub fn processes(&self) -> Option<Processes> {
        self.processes
    }

    /// What it has done until now.
    pub async fn done(mut self) -> Result<Done, Failure> {
        let cpu = self.processes.map(|all| all.cpu().saturating_sub(self.cpu));
        let now = self.gauge.settled().await?;
        let syncs = now.wal_syncs.zip(self.before.wal_syncs);
        Ok(Done {
            cpu,
            wal_bytes: now.wal_bytes.saturating_sub(self.before.wal_bytes),
            wal_syncs: syncs.map(|(now, before)| now.saturating_sub(before)),
        })
    }
}

impl Processes {
    /// Of the server that this process serves a session of, if that number is one of this machine.
    fn of(session: u32) -> Option<Processes> {
        let session = proc::stat(session)?;
        let above = proc::stat(session.parent)?;
        let is_server = session.name == PROGRAM && above.name == PROGRAM;
        is_server.then_some(Processes(session.parent))
    }

    /// Processor time of all of them so far, of sessions that have ended as well.
    fn cpu(self) -> Duration {
        let above = proc::stat(self.0);
        let above = above.map(|all| all.cpu + all.ended_children_cpu);
        let below = proc::children(self.0).into_iter().filter_map(proc::stat);
        above.unwrap_or_default() + below.map(|child| child.cpu).sum::<Duration>()
    }

    /// Memory that only one of them has, in bytes: without the buffers that they share.
    pub fn memory(self) -> u64 {
        let all = proc::children(self.0).into_iter().chain([self.0]);
        let memory = all.filter_map(|pid| proc::memory(&pid.to_string()));
        memory.map(|memory| memory.private).sum()
    }
}
