//! What a simulation is judged by.

use crate::scenario::{Policy, Scenario};
use crate::world::{Engine, World};

/// The first seconds do not count: nobody has heard of anybody.
const WARM_UP_MS: u64 = 3_000;
const SAMPLE_MS: u64 = 100;

#[derive(Debug, Default)]
pub struct Measure {
    pub branches: u64,
    pub looks: u64,
    pub claims: u64,
    pub waited_ms: u64,
    pub longest_wait_ms: u64,
    /// The longest that an engine had room while the same branch was ready.
    pub idle_ms: u64,
    /// The longest until an engine that came had half of the mean count.
    pub joining_ms: u64,
    /// When the last one came that has it.
    settled: u64,
    samples: f64,
    spread: f64,
    deviation: f64,
    utilisation: f64,
}

impl Measure {
    /// Notes that a branch was claimed that had been ready for so long.
    pub fn took(&mut self, waited_ms: u64) {
        self.branches += 1;
        self.waited_ms += waited_ms;
        self.longest_wait_ms = self.longest_wait_ms.max(waited_ms);
    }

    pub fn watch(&mut self, world: &World) {
        if world.now < WARM_UP_MS {
            return;
        }
        if let Some(oldest) = world.ready.front() {
            let idle = world.engines.iter().filter(|engine| engine.has_room());
            let since = idle.map(|engine| engine.room_since.max(oldest.since)).min();
            self.idle_ms = self.idle_ms.max(since.map_or(0, |since| world.now - since));
        }
        if world.now.is_multiple_of(SAMPLE_MS) {
            self.sample(world);
        }
        self.watch_joining(world);
    }

    fn watch_joining(&mut self, world: &World) {
        let Some((place, since)) = world.joined.filter(|(_, since)| self.settled != *since) else {
            return;
        };
        let sum: usize = world.engines.iter().map(|e| e.running.len()).sum();
        self.joining_ms = self.joining_ms.max(world.now - since);
        if world.engines[place].running.len() * world.engines.len() * 2 >= sum {
            self.settled = since;
        }
    }

    fn sample(&mut self, world: &World) {
        let honest: Vec<_> = world.engines.iter().filter(|e| !e.forger).collect();
        let counts: Vec<_> = honest.iter().map(|e| e.running.len() as f64).collect();
        let highest = counts.iter().copied().fold(0.0, f64::max);
        // The full cannot have more: they are no imbalance.
        let open = honest.iter().filter(|engine| engine.has_room());
        let lowest = open.map(|e| e.running.len() as f64).fold(highest, f64::min);
        self.samples += 1.0;
        self.spread += highest - lowest;
        self.deviation += deviation(&counts);
        let used: Vec<_> = honest.iter().map(|e: &&Engine| e.utilisation()).collect();
        self.utilisation += deviation(&used);
    }

    /// Highest count less the lowest of those with room, on average.
    pub fn spread(&self) -> f64 {
        self.spread / self.samples
    }

    /// Standard deviation of the counts, on average.
    pub fn deviation(&self) -> f64 {
        self.deviation / self.samples
    }

    /// Standard deviation of the part of resources in use, on average.
    pub fn utilisation(&self) -> f64 {
        self.utilisation / self.samples
    }

    pub fn mean_wait_ms(&self) -> f64 {
        self.waited_ms as f64 / self.branches.max(1) as f64
    }

    pub fn print_head() {
        println!(
            "\n{:<24}{:<19}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>9}{:>9}",
            "",
            "",
            "spread",
            "count",
            "use",
            "idle",
            "join",
            "wait",
            "longest",
            "",
            "looks",
            "claims"
        );
        println!(
            "{:<24}{:<19}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>9}{:>9}",
            "scenario",
            "policy",
            "max-min",
            "sd",
            "sd %",
            "ms",
            "ms",
            "mean ms",
            "ms",
            "done",
            "/branch",
            "/branch"
        );
    }

    pub fn print(&self, scenario: &Scenario, policy: Policy) {
        let per = |count: u64| count as f64 / self.branches.max(1) as f64;
        println!(
            "{:<24}{:<19}{:>8.1}{:>8.2}{:>8.1}{:>8}{:>8}{:>9.1}{:>9}{:>8}{:>9.2}{:>9.2}",
            scenario.name,
            policy.name,
            self.spread(),
            self.deviation(),
            self.utilisation() * 100.0,
            self.idle_ms,
            self.joining_ms,
            self.mean_wait_ms(),
            self.longest_wait_ms,
            self.branches,
            per(self.looks),
            per(self.claims)
        );
    }
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt()
}
