//! Faults injected into real engine processes. Each test is named after the row of the fault
//! catalogue that says what must happen: `1a03` is row 3 of its section 1a.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod clocks;
mod freeze;
mod hostile;
mod joins;
mod kill;
mod places;
mod poison;
mod restart;
mod watching;
mod windows;

use flux_testkit::{Cluster, Trace, Witness, wait_until};

/// Longest wait for anything.
const PATIENCE: std::time::Duration = flux_testkit::PATIENCE;

fn cluster(window: &str) -> Cluster {
    Cluster::new(env!("CARGO_BIN_EXE_flux"), window)
}

/// A command that leaves a trace and then, only the first time, works for ever.
fn stuck_once(witness: &Witness, cluster: &Cluster) -> String {
    let marker = cluster.directory().join("began");
    let marker = marker.display();
    let trace = witness.command();
    // The marker first: it must be there whenever there is a trace.
    format!("if [ -e '{marker}' ]; then {trace}; else touch '{marker}'; {trace}; sleep 300; fi")
}

/// The traces of one task.
fn of<'t>(traces: &'t [Trace], task: &str) -> Vec<&'t Trace> {
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
