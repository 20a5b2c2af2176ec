//! Faults injected into real engine processes. Each test is named after the row of the fault
//! catalogue that says what must happen: `1a03` is row 3 of its section 1a.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod clocks;
mod conformance;
mod crowd;
mod database;
mod freeze;
mod hostile;
mod joins;
mod kill;
mod peers;
mod places;
mod poison;
mod restart;
mod starved;
mod throttles;
mod watching;
mod windows;

use flux_testkit::history::Rules;
use flux_testkit::{Cluster, Mark, Witness, wait_until};

/// Longest wait for anything.
const PATIENCE: std::time::Duration = flux_testkit::PATIENCE;

/// Where a test keeps its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    /// The embedded store.
    File,
    /// A database of the shared PostgreSQL server.
    Server,
}

impl Store {
    fn cluster(self, window: &str) -> Cluster {
        match self {
            Store::File => cluster(window),
            // A look at the members takes several round trips there, and must not take longer than a
            // twelfth of the window on a busy machine either.
            Store::Server => match window {
                "+1s" | "+2s" | "+3s" => cluster("+4s").on_shared_server(),
                longer => cluster(longer).on_shared_server(),
            },
        }
    }
}

/// Makes two tests of each of these functions: one on the embedded store, one on PostgreSQL.
macro_rules! on_both_stores {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $test() {
                super::$test(crate::Store::File);
            })*
        }
        mod on_postgres {
            $(#[test]
            fn $test() {
                if flux_testkit::postgres::available() {
                    super::$test(crate::Store::Server);
                }
            })*
        }
    };
}
use on_both_stores;

fn cluster(window: &str) -> Cluster {
    Cluster::new(env!("CARGO_BIN_EXE_flux"), window)
}

/// A command that leaves a trace and then, only the first time, works for ever.
fn stuck_once(witness: &Witness, cluster: &Cluster) -> String {
    let marker = cluster.directory().join("began");
    let marker = marker.display();
    let (once, begin, work) = (
        witness.around("true"),
        witness.command(),
        witness.for_ever(),
    );
    // The marker first: it must be there whenever there is a trace.
    format!("if [ -e '{marker}' ]; then {once}; else touch '{marker}'; {begin}; {work}; fi")
}

/// How every test ends: with what must hold whatever happened in it.
#[track_caller]
fn check(cluster: &Cluster, witness: Option<&Witness>) {
    check_by(cluster, witness, &Rules::default());
}

/// The same, by other rules.
#[track_caller]
fn check_by(cluster: &Cluster, witness: Option<&Witness>, rules: &Rules) {
    let report = cluster.evidence(witness).check(rules);
    eprintln!("{report}");
    report.assert();
}

/// The traces of one task.
fn of<'t>(traces: &'t [Mark], task: &str) -> Vec<&'t Mark> {
    let end = format!("/{task}");
    traces
        .iter()
        .filter(|trace| trace.node.ends_with(&end))
        .collect()
}

/// Waits until a task has left this many traces.
#[track_caller]
fn wait_for_traces(witness: &Witness, task: &str, count: usize) {
    wait_until(&format!("{task} ran {count} times"), PATIENCE, || {
        of(&witness.traces(), task).len() >= count
    });
}

/// Reads a file once it has a whole line: what a process wrote about itself.
#[track_caller]
fn written(path: &std::path::Path) -> String {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    wait_until(&format!("{} is written", path.display()), PATIENCE, || {
        read().ends_with('\n')
    });
    read()
}
