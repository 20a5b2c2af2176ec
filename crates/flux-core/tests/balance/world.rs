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
/// Resources of an engine for each of its slots, and what a branch costs on average.
const RESOURCES_PER_SLOT: u64 = 100;
const COST: u64 = 50;

pub struct World {
    pub scenario: Scenario,
    pub policy: Policy,
    pub now: u64,
    pub engines: Vec<Engine>,
    /// The oldest first.
    pub ready: VecDeque<Branch>,
    /// The place of the engine that came last, and when it came.
    pub joined: Option<(usize, u64)>,
    /// Apart, so that the same work comes whatever the engines do.
    work: Random,
    random: Random,
    /// Reports on their way, by the time of their arrival and the receiver.
    mail: BTreeMap<u64, Vec<(usize, Incarnation, Load)>>,
    born: u64,
}

#[derive(Clone, Copy)]
pub struct Branch {
    /// Since when it is ready.
    pub since: u64,
    runs_ms: u64,
    cost: u64,
}

pub struct Engine {
    who: Incarnation,
    pub concurrency: u32,
    /// What its machine has for branches.
    resources: u64,
    /// The branches it runs, and when each ends.
    pub running: Vec<(u64, Branch)>,
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
            joined: None,
            work: Random(1),
            random: Random(2),
            mail: BTreeMap::new(),
            born: 0,
        };
        for (i, concurrency) in scenario.engines.iter().enumerate() {
            let mut engine = world.engine(*concurrency);
            let one_in = |every| every > 0 && i % every == 0;
            engine.forger = one_in(scenario.forger_in);
            if one_in(scenario.busy_in) {
                engine.resources /= 4;
            }
            engine.measure();
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
        let mut engine = Engine {
            who,
            concurrency,
            resources: u64::from(concurrency) * RESOURCES_PER_SLOT,
            running: Vec::new(),
            forger: false,
            room_since: self.now,
            balancer: Balancer::new(who, STALENESS),
            next_look: self.now + self.random.between(0, POLL_MS),
            next_report: self.now + self.random.between(0, REPORT_MS),
            last_report: self.now,
            next_measurement: self.now + self.random.between(0, MONITOR_MS),
            claiming: None,
            score: Score {
                available: 0.0,
                claimed: 0,
            },
        };
        engine.measure();
        engine
    }

    /// One engine dies, its branches become ready again, and a new one takes its place.
    fn come_and_go(&mut self) {
        let every = self.scenario.change_s * 1_000;
        if every == 0 || self.now == 0 || !self.now.is_multiple_of(every) {
            return;
        }
        let place = self.work.between(0, self.engines.len() as u64) as usize;
        let new = self.engine(self.engines[place].concurrency);
        let dead = std::mem::replace(&mut self.engines[place], new);
        let since = self.now;
        let freed = dead.running.iter();
        self.ready
            .extend(freed.map(|(_, branch)| Branch { since, ..*branch }));
        self.joined = Some((place, self.now));
        self.mail
            .values_mut()
            .for_each(|mail| mail.retain(|(to, ..)| *to != place));
        self.nudge();
    }

    fn arrive(&mut self) {
        let count = match self.scenario.arrivals {
            Arrivals::Steady(every) => u64::from(self.work.one_in(every)),
            Arrivals::Bursts(count, every) if self.now % every == 100 => count,
            Arrivals::Backlog(count) => count.saturating_sub(self.ready.len() as u64),
            Arrivals::Bursts(..) => 0,
        };
        if count > 0 {
            for _ in 0..count {
                self.ready.push_back(Branch {
                    since: self.now,
                    runs_ms: self.work.around(self.scenario.runs_ms),
                    cost: self.work.around(COST),
                });
            }
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
        for branch in self.ready.drain(..count) {
            measure.took(self.now - branch.since);
            engine.running.push((self.now + branch.runs_ms, branch));
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
            engine.measure();
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
        self.cost() as f64 / self.resources as f64
    }

    fn cost(&self) -> u64 {
        self.running.iter().map(|(_, branch)| branch.cost).sum()
    }

    /// What a resource monitor does.
    fn measure(&mut self) {
        self.score = Score {
            available: self.resources.saturating_sub(self.cost()) as f64,
            claimed: 0,
        };
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

fn at(ms: u64) -> BootTime {
    BootTime::default().plus(Duration::from_millis(ms))
}
