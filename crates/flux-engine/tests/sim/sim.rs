//! What everything in a life shares: time, the store, the witness, chance and the trace.

use crate::plan::{Calls, Plan};
use crate::rng::Rng;
use crate::witness::Witness;
use crate::world::{Instant, Timer, World};
use flux_core::ports::Error;
use flux_testkit::MemoryStore;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long a call takes when nothing is wrong.
const QUICK: Duration = Duration::from_millis(4);

/// A mistake that is made on purpose, to prove that it is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    #[default]
    None,
    /// The store takes every commit as if its owner had made it.
    IgnoresEpoch,
    /// Engines are told windows of next to nothing, so that they convict at once.
    ConvictsAtOnce,
    /// Boot time stands still, so that trust never ends.
    TrustsForEver,
    /// The store answers some commits without having done them.
    ForgetsCommits,
    /// Processes outlive their right to act.
    NoSupervisor,
}

pub struct Sim {
    pub world: Arc<World>,
    pub store: MemoryStore,
    pub plan: Plan,
    pub sabotage: Sabotage,
    witness: Mutex<Witness>,
    rng: Mutex<Rng>,
    trace: Option<Mutex<Vec<String>>>,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Until the store gets it.
    pub request: Duration,
    /// From then until the caller gets the answer.
    pub answer: Duration,
    pub fails: Option<Fails>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Before,
    After,
    /// The caller is told at once, the store does it later.
    Late,
}

impl Sim {
    pub fn new(mut rng: Rng, plan: Plan, sabotage: Sabotage, traced: bool) -> Arc<Sim> {
        let world = World::new(Rng::new(rng.next()));
        let witness = Witness::new(plan.poison_limit);
        Arc::new(Sim {
            world,
            store: MemoryStore::default(),
            plan,
            sabotage,
            witness: Mutex::new(witness),
            rng: Mutex::new(rng),
            trace: traced.then(Mutex::default),
        })
    }

    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world.now())
    }

    pub fn sleep(&self, by: Duration) -> Timer {
        self.world.sleep(by)
    }

    pub fn calm(&self) -> bool {
        self.now() >= self.plan.heal_at
    }

    /// The witness, who is told that what follows happens now.
    pub fn witness(&self) -> MutexGuard<'_, Witness> {
        let now: Instant = self.world.now();
        let mut witness = self.witness.lock().unwrap();
        witness.at(now);
        witness
    }

    pub fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    /// One line of the trace, if there is one.
    pub fn tell(&self, who: &str, what: impl FnOnce(&Witness) -> String) {
        let Some(trace) = &self.trace else { return };
        let now = self.now();
        let text = what(&self.witness());
        let line = format!("{:>10.6} {who:<7} {text}", now.as_secs_f64());
        trace.lock().unwrap().push(line);
    }

    pub fn take_trace(&self) -> Vec<String> {
        let trace = self.trace.as_ref();
        trace
            .map(|trace| std::mem::take(&mut *trace.lock().unwrap()))
            .unwrap_or_default()
    }

    /// Draws what becomes of a call; nothing lasts much longer than until the healing.
    pub fn fate(&self) -> Fate {
        let mut rng = self.rng();
        let (request, answer) = (rng.up_to(QUICK), rng.up_to(QUICK));
        if self.calm() {
            return Fate {
                request,
                answer,
                fails: None,
            };
        }
        let Calls {
            fail_before,
            fail_after,
            late,
            slow,
            slowest,
        } = self.plan.calls;
        let slowest = slowest.min(self.plan.heal_at.saturating_sub(self.now()));
        let mut delay = |quick| {
            if rng.permille(slow) {
                rng.up_to(slowest)
            } else {
                quick
            }
        };
        let (request, answer) = (delay(request), delay(answer));
        let dice = rng.below(1000);
        let fails = if dice < fail_before {
            Some(Fails::Before)
        } else if dice < fail_before + fail_after {
            Some(Fails::After)
        } else if dice < fail_before + fail_after + late {
            Some(Fails::Late)
        } else {
            None
        };
        let request = match fails {
            Some(Fails::Late) => rng.up_to(slowest),
            _ => request,
        };
        Fate {
            request,
            answer,
            fails,
        }
    }
}

pub fn unavailable<T>(why: &str) -> Result<T, Error> {
    Err(Error::Unavailable(why.to_owned()))
}
