//! The figures, and how they are shown.

use super::cost::Cost;
use super::latency::Latency;
use super::sitting::Args;
use super::yardstick::Yardstick;
use crate::output;
use flux_store::Stats;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Everything that one sitting measures.
pub struct Figures<'a> {
    /// `sqlite` or `postgresql`.
    pub store: &'static str,
    /// What was asked for.
    pub args: &'a Args,
    /// The store without an engine, where that compares with the workload.
    pub raw: Option<Load>,
    pub load: Load,
    /// Several engines under load: whether with a network between them.
    pub clusters: Vec<(bool, Load)>,
    /// One run after the other on an idle engine.
    pub idle: Latency,
    pub yardstick: Option<Yardstick>,
}

/// Many runs at a time.
pub struct Load {
    runs: u32,
    steps: u32,
    took: Duration,
    /// What the stores of its engines did meanwhile; `largest` is of all time.
    did: Stats,
    latency: Option<Latency>,
    cost: Cost,
}

impl Load {
    /// So many runs, of so many steps each.
    pub fn new(runs: u32, steps: u32, took: Duration, did: Stats, cost: Cost) -> Load {
        Load {
            runs,
            steps,
            took,
            did,
            latency: None,
            cost,
        }
    }

    /// The same, with the times of its runs.
    pub fn with(mut self, latency: Latency) -> Load {
        self.latency = Some(latency);
        self
    }

    fn runs_per_second(&self) -> f64 {
        f64::from(self.runs) / self.took.as_secs_f64()
    }

    fn steps_per_second(&self) -> f64 {
        self.runs_per_second() * f64::from(self.steps)
    }

    fn requests_per_transaction(&self) -> f64 {
        self.did.requests as f64 / self.did.ticks.max(1) as f64
    }

    fn statements_per_run(&self) -> f64 {
        self.did.statements as f64 / f64::from(self.runs)
    }

    fn json(&self) -> Value {
        let mut all = json!({
            "runs": self.runs,
            "seconds": round(self.took.as_secs_f64(), 3),
            "runs_per_second": self.runs_per_second().round(),
            "steps_per_second": self.steps_per_second().round(),
            "transactions": self.did.ticks,
            "requests_per_transaction": round(self.requests_per_transaction(), 1),
            "largest_transaction": self.did.largest,
            "statements_per_run": round(self.statements_per_run(), 3),
            "latency_ms": self.latency.as_ref().map(Latency::json),
        });
        if let (Value::Object(all), Value::Object(cost)) = (&mut all, self.cost.json(self.runs)) {
            all.extend(cost);
        }
        all
    }

    /// The columns of [`Load::row`].
    const HEADER: [&str; 5] = [
        "measured",
        "runs/s",
        "steps/s",
        "requests per transaction",
        "statements per run",
    ];

    fn row(&self) -> Vec<String> {
        vec![
            format!("{:.0}", self.runs_per_second()),
            format!("{:.0}", self.steps_per_second()),
            format!("{:.1}", self.requests_per_transaction()),
            format!("{:.2}", self.statements_per_run()),
        ]
    }
}

impl Figures<'_> {
    /// For programs.
    pub fn json(&self) -> Value {
        let args = self.args;
        let mut all = json!({
            "store": self.store,
            "workload": args.workload.name(),
            "steps_per_run": args.workload.steps(),
            "shape": args.shape.name(),
            "in_flight": args.in_flight,
            "rate_per_second": args.rate,
            "engines": args.engines,
        });
        if let Value::Object(all) = &mut all {
            self.measured(all);
        }
        all
    }

    fn measured(&self, all: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
        put("store_alone", self.raw.as_ref().map(Load::json).into());
        put("engine_under_load", self.load.json());
        put(
            "engine_over_store",
            self.over_store().map(|r| round(r, 3)).into(),
        );
        for (network, load) in &self.clusters {
            put(&format!("cluster_{}_network", with(*network)), load.json());
        }
        put("latency_ms", self.idle.json());
        let engine = self.load.runs_per_second();
        put(
            "yardstick",
            self.yardstick.as_ref().map(|y| y.json(engine)).into(),
        );
    }

    /// For people.
    pub fn table(&self) {
        let loads = self.loads();
        let row = |(name, load): &(String, &Load)| named(name, load.row());
        output::table(&Load::HEADER, loads.iter().map(row).collect());
        let times = loads
            .iter()
            .filter_map(|(name, load)| Some((name.as_str(), load.latency.as_ref()?)));
        let times = times.chain([("one at a time", &self.idle)]);
        let row = |(name, latency): (&str, &Latency)| {
            named(name, latency.figures().map(|millis| format!("{millis:.2}")))
        };
        table(
            &["latency, ms", "p50", "p99", "p99.9", "longest"],
            times.map(row).collect(),
        );
        let row = |(name, load): &(String, &Load)| named(name, load.cost.row(load.runs));
        let header: Vec<&str> = ["cost of a run"].into_iter().chain(Cost::HEADER).collect();
        table(&header, loads.iter().map(row).collect());
        self.ratios();
    }

    /// What the engine reaches of what others do.
    fn ratios(&self) {
        let (engine, raw) = (self.load.runs_per_second(), self.raw.as_ref());
        let yardstick = self.yardstick.iter().flat_map(|all| all.rows(engine));
        let raw = raw.map(|raw| {
            let rate = raw.runs_per_second();
            let cells = [format!("{rate:.0}"), format!("{:.2}", engine / rate)];
            named("store alone", cells)
        });
        let rows: Vec<_> = raw.into_iter().chain(yardstick).collect();
        if !rows.is_empty() {
            table(&["yardstick", "per second", "engine / it"], rows);
        }
    }

    /// All loads with their names.
    fn loads(&self) -> Vec<(String, &Load)> {
        let raw = self.raw.iter().map(|raw| ("store alone".to_owned(), raw));
        let one = [("engine under load".to_owned(), &self.load)];
        let clusters = self.clusters.iter().map(|(network, load)| {
            let (engines, with) = (self.args.engines, with(*network));
            (format!("{engines} engines {with} a network"), load)
        });
        raw.chain(one).chain(clusters).collect()
    }

    fn over_store(&self) -> Option<f64> {
        let raw = self.raw.as_ref()?;
        Some(self.load.runs_per_second() / raw.runs_per_second())
    }
}

/// Below what was printed before.
fn table(header: &[&str], rows: Vec<Vec<String>>) {
    output::data("");
    output::table(header, rows);
}

fn with(network: bool) -> &'static str {
    if network { "with" } else { "without" }
}

fn named(name: &str, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    [name.to_owned()].into_iter().chain(cells).collect()
}

/// With so many digits behind the point.
pub fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}
