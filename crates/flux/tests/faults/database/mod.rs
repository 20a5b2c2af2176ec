//! Faults of a PostgreSQL database, of the way to it, and of its clock. Each test breaks a server of
//! its own.

mod clocks;
mod commits;
mod connections;
mod disk;
mod network;
mod outage;
mod refusals;
mod replicas;
mod stalls;
mod truth;

use crate::{PATIENCE, cluster};
use flux_testkit::postgres::{Builder, Database, Server, installed};
use flux_testkit::{Cluster, Flux, Witness, shell_task, wait_until};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A server of this test alone, a cluster on a database of it, and what its actions did.
struct World {
    witness: Witness,
    cluster: Cluster,
    database: Database,
    server: Server,
}

impl World {
    /// `None`, and a word about it, where there is no PostgreSQL.
    fn new(window: &str) -> Option<World> {
        World::on(window, Server::builder())
    }

    fn on(window: &str, builder: Builder) -> Option<World> {
        if !installed() {
            eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
            return None;
        }
        let server = builder.start();
        let database = server.create_database();
        Some(World {
            witness: Witness::new(),
            cluster: cluster(window).on(database.url()),
            database,
            server,
        })
    }

    /// Runs of so many steps, each of which leaves a trace and takes a moment; all of them have begun.
    fn busy(&self, runs: usize, steps: usize, seconds: f64) -> Vec<String> {
        let step = format!("{}; sleep {seconds}", self.witness.command());
        let tasks: String = (0..steps)
            .map(|n| shell_task(&format!("s{n}"), &step))
            .collect();
        let ids = self.cluster.submit("busy", &tasks, runs);
        wait_until("all runs have begun", PATIENCE, || {
            self.witness.traces().len() >= runs
        });
        ids
    }

    /// A run that works for ever the first time, and what its process is.
    fn stuck(&self) -> (String, String) {
        let pid = self.file("pid");
        let task = format!(
            "{}; [ -e '{pid}' ] && exit 0; echo $$ > '{pid}'; exec sleep 300",
            self.witness.command(),
            pid = pid.display()
        );
        let run = self
            .cluster
            .submit("stuck", &shell_task("stuck", &task), 1)
            .remove(0);
        (run, crate::written(&pid))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.cluster.directory().join(name)
    }
}

/// Lets a time pass that is itself the fault, such as the length of an outage.
#[track_caller]
fn pass(time: Duration) {
    let start = Instant::now();
    wait_until("time has passed", PATIENCE * 2, || start.elapsed() > time);
}

/// A part of a window.
fn windows(count: f64, window: Duration) -> Duration {
    window.mul_f64(count)
}

/// How often an engine said this.
fn said(engine: &Flux, text: &str) -> usize {
    let lines = engine.stderr();
    lines.iter().filter(|line| line.contains(text)).count()
}

/// Waits until these engines have joined again after they stepped down.
#[track_caller]
fn wait_for_return(engines: &[Flux]) {
    for engine in engines {
        engine.wait_for_line("joined the cluster again", PATIENCE);
    }
}

/// No engine lost its trust: a fault that was short enough is not noticed at all.
#[track_caller]
fn none_stepped_down(engines: &[Flux]) {
    for engine in engines {
        assert_eq!(said(engine, "steps down"), 0, "{:?}", engine.stderr());
    }
}
