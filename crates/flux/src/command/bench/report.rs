//! The figures, and how they are shown.

use crate::output;
use flux_store::Stats;
use serde_json::{Value, json};
use std::time::Duration;

/// Everything that one sitting measures.
pub struct Figures {
    /// `sqlite` or `postgresql`.
    pub store: &'static str,
    pub raw: Load,
    pub load: Load,
    /// How many engines the clusters have.
    pub engines: u32,
    /// Several engines under load: without a network between them, and with one.
    pub clusters: Vec<Load>,
    pub latency: Latency,
    pub idle: Memory,
    pub busy: Memory,
}

/// Many runs at a time.
pub struct Load {
    runs: u32,
    took: Duration,
    ticks: u64,
    requests: u64,
    largest: u64,
}

/// One run at a time, milliseconds.
pub struct Latency {
    p50: f64,
    p99: f64,
    worst: f64,
}

/// Memory of this process, MiB.
pub struct Memory {
    now: f64,
    peak: f64,
}

impl Load {
    /// What happened between two looks at the store's counters.
    pub fn new(runs: u32, took: Duration, before: Stats, after: Stats) -> Load {
        Load {
            runs,
            took,
            ticks: after.ticks - before.ticks,
            requests: after.requests - before.requests,
            largest: after.largest,
        }
    }

    fn runs_per_second(&self) -> f64 {
        f64::from(self.runs) / self.took.as_secs_f64()
    }

    fn requests_per_transaction(&self) -> f64 {
        self.requests as f64 / self.ticks.max(1) as f64
    }

    fn json(&self) -> Value {
        json!({
            "runs": self.runs,
            "seconds": round(self.took.as_secs_f64(), 3),
            "runs_per_second": self.runs_per_second().round(),
            "steps_per_second": (self.runs_per_second() * 3.0).round(),
            "transactions": self.ticks,
            "requests_per_transaction": round(self.requests_per_transaction(), 1),
            "largest_transaction": self.largest,
        })
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            format!("{:.0}", self.runs_per_second()),
            format!("{:.0}", self.runs_per_second() * 3.0),
            self.ticks.to_string(),
            format!("{:.1}", self.requests_per_transaction()),
        ]
    }
}

impl Latency {
    /// Of at least one time.
    pub fn of(mut times: Vec<Duration>) -> Latency {
        times.sort_unstable();
        let at = |share: f64| {
            let position = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(
                position
                    .saturating_sub(1)
                    .min(times.len().saturating_sub(1)),
            );
            round(time.map_or(0.0, Duration::as_secs_f64) * 1000.0, 3)
        };
        Latency {
            p50: at(0.5),
            p99: at(0.99),
            worst: at(1.0),
        }
    }
}

impl Memory {
    /// As the system counts it; zero where it does not say.
    pub fn now() -> Memory {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            round(kib.unwrap_or(0.0) / 1024.0, 1)
        };
        Memory {
            now: field("VmRSS:"),
            peak: field("VmHWM:"),
        }
    }
}

impl Figures {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "store": self.store,
            "store_alone": self.raw.json(),
            "engine_under_load": self.load.json(),
            "engine_over_store": round(self.ratio(), 3),
            "engines": self.engines,
            "cluster_without_network": self.clusters.first().map(Load::json),
            "cluster_with_network": self.clusters.get(1).map(Load::json),
            "latency_ms": {
                "p50": self.latency.p50, "p99": self.latency.p99, "max": self.latency.worst,
            },
            "memory_mib": {
                "before_load": self.idle.now, "after": self.busy.now, "peak": self.busy.peak,
            },
        })
    }

    /// For people.
    pub fn table(&self) {
        output::table(
            &[
                "measured",
                "runs/s",
                "steps/s",
                "transactions",
                "requests per transaction",
            ],
            self.rows(),
        );
        output::data(&format!(
            "\nengine / store alone  {:.0} %\nlatency, idle         p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n\
             memory                {:.0} MiB before the load, {:.0} MiB after it, {:.0} MiB at most",
            self.ratio() * 100.0,
            self.latency.p50,
            self.latency.p99,
            self.latency.worst,
            self.idle.now,
            self.busy.now,
            self.busy.peak,
        ));
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![
            self.raw.row("store alone"),
            self.load.row("engine under load"),
        ];
        for (load, with) in self.clusters.iter().zip(["without", "with"]) {
            rows.push(load.row(&format!("{} engines {with} a network", self.engines)));
        }
        rows
    }

    fn ratio(&self) -> f64 {
        self.load.runs_per_second() / self.raw.runs_per_second()
    }
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}
