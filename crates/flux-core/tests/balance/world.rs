//! Engines that claim from one queue of ready branches, in steps of a millisecond.
//!
//! An engine looks at the queue when it polls (4 times a second), when it is nudged, when one of its
//! branches has ended while others were ready, and when its balancer says so. Its claim arrives some
//! milliseconds later, when others may have taken what it had seen. Reports are late, and get lost.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use flux_core::balance::{Balancer, Load, Report, Score};
use flux_core::clock::BootTime;
use flux_core::ids::Incarnation;
use uuid::Uuid;

use crate::measure::Measure;
use crate::random::Random;
use crate::scenario::{Arrivals, Policy, Scenario};

/// Between two looks of an engine that nobody nudges.
pub const POLL_MS: u64 = 250;
/// From looking to having claimed, at most.
pub const CLAIM_MS: u64 = 8;
const REPORT_MS: u64 = 1_000;
/// Between two reports at least.
const PROMPT_MS: u64 = 100;
/// Between two measurements of resources.
const MONITOR_MS: u64 = 1_000;
const STALENESS: Duration = Duration::from_millis(3 * REPORT_MS);
/// Resources of an engine for each of its slots: less than its branches need on average if it is full.
const RESOURCES_PER_SLOT: u64 = 100;

pub struct World {
    pub scenario: Scenario,
    pub policy: Policy,
    pub now: u64,
    pub engines: Vec<Engine>,
    /// When each of the ready branches became so.
    pub ready: VecDeque<u64>,
    random: Random,
    /// Reports on their way, by the time of their arrival and the receiver.
    mail: BTreeMap<u64, Vec<(usize, Incarnation, Load)>>,
    born: u64,
}

pub struct Engine {
    who: Incarnation,
    pub concurrency: u32,
    /// When each of its branches ends, and what it costs meanwhile.
    pub running: Vec<(u64, u64)>,
    pub forger: bool,
    /// Since when it has room.
    pub room_since: u64,
    balancer: Balancer,
    next_look: u64,
    next_report: u64,
    last_report: u64,
    next_measurement: u64,
    claiming: Option<(u64, u32)>,
    score: Score,
}

impl World {
    pub fn new(scenario: &Scenario, policy: Policy) -> Self {
        let mut world = Self {
            scenario: scenario.clone(),
            policy,
            now: 0,
            engines: Vec::new(),
            ready: VecDeque::new(),
            random: Random(scenario.seconds ^ scenario.engines.len() as u64),
            mail: BTreeMap::new(),
            born: 0,
        };
        for (i, concurrency) in scenario.engines.iter().enumerate() {
            let mut engine = world.engine(*concurrency);
            engine.forger = scenario.forger_in > 0 && i % scenario.forger_in == 0;
            world.engines.push(engine);
        }
        world
    }

    pub fn run(mut self) -> Measure {
        let mut measure = Measure::default();
        let end = self.scenario.seconds * 1_000;
        while self.now < end {
            self.step(&mut measure);
            measure.watch(&self);
            self.now += 1;
        }
        measure
    }

    fn step(&mut self, measure: &mut Measure) {
        self.come_and_go();
        self.arrive();
        for (to, from, load) in self.mail.remove(&self.now).unwrap_or_default() {
            let at = at(self.now);
            self.engines[to].balancer.hear(Report { from, load, at });
        }
        for i in 0..self.engines.len() {
            self.end_branches(i);
            self.claim(i, measure);
            self.look(i, measure);
            self.report(i);
        }
    }

    fn engine(&mut self, concurrency: u32) -> Engine {
        self.born += 1;
        // Not in the order of their places.
        let who = Incarnation::new(Uuid::from_u128(u128::from(
            self.random.between(0, u64::MAX),
        )));
        Engine {
            who,
            concurrency,
            running: Vec::new(),
            forger: false,
            room_since: self.now,
            balancer: Balancer::new(who, STALENESS),
            next_look: self.now + self.random.between(0, POLL_MS),
            next_report: self.now + self.random.between(0, REPORT_MS),
            last_report: self.now,
            next_measurement: self.now + self.random.between(0, MONITOR_MS),
            claiming: None,
            score: score(concurrency, &[]),
        }
    }

    /// One engine dies, its branches become ready again, and a new one takes its place.
    fn come_and_go(&mut self) {
        let every = self.scenario.change_s * 1_000;
        if every == 0 || self.now == 0 || !self.now.is_multiple_of(every) {
            return;
        }
        let place = self.random.between(0, self.engines.len() as u64) as usize;
        let new = self.engine(self.engines[place].concurrency);
        let dead = std::mem::replace(&mut self.engines[place], new);
        self.ready.extend(dead.running.iter().map(|_| self.now));
        self.mail
            .values_mut()
            .for_each(|mail| mail.retain(|(to, ..)| *to != place));
        self.nudge();
    }

    fn arrive(&mut self) {
        let count = match self.scenario.arrivals {
            Arrivals::Steady(every) => u64::from(self.random.one_in(every)),
            Arrivals::Bursts(count, every) if self.now % every == 100 => count,
            Arrivals::Backlog(count) => count.saturating_sub(self.ready.len() as u64),
            Arrivals::Bursts(..) => 0,
        };
        if count > 0 {
            self.ready.extend((0..count).map(|_| self.now));
            self.nudge();
        }
    }

    /// Tells every engine that there is work, or, without a network, the one that it came to.
    fn nudge(&mut self) {
        let lucky = self.random.between(0, self.engines.len() as u64) as usize;
        for (i, engine) in self.engines.iter_mut().enumerate() {
            if self.policy.network || i == lucky {
                let delay = self.random.between(1, 10);
                engine.next_look = engine.next_look.min(self.now + delay);
            }
        }
    }

    fn end_branches(&mut self, i: usize) {
        let engine = &mut self.engines[i];
        let before = engine.running.len();
        let was_full = before >= engine.concurrency as usize;
        engine.running.retain(|(end, _)| *end > self.now);
        if engine.running.len() < before {
            if was_full {
                engine.room_since = self.now;
            }
            // As an engine does that knows of more work than it had room for.
            if was_full && !self.ready.is_empty() {
                engine.next_look = self.now;
            }
        }
    }

    fn look(&mut self, i: usize, measure: &mut Measure) {
        let engine = &mut self.engines[i];
        if engine.forger || engine.claiming.is_some() || engine.next_look > self.now {
            return;
        }
        engine.next_look = self.now + POLL_MS;
        let load = engine.load(self.policy);
        if load.free() == 0 {
            return;
        }
        measure.looks += 1;
        let ready = self.ready.len() as u32;
        let share = engine.balancer.share(&load, ready, at(self.now));
        if let Some(pause) = share.look_again {
            let pause = (pause.as_millis() as u64).max(1);
            engine.next_look = self.now + pause.min(POLL_MS);
        }
        if share.claim > 0 {
            engine.claiming = Some((self.now + self.random.between(1, CLAIM_MS), share.claim));
        }
    }

    fn claim(&mut self, i: usize, measure: &mut Measure) {
        let engine = &mut self.engines[i];
        let Some((_, count)) = engine.claiming.filter(|(due, _)| *due <= self.now) else {
            return;
        };
        engine.claiming = None;
        let count = (count as usize).min(self.ready.len());
        measure.claims += 1;
        for since in self.ready.drain(..count) {
            measure.branches += 1;
            measure.waited_ms += self.now - since;
            measure.longest_wait_ms = measure.longest_wait_ms.max(self.now - since);
            let end = self.now + self.random.around(self.scenario.runs_ms);
            engine.running.push((end, self.random.around(50)));
        }
        engine.score.claimed += count as u32;
        if count > 0 && self.policy.prompt {
            engine.next_report = engine
                .next_report
                .min(engine.last_report + PROMPT_MS)
                .max(self.now);
        }
    }

    fn report(&mut self, i: usize) {
        let engine = &mut self.engines[i];
        if engine.next_measurement <= self.now {
            engine.next_measurement += MONITOR_MS;
            engine.score = score(engine.concurrency, &engine.running);
        }
        if engine.next_report > self.now || !self.policy.network {
            return;
        }
        engine.next_report = self.now + self.random.between(REPORT_MS * 4 / 5, REPORT_MS * 6 / 5);
        engine.last_report = self.now;
        let (from, load) = (engine.who, engine.load(self.policy));
        for to in (0..self.engines.len()).filter(|to| *to != i) {
            if !self.random.one_in(20) {
                let delay = 1 + self.random.around(20);
                self.mail
                    .entry(self.now + delay)
                    .or_default()
                    .push((to, from, load));
            }
        }
    }
}

impl Engine {
    pub fn has_room(&self) -> bool {
        !self.forger && self.running.len() < self.concurrency as usize
    }

    /// The part of its resources that is in use.
    pub fn utilisation(&self) -> f64 {
        cost(&self.running) as f64 / (u64::from(self.concurrency) * RESOURCES_PER_SLOT) as f64
    }

    fn load(&self, policy: Policy) -> Load {
        if self.forger {
            let (running, concurrency) = (0, u32::MAX);
            let score = Some(Score {
                available: f64::MAX,
                claimed: 0,
            });
            return Load {
                running,
                concurrency,
                score,
            };
        }
        Load {
            running: self.running.len() as u32,
            concurrency: self.concurrency,
            score: policy.scores.then_some(self.score),
        }
    }
}

fn cost(running: &[(u64, u64)]) -> u64 {
    running.iter().map(|(_, cost)| cost).sum()
}

/// What a resource monitor says.
fn score(concurrency: u32, running: &[(u64, u64)]) -> Score {
    let all = u64::from(concurrency) * RESOURCES_PER_SLOT;
    Score {
        available: all.saturating_sub(cost(running)) as f64,
        claimed: 0,
    }
}

fn at(ms: u64) -> BootTime {
    BootTime::default().plus(Duration::from_millis(ms))
}
