//! Lets the planned faults come and go.

use crate::engines::Engines;
use crate::plan::{Fault, Plan, Planned, Scope};
use crate::world::World;
use flux_testkit::history::{Nanos, now};
use flux_testkit::{PATIENCE, wait_until};
use std::process::Child;
use std::time::{Duration, Instant};

pub struct Torment<'w> {
    pub world: &'w World,
    pub engines: Engines<'w>,
    /// Clients of others that hold locks, or just connections.
    pub sessions: Vec<Child>,
    active: Vec<Active>,
    began: Instant,
    count: u64,
}

/// A fault that lasts.
struct Active {
    fault: Fault,
    since: Nanos,
    until: Instant,
}

impl<'w> Torment<'w> {
    pub fn new(world: &'w World) -> Torment<'w> {
        Torment {
            world,
            engines: Engines::start(world),
            sessions: Vec::new(),
            active: Vec::new(),
            began: Instant::now(),
            count: 0,
        }
    }

    /// Faults for so long; then all of them are healed. How many there were.
    pub fn suffer(&mut self, plan: Plan, length: Duration) -> u64 {
        self.began = Instant::now();
        for planned in plan {
            if !planned.beside {
                self.go_on_until("the faults are over", |torment| torment.active.is_empty());
            }
            let from = Instant::now();
            self.go_on_until("all was well", |_| from.elapsed() > planned.pause);
            let scope = planned.fault.scope();
            self.go_on_until("it can be hurt", |torment| torment.is_free(scope));
            if self.began.elapsed() > length {
                break;
            }
            self.hurt(planned);
        }
        self.go_on_until("all is healed", |torment| torment.active.is_empty());
        self.count
    }

    fn is_free(&self, scope: Scope) -> bool {
        self.active
            .iter()
            .all(|active| !active.fault.scope().meets(scope))
    }

    fn hurt(&mut self, planned: Planned) {
        self.count += 1;
        self.tell("begins", &planned.fault);
        let since = now();
        self.begin(&planned.fault, self.count);
        self.active.push(Active {
            fault: planned.fault,
            since,
            until: Instant::now() + planned.length,
        });
    }

    fn go_on_until(&mut self, what: &str, done: impl Fn(&Torment) -> bool) {
        wait_until(what, PATIENCE * 2, || {
            self.heal();
            self.none_ended_by_itself();
            done(self)
        });
    }

    fn heal(&mut self) {
        let due = |active: &Active| active.until <= Instant::now();
        let at = (0..self.active.len()).find(|at| {
            due(&self.active[*at]) && {
                let fault = self.active[*at].fault.clone();
                self.may_end(&fault)
            }
        });
        let Some(at) = at else { return };
        let Active { fault, since, .. } = self.active.remove(at);
        self.end(&fault);
        if fault.disturbs() {
            match fault.scope() {
                Scope::Server => self.world.cluster.disturbed(since),
                Scope::Way(way) => self.engines.disturbed(way, since),
                Scope::Engines => {}
            }
        }
        self.tell("is over", &fault);
    }

    /// No fault of its surroundings ends an engine.
    fn none_ended_by_itself(&mut self) {
        for place in 0..crate::plan::ENGINES {
            let free = self.is_free(Scope::Way(place));
            let engine = self.engines.at(place);
            assert!(
                !free || engine.runs(),
                "an engine has ended: {:#?}",
                engine.stderr().iter().rev().take(20).collect::<Vec<_>>()
            );
        }
    }

    fn tell(&self, what: &str, fault: &Fault) {
        eprintln!(
            "{:7.2} s  {what:7}  {fault:?}",
            self.began.elapsed().as_secs_f64()
        );
    }
}
