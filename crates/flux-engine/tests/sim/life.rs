//! One life: engines on one store, what happens to them, and how it ends.

use crate::action::Performer;
use crate::host::{Clocks, SimHost};
use crate::link::Link;
use crate::logs::logged;
use crate::plan::{Fault, Plan, RunPlan};
use crate::rng::Rng;
use crate::sim::{Sabotage, Sim};
use crate::workflow::{self, Kept, Workflow};
use crate::world::{Halt, Owner, Stepped, WORLD};
use flux_core::ids::{BranchId, RunId};
use flux_core::ownership::Timing;
use flux_core::ports::Error;
use flux_core::ports::definitions::Definitions;
use flux_core::ports::members::Members;
use flux_core::ports::peers::Alone;
use flux_core::ports::runs::{Event, NewRun, Runs, Submitted};
use flux_core::value::Value;
use flux_engine::{Config, Engine, Handle, RunOptions, Stores, action, deploy, new_run};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

/// How long a client waits for an engine before it asks another one.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// What came of a life.
pub struct Lived {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub counts: BTreeMap<&'static str, u64>,
    pub lasted: Duration,
}

pub struct Life {
    pub sim: Arc<Sim>,
    machines: Vec<Machine>,
    /// Runs whose submission was answered.
    accepted: Mutex<Vec<(RunId, Arc<Workflow>)>>,
    over: AtomicBool,
}

struct Machine {
    name: Arc<str>,
    clocks: Arc<Clocks>,
    /// The engine's process, and how to ask it for a drain.
    process: Mutex<Option<(u32, Option<oneshot::Sender<()>>)>>,
    /// Where clients reach its engine, since it has started.
    handle: Mutex<Option<Handle>>,
}

/// Lives the life of a seed.
pub fn live(seed: u64, sabotage: Sabotage, traced: bool) -> Lived {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng);
    let sim = Sim::new(rng, plan, sabotage, traced);
    let machines = sim.plan.engines.iter().enumerate().map(|(index, plan)| {
        let clocks = Clocks {
            rate: plan.rate,
            boot_offset: plan.boot_offset,
            calendar_offset: AtomicI64::new(plan.calendar_offset_ms * 1000),
            stuck: AtomicBool::new(sabotage == Sabotage::TrustsForEver && index == 0),
        };
        Machine {
            name: format!("e{}", index + 1).into(),
            clocks: Arc::new(clocks),
            process: Mutex::new(None),
            handle: Mutex::new(None),
        }
    });
    let life = Arc::new(Life {
        machines: machines.collect(),
        sim,
        accepted: Mutex::default(),
        over: AtomicBool::new(false),
    });
    life.begin();
    match traced {
        true => logged(&life, || life.run()),
        false => life.run(),
    }
}

impl Life {
    fn begin(self: &Arc<Life>) {
        self.deploy();
        for engine in 0..self.machines.len() {
            let delay = self.sim.rng().up_to(Duration::from_secs(1));
            self.later(delay, move |life| life.boot(engine));
        }
        for (at, fault) in &self.sim.plan.faults {
            let fault = *fault;
            self.later(*at, move |life| life.strike(fault));
        }
        for run in &self.sim.plan.runs {
            self.spawn(client(
                Arc::clone(self),
                workflow::of_shape(run.shape),
                run.at,
                run.signals_after,
            ));
        }
        if self.sim.plan.killer {
            let at = self.sim.plan.heal_at / 3;
            self.spawn(client(
                Arc::clone(self),
                workflow::killer(),
                at,
                Duration::ZERO,
            ));
        }
        self.spawn(crate::referee::watch(Arc::clone(self)));
    }

    fn deploy(&self) {
        let shapes = self
            .sim
            .plan
            .runs
            .iter()
            .map(|run: &RunPlan| workflow::of_shape(run.shape));
        let leaves = (0..workflow::LEAVES).map(workflow::leaf);
        let scheduled = self.sim.plan.scheduled.then(workflow::scheduled);
        let all = shapes
            .chain(leaves)
            .chain([workflow::killer()])
            .chain(scheduled);
        let now = Clocks::right().calendar(0);
        for workflow in all {
            let deployed = deploy(
                &self.sim.store,
                &workflow.chart,
                &workflow.source,
                true,
                now,
            );
            deployed
                .now_or_never()
                .expect("it never waits")
                .expect("it never fails");
        }
    }

    fn run(&self) -> Lived {
        let sim = &self.sim;
        while !self.over.load(Ordering::Relaxed) && sim.witness().violations.is_empty() {
            match catch_unwind(AssertUnwindSafe(|| sim.world.step())) {
                Err(_panic) => sim.witness().violated("L4", "a task panicked"),
                Ok(Stepped::On) => {}
                Ok(Stepped::Over) => sim
                    .witness()
                    .violated("L4", "nothing will ever happen again"),
                Ok(Stepped::Spins(owner)) => {
                    let name = self.name_of(owner);
                    let text = format!("{name} is busy without end while no time passes");
                    sim.witness().violated("L4", text);
                }
            }
        }
        let lasted = sim.now();
        for machine in &self.machines {
            if let Some((process, _)) = machine.process.lock().unwrap().take() {
                sim.world.kill(process);
            }
        }
        let trace = sim.take_trace();
        sim.world.kill(WORLD.process);
        let mut witness = sim.witness();
        Lived {
            violations: std::mem::take(&mut witness.violations),
            counts: std::mem::take(&mut witness.counts),
            trace,
            lasted,
        }
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.sim.world.spawn(WORLD, Box::pin(task));
    }

    pub fn later(self: &Arc<Life>, by: Duration, what: impl FnOnce(&Arc<Life>) + Send + 'static) {
        let life = Arc::clone(self);
        self.spawn(async move {
            life.sim.sleep(by).await;
            what(&life);
        });
    }

    pub fn engines(&self) -> usize {
        self.machines.len()
    }

    pub fn clocks(&self, engine: usize) -> &Clocks {
        &self.machines[engine].clocks
    }

    pub fn process(&self, engine: usize) -> Option<u32> {
        self.machines[engine]
            .process
            .lock()
            .unwrap()
            .as_ref()
            .map(|(process, _)| *process)
    }

    pub fn name_of(&self, owner: Owner) -> String {
        let mut engines = 0..self.engines();
        let found = engines.find(|engine| self.process(*engine) == Some(owner.process));
        found.map_or("the world".to_owned(), |engine| {
            self.machines[engine].name.to_string()
        })
    }

    pub fn accepted(&self) -> Vec<(RunId, Arc<Workflow>)> {
        self.accepted.lock().unwrap().clone()
    }

    fn strike(self: &Arc<Life>, fault: Fault) {
        if self.sim.calm() {
            return;
        }
        match fault {
            Fault::Crash { engine, back_after } => self.crash(engine, back_after),
            Fault::Halt {
                engine,
                what,
                lasts,
            } => self.halt(engine, what, lasts),
            Fault::Drain { engine } => self.drain(engine),
            Fault::Jump { engine, by_ms } => {
                self.tell(engine, &format!("its calendar jumps by {by_ms} ms"));
                let offset = &self.machines[engine].clocks.calendar_offset;
                offset.fetch_add(by_ms * 1000, Ordering::Relaxed);
            }
        }
    }

    pub fn crash(self: &Arc<Life>, engine: usize, back_after: Duration) {
        let Some((process, _)) = self.machines[engine].process.lock().unwrap().take() else {
            return;
        };
        *self.machines[engine].handle.lock().unwrap() = None;
        self.sim.witness().count("crashes");
        self.tell(engine, "crashes");
        self.sim.world.kill(process);
        self.later(back_after, move |life| life.boot(engine));
    }

    fn halt(self: &Arc<Life>, engine: usize, what: Halt, lasts: Duration) {
        let Some(process) = self.process(engine) else {
            return;
        };
        self.sim.witness().count(match what {
            Halt::Process => "freezes",
            Halt::Runtime => "stalls",
        });
        self.tell(engine, &format!("stands still: {what:?} for {lasts:?}"));
        self.sim.world.halt(process, what);
        let lasts = lasts.min(self.sim.plan.heal_at.saturating_sub(self.sim.now()));
        self.later(lasts, move |life| {
            life.tell(engine, "goes on");
            life.sim.world.resume(process);
        });
    }

    fn drain(&self, engine: usize) {
        let mut machine = self.machines[engine].process.lock().unwrap();
        let Some((_, drain)) = &mut *machine else {
            return;
        };
        if let Some(drain) = drain.take() {
            let _gone = drain.send(());
            drop(machine);
            self.sim.witness().count("drains");
            self.tell(engine, "is asked to drain");
        }
    }

    fn tell(&self, engine: usize, what: &str) {
        let name = &self.machines[engine].name;
        self.sim.tell(name, |_| format!("*** {what}"));
    }

    /// Starts a process on the machine, unless one is there.
    pub fn boot(self: &Arc<Life>, engine: usize) {
        let machine = &self.machines[engine];
        let mut slot = machine.process.lock().unwrap();
        if slot.is_some() {
            return;
        }
        let process = self.sim.world.serial() as u32;
        let (drain, drained) = oneshot::channel();
        *slot = Some((process, Some(drain)));
        drop(slot);
        self.tell(engine, "starts");
        let owner = Owner {
            process,
            apart: false,
        };
        let life = Arc::clone(self);
        let main = async move { life.main(engine, process, drained).await };
        self.sim.world.spawn(owner, Box::pin(main));
    }

    async fn main(self: Arc<Life>, engine: usize, process: u32, drained: oneshot::Receiver<()>) {
        let machine = &self.machines[engine];
        let host = Arc::new(SimHost {
            world: Arc::clone(&self.sim.world),
            clocks: Arc::clone(&machine.clocks),
            process,
        });
        let config = self.config(engine);
        let performer = Performer {
            life: Arc::clone(&self),
            engine,
            host: Arc::clone(&host),
            timing: Timing::of(config.window),
            lives_until: Mutex::new(None),
        };
        let stores = self.stores(engine, process);
        let started = Engine::start_with(config, stores, Arc::new(Kept), Arc::new(performer), host);
        match started.await {
            Ok(running) => {
                *machine.handle.lock().unwrap() = Some(running.handle());
                if drained.await.is_ok() {
                    running.drain().await;
                }
            }
            Err(error) => self.tell(engine, &format!("does not start: {error}")),
        }
        self.exit(engine, process);
    }

    /// The process ends by itself; something starts it again.
    fn exit(self: &Arc<Life>, engine: usize, process: u32) {
        self.tell(engine, "exits");
        *self.machines[engine].handle.lock().unwrap() = None;
        let world = Arc::clone(&self.sim.world);
        *self.machines[engine].process.lock().unwrap() = None;
        self.later(Duration::ZERO, move |_| world.kill(process));
        let pause = self.sim.rng().up_to(Duration::from_secs(2));
        self.later(pause, move |life| life.boot(engine));
    }

    fn config(&self, engine: usize) -> Config {
        let plan = &self.sim.plan.engines[engine];
        Config {
            name: self.machines[engine].name.to_string(),
            window: plan.window,
            concurrency: plan.concurrency,
            address: None,
            pool: None,
            poll: plan.poll,
            drain_timeout: plan.window,
            poison_limit: self.sim.plan.poison_limit,
            listened: false,
            max_cluster_size: self.sim.plan.max_cluster_size,
            monitor: None,
            actions: action::Config::default(),
            version: "simulated",
        }
    }

    fn stores(&self, engine: usize, process: u32) -> Stores {
        let machine = &self.machines[engine];
        let link = Link {
            sim: Arc::clone(&self.sim),
            engine: Some(engine),
            process,
            clocks: Arc::clone(&machine.clocks),
            name: Arc::clone(&machine.name),
        };
        let members = link.clone();
        Stores {
            members: Arc::new(move || -> Arc<dyn Members> { Arc::new(members.clone()) }),
            branches: Arc::new(link.clone()),
            runs: Arc::new(link.clone()),
            definitions: Arc::new(link) as Arc<dyn Definitions>,
            peers: Arc::new(Alone),
        }
    }

    fn client_link(&self) -> Link {
        Link {
            sim: Arc::clone(&self.sim),
            engine: None,
            process: WORLD.process,
            clocks: Arc::new(Clocks::right()),
            name: "client".into(),
        }
    }
}

impl Life {
    /// Through one of the engines, or past all of them.
    async fn submit(&self, run: NewRun) -> Result<Vec<Submitted>, Error> {
        let machine = self.sim.rng().below(2 * self.machines.len() as u64);
        let machine = self.machines.get(machine as usize);
        let handle = machine.and_then(|machine| machine.handle.lock().unwrap().clone());
        let Some(handle) = handle else {
            return self.client_link().submit(vec![run]).await;
        };
        tokio::select! {
            biased;
            submitted = handle.submit(vec![run]) => submitted,
            () = self.sim.sleep(CLIENT_PATIENCE) => {
                Err(Error::Unavailable("the engine does not answer".to_owned()))
            }
        }
    }
}

/// Submits a run and sends its signals, each again until it is answered.
async fn client(life: Arc<Life>, workflow: Arc<Workflow>, at: Duration, signals_after: Duration) {
    let (sim, link) = (Arc::clone(&life.sim), life.client_link());
    sim.sleep(at).await;
    let now = link.clocks.calendar(sim.world.now());
    let request = format!("request-{}", sim.world.serial());
    let fresh = |high: u128| Uuid::from_u128((high << 120) | u128::from(sim.world.serial()));
    let run = NewRun {
        id: RunId::new(fresh(1)),
        branch: BranchId::new(fresh(2)),
        request_id: Some(request),
        ..new_run(
            &workflow.chart,
            &Value::default(),
            RunOptions::default(),
            now,
        )
    };
    let id = run.id;
    while life.submit(run.clone()).await.is_err() {
        sim.sleep(Duration::from_millis(100)).await;
    }
    life.accepted
        .lock()
        .unwrap()
        .push((id, Arc::clone(&workflow)));
    sim.witness().count("runs");
    sim.sleep(signals_after).await;
    for kind in &workflow.listens {
        let event = Event {
            id: format!("{kind}-{id}"),
            source: "client".to_owned(),
            kind: kind.clone(),
            json: format!(
                r#"{{"specversion":"1.0","id":"{kind}-{id}","source":"client","type":"{kind}","data":{{"n":1}}}}"#
            ),
        };
        while link.signal(id, event.clone(), now).await.is_err() {
            sim.sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Life {
    /// Judges every run that was accepted, now that all have ended.
    pub fn judge(&self) {
        for (run, workflow) in self.accepted() {
            let store = &self.sim.store;
            let record = store.run(run).now_or_never().and_then(Result::ok).flatten();
            let history = store.history(run).now_or_never().and_then(Result::ok);
            let (Some(record), Some(history)) = (record, history) else {
                continue;
            };
            self.sim.witness().judge(&record, &history, &workflow);
        }
    }
}
