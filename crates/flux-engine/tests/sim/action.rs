//! Actions that take virtual time and leave traces with the witness instead of running processes.
//!
//! Each is a task of the world, like a process with its supervisor: it goes on while its engine
//! is frozen, and ends when its engine is gone, says so, or has lost its right to act.

use crate::host::{Clocks, SimHost};
use crate::life::Life;
use crate::sim::{Sabotage, Sim};
use crate::witness::Ended;
use crate::world::WORLD;
use async_trait::async_trait;
use flux_core::chart::{Fault, FaultKind};
use flux_core::clock::BootTime;
use flux_core::host::Host;
use flux_core::ownership::Timing;
use flux_core::value::{self, Value};
use flux_engine::action::{Failure, Perform, Request};
use flux_failover::TrustHandle;
use serde_json::json;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How soon a supervisor notices that its engine is gone.
const EOF_AFTER: Duration = Duration::from_millis(50);

pub struct Performer {
    pub life: Arc<Life>,
    pub engine: usize,
    pub host: Arc<SimHost>,
    pub timing: Timing,
    pub lives_until: Mutex<Option<watch::Receiver<Option<BootTime>>>>,
}

/// What a command asks for: `work MILLISECONDS [fail TIMES]`, or `kill`.
struct Work {
    lasts: Duration,
    fails: u32,
    kills: bool,
}

impl Work {
    fn of(request: &Request) -> Work {
        let with = value::to_serde(&request.with);
        let command = with["command"].as_str().unwrap_or_default();
        let number = |after: &str| {
            let mut words = command.split(' ').skip_while(|word| *word != after).skip(1);
            words.next().and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        Work {
            lasts: Duration::from_millis(number("work")),
            fails: number("fail") as u32,
            kills: command == "kill",
        }
    }
}

#[async_trait]
impl Perform for Performer {
    async fn perform(&self, request: Request, cancel: CancellationToken) -> Result<Value, Failure> {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let sim = &self.life.sim;
        let (answer, mut answered) = oneshot::channel();
        let (_alive, gone) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let lives_until = self.lives_until.lock().unwrap().clone();
        let process = Process {
            sim: Arc::clone(sim),
            clocks: Arc::clone(&self.host.clocks),
            timing: self.timing,
            nonce: sim.world.serial(),
            request,
            lives_until: lives_until.expect("an action needs trust, which comes first"),
            gone,
            stopped,
        };
        let work = Work::of(&process.request);
        if work.kills {
            let (life, engine) = (Arc::clone(&self.life), self.engine);
            sim.world.spawn(
                WORLD,
                Box::pin(async move {
                    life.sim.sleep(work.lasts + Duration::from_millis(3)).await;
                    life.crash(engine, Duration::from_millis(500));
                }),
            );
        }
        sim.world.spawn(
            WORLD,
            Box::pin(async move {
                let _gone = answer.send(process.run(work).await);
            }),
        );
        let ended = tokio::select! {
            biased;
            ended = &mut answered => ended,
            () = cancel.cancelled() => {
                let _ended = stop.send(());
                answered.await
            }
        };
        ended.unwrap_or(Err(Failure::Expired))
    }

    fn trust(&self, trust: TrustHandle, _: CancellationToken, _: &dyn Host) -> io::Result<()> {
        *self.lives_until.lock().unwrap() = Some(trust.lives_until());
        Ok(())
    }
}

fn cancelled() -> Failure {
    Failure::Fault(Fault::new(FaultKind::Runtime, "it was cancelled"))
}

struct Process {
    sim: Arc<Sim>,
    clocks: Arc<Clocks>,
    timing: Timing,
    nonce: u64,
    request: Request,
    lives_until: watch::Receiver<Option<BootTime>>,
    /// Fails when the engine has dropped the action, or died.
    gone: oneshot::Receiver<()>,
    stopped: oneshot::Receiver<()>,
}

impl Process {
    async fn run(mut self, work: Work) -> Result<Value, Failure> {
        self.sim.witness().began(&self.request, self.nonce);
        self.tell("begins");
        let fails = self.request.attempt <= work.fails;
        let lasts = if work.kills {
            Duration::from_secs(60)
        } else {
            work.lasts
        };
        let sim = Arc::clone(&self.sim);
        let (clocks, until) = (Arc::clone(&self.clocks), self.lives_until.clone());
        let supervised = sim.sabotage != Sabotage::NoSupervisor;
        let mut expired = Box::pin(async {
            match supervised {
                true => expire(&sim, &clocks, until).await,
                false => std::future::pending().await,
            }
        });
        let killed = tokio::select! {
            biased;
            _ = &mut self.gone => Failure::Expired,
            () = &mut expired => Failure::Expired,
            Ok(()) = &mut self.stopped => {
                self.tell("is told to stop");
                let grace = self.timing.dead_line - self.timing.kill_at;
                let grace = sim.rng().up_to(self.clocks.true_time(grace));
                tokio::select! {
                    biased;
                    _ = &mut self.gone => {}
                    () = &mut expired => {}
                    () = sim.sleep(grace) => {}
                }
                cancelled()
            }
            () = sim.sleep(lasts) => return self.end(fails),
        };
        if self.gone.try_recv() == Err(oneshot::error::TryRecvError::Closed) && supervised {
            let soon = sim.rng().up_to(EOF_AFTER);
            tokio::select! {
                biased;
                () = &mut expired => {}
                () = sim.sleep(soon) => {}
            }
        }
        self.tell("is killed");
        sim.witness()
            .ended(self.request.branch, self.nonce, Ended::Killed);
        Err(killed)
    }

    fn end(&self, fails: bool) -> Result<Value, Failure> {
        let how = if fails { Ended::Badly } else { Ended::Well };
        self.tell(if fails { "fails" } else { "ends" });
        self.sim
            .witness()
            .ended(self.request.branch, self.nonce, how);
        if fails {
            let fault = Fault::new(FaultKind::Runtime, "it fails at first");
            return Err(Failure::Fault(fault));
        }
        let step = self.request.node.rsplit('/').next().unwrap_or_default();
        Ok(value::from_serde(
            json!({"step": step, "nonce": self.nonce}),
        ))
    }

    fn tell(&self, what: &str) {
        self.sim.tell("action", |w| {
            let (branch, node) = (w.names.branch(self.request.branch), &self.request.node);
            let (epoch, attempt) = (self.request.epoch, self.request.attempt);
            format!("{what}: {branch} {node} epoch {epoch} attempt {attempt}")
        });
    }
}

/// Waits until the right to act ends, by the clock of the machine.
async fn expire(sim: &Sim, clocks: &Clocks, mut until: watch::Receiver<Option<BootTime>>) {
    loop {
        let end = until.borrow_and_update().unwrap_or_default();
        let left = end.since(clocks.boot(sim.world.now()));
        if left.is_zero() {
            return;
        }
        let left = sim.sleep(clocks.true_time(left));
        tokio::select! {
            biased;
            Ok(()) = until.changed() => {}
            () = left => {}
        }
    }
}
