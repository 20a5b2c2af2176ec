//! What a measurement costs beside its time.

use super::proc;
use super::report::round;
use super::server::{Done, Processes, Server};
use crate::config::Config;
use crate::database::Database;
use crate::exit::Failure;
use flux_store::Stats;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How often memory is looked at.
const PACE: Duration = Duration::from_millis(200);

/// What a measurement has cost. What is not known is `None`.
pub struct Cost {
    /// Processor time of this process: engines, store and load generator.
    cpu: Duration,
    /// The most memory of this process, in bytes.
    memory: u64,
    server_cpu: Option<Duration>,
    /// Without the buffers that its processes share.
    server_memory: Option<u64>,
    /// Bytes of the server's write-ahead log, or bytes that this process wrote to disks.
    written: Option<u64>,
    /// How often something was made durable.
    fsyncs: Option<u64>,
}

/// Reads before a measurement, to be compared with what is read after it.
pub struct Gauge {
    server: Option<Server>,
    cpu: Duration,
    written: Option<u64>,
    peaks: Arc<Peaks>,
    _sampler: AbortOnDropHandle<()>,
}

/// The most memory so far, in bytes.
#[derive(Default)]
struct Peaks {
    own: AtomicU64,
    server: AtomicU64,
}

impl Gauge {
    /// From now on.
    pub async fn start(config: &Config) -> Result<Gauge, Failure> {
        let server = match &config.database {
            Database::File(_) => None,
            Database::Server(address) => Some(Server::watch(address).await?),
        };
        let peaks = Arc::new(Peaks::default());
        let processes = server.as_ref().and_then(Server::processes);
        let sampler = tokio::spawn(sample(Arc::clone(&peaks), processes));
        Ok(Gauge {
            server,
            _sampler: AbortOnDropHandle::new(sampler),
            peaks,
            written: proc::own_written(),
            cpu: proc::own_cpu(),
        })
    }

    /// Until now, when the stores that did this work have been closed.
    pub async fn stop(self, did: Stats) -> Result<Cost, Failure> {
        let cpu = proc::own_cpu() - self.cpu;
        let processes = self.server.as_ref().and_then(Server::processes);
        self.peaks.look(processes);
        let peak = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let cost = Cost {
            cpu,
            memory: peak(&self.peaks.own),
            server_cpu: None,
            server_memory: processes.map(|_| peak(&self.peaks.server)),
            written: proc::own_written()
                .zip(self.written)
                .map(|(now, before)| now - before),
            // SQLite makes each transaction durable.
            fsyncs: Some(did.ticks),
        };
        Ok(match self.server {
            Some(server) => cost.of_server(server.done().await?),
            None => cost,
        })
    }
}

async fn sample(peaks: Arc<Peaks>, server: Option<Processes>) {
    loop {
        peaks.look(server);
        tokio::time::sleep(PACE).await;
    }
}

impl Peaks {
    fn look(&self, server: Option<Processes>) {
        let own = proc::memory("self").unwrap_or_default();
        self.own.fetch_max(own.resident, Ordering::Relaxed);
        if let Some(server) = server {
            self.server.fetch_max(server.memory(), Ordering::Relaxed);
        }
    }
}

impl Cost {
    fn of_server(self, done: Done) -> Cost {
        Cost {
            server_cpu: done.cpu,
            written: Some(done.wal_bytes),
            fsyncs: done.wal_syncs,
            ..self
        }
    }

    /// For programs, of so many runs.
    pub fn json(&self, runs: u32) -> Value {
        let micros = |cpu: Duration| round(per(micros(cpu), runs), 1);
        json!({
            "cpu_seconds": round(self.cpu.as_secs_f64(), 3),
            "cpu_us_per_run": micros(self.cpu),
            "memory_peak_mib": mib(self.memory),
            "server_cpu_us_per_run": self.server_cpu.map(micros),
            "server_private_memory_peak_mib": self.server_memory.map(mib),
            "written_bytes_per_run": self.written.map(|bytes| per(bytes, runs).round()),
            "fsyncs_per_run": self.fsyncs.map(|count| round(per(count, runs), 4)),
        })
    }

    /// The columns of [`Cost::row`].
    pub const HEADER: [&str; 6] = [
        "engine, us",
        "server, us",
        "bytes written",
        "fsyncs",
        "engine, MiB",
        "server, MiB",
    ];

    /// For people, of so many runs.
    pub fn row(&self, runs: u32) -> Vec<String> {
        let whole = |number: f64| format!("{number:.0}");
        let micros = |cpu: Duration| whole(per(micros(cpu), runs));
        let known = [
            Some(micros(self.cpu)),
            self.server_cpu.map(micros),
            self.written.map(|bytes| whole(per(bytes, runs))),
            self.fsyncs.map(|count| format!("{:.3}", per(count, runs))),
            Some(whole(mib(self.memory))),
            self.server_memory.map(|bytes| whole(mib(bytes))),
        ];
        known
            .map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
            .into()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn per(count: u64, runs: u32) -> f64 {
    count as f64 / f64::from(runs)
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    round(bytes as f64 / f64::from(1 << 20), 1)
}
