//! A steady stream of runs, and what they wait for. A client that was not answered asks again, under
//! the same name, until it is.

use crate::dice::Dice;
use crate::work::{Errand, Shape};
use crate::world::World;
use flux_testkit::proxy::Proxy;
use flux_testkit::{PATIENCE, wait_until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The database is not there, or busy: what a client is to try again.
const NOT_NOW: i32 = 69;
/// The run is over.
const CONFLICT: i32 = 8;
/// Between two runs, at least.
const PACE: Duration = Duration::from_millis(250);
/// More unfinished runs than this are enough work for the engines.
const ENOUGH: usize = 60;

pub struct Clients<'w> {
    world: &'w World,
    shapes: &'w [Shape],
    /// Leads through the way of the clients.
    url: String,
    over: AtomicBool,
}

/// A run that was started, and the number of its shape.
pub type Started = (String, usize);

/// As long as it lives, clients start runs.
pub struct Stream<'s> {
    over: &'s AtomicBool,
    thread: Option<ScopedJoinHandle<'s, Vec<Started>>>,
}

impl Stream<'_> {
    /// Ends it; every run that was started.
    pub fn end(mut self) -> Vec<Started> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Something to be done for a run.
struct Due {
    at: Instant,
    run: String,
    errand: Errand,
}

impl<'w> Clients<'w> {
    /// Deploys the definitions.
    #[track_caller]
    pub fn new(world: &'w World, shapes: &'w [Shape], way: &Proxy) -> Clients<'w> {
        for shape in shapes {
            let file = format!("{}.json", shape.name);
            std::fs::write(world.cluster.directory().join(&file), shape.text()).unwrap();
            world.cluster.flux(&["workflow", "deploy", &file]);
        }
        Clients {
            world,
            shapes,
            url: way.url(world.database.url()),
            over: AtomicBool::new(false),
        }
    }

    /// Begins the stream.
    pub fn stream<'s>(&'s self, scope: &'s Scope<'s, '_>, dice: Dice) -> Stream<'s> {
        Stream {
            over: &self.over,
            thread: Some(scope.spawn(|| self.work(dice))),
        }
    }

    fn work(&self, mut dice: Dice) -> Vec<Started> {
        let mut runs = Vec::new();
        let mut due: Vec<Due> = Vec::new();
        let mut next = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            self.run_errands(&mut due);
            if next <= Instant::now() && self.world.open_runs().is_none_or(|open| open < ENOUGH) {
                let (run, shape) = self.submit(&mut dice, runs.len());
                let errand = self.shapes[shape].errand;
                let at = Instant::now() + Duration::from_secs_f64(dice.between(0.0, 4.0));
                runs.push((run.clone(), shape));
                due.push(Due { at, run, errand });
                next = Instant::now() + PACE;
            }
            let soon = Instant::now() + PACE / 2;
            wait_until("it is time to look", PATIENCE, || soon <= Instant::now());
        }
        due.iter().for_each(|due| self.run_errand(due));
        runs
    }

    fn submit(&self, dice: &mut Dice, number: usize) -> Started {
        let mut shape = dice.below(self.shapes.len());
        while self.shapes[shape].child_of.is_some() {
            shape = dice.below(self.shapes.len());
        }
        let name = format!("chaos/{}", self.shapes[shape].name);
        let request = format!("request{number}");
        let run = self.ask(&["submit", &name, "--request-id", &request], &[]);
        self.world.cluster.acknowledged(&run);
        (run, shape)
    }

    fn run_errands(&self, due: &mut Vec<Due>) {
        let now = Instant::now();
        for due in due.extract_if(.., |due| due.at <= now) {
            self.run_errand(&due);
        }
    }

    fn run_errand(&self, due: &Due) {
        match due.errand {
            Errand::None => {}
            Errand::Signal => drop(self.ask(&["signal", &due.run, "go", "--id", "1"], &[CONFLICT])),
            Errand::Cancel => drop(self.ask(&["cancel", &due.run], &[CONFLICT])),
        }
    }

    /// What a client was answered at last; an answer with one of these codes will do.
    fn ask(&self, args: &[&str], also: &[i32]) -> String {
        let args = [&["--database-url", &self.url], args].concat();
        let since = Instant::now();
        loop {
            let mut client = self.world.cluster.client(&args);
            let code = client.wait(PATIENCE).code();
            match code {
                Some(0) => return client.stdout().join("\n"),
                Some(code) if also.contains(&code) => return String::new(),
                Some(NOT_NOW) if since.elapsed() < PATIENCE * 2 => {}
                _ => panic!("flux {args:?} ended with {code:?}: {:?}", client.stderr()),
            }
            let again = Instant::now() + PACE / 2;
            wait_until("it is time to try again", PATIENCE, || {
                again <= Instant::now()
            });
        }
    }
}
