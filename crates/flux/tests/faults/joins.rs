//! Failover beside waiting runs, parallel branches and joins.

use crate::{PATIENCE, Store, check, of, on_both_stores, stuck_once, wait_for_traces};
use flux_testkit::{Witness, shell_task, wait_until};
use std::collections::BTreeSet;

on_both_stores!(
    process_1d51_a_waiting_run_is_not_touched_by_failover,
    process_1d52_only_the_dead_engines_branch_rolls_back,
    process_1d53_1d54_a_join_goes_on_once_whoever_dies,
);

fn process_1d51_a_waiting_run_is_not_touched_by_failover(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let mut first = cluster.start("first");
    let listen = "  - wait: { listen: { to: { one: { with: { type: go } } } } }\n".to_owned();
    let tasks = shell_task("a", &witness.around("true"))
        + &listen
        + &shell_task("b", &witness.around("true"));
    let waiting = cluster.submit("waiting", &tasks, 1).remove(0);
    cluster.wait_for_state(&waiting, "waiting");
    let busy = cluster
        .submit("busy", &shell_task("x", &stuck_once(&witness, &cluster)), 1)
        .remove(0);
    wait_for_traces(&witness, "x", 1);
    let before = cluster.show(&waiting)["branches"].clone();
    let _second = cluster.start("second");
    first.kill9();
    cluster.wait_for_state(&busy, "completed");
    assert_eq!(
        cluster.show(&waiting)["branches"],
        before,
        "epoch, losses, everything"
    );
    cluster.flux(&["signal", &waiting, "go"]);
    cluster.wait_for_state(&waiting, "completed");
    assert_eq!(of(&witness.traces(), "a").len(), 1);
    assert_eq!(of(&witness.traces(), "b").len(), 1);
    check(&cluster, Some(&witness));
}

/// A fork of branches, each a list of tasks.
fn fork(branches: &[(&str, String)]) -> String {
    let mut text = "  - both:\n      fork:\n        branches:\n".to_owned();
    for (name, tasks) in branches {
        text.push_str(&format!("          - {name}:\n              do:\n"));
        for line in tasks.lines() {
            text.push_str(&format!("              {line}\n"));
        }
    }
    text
}

fn process_1d52_only_the_dead_engines_branch_rolls_back(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let single = |name: &str| {
        let engine = cluster
            .engine(name)
            .env("FLUX_CONCURRENCY_LEVEL", "1")
            .spawn();
        engine.wait_for_line("ready", PATIENCE);
        engine
    };
    let mut first = single("first");
    let left = shell_task("l0", &witness.around("true"))
        + &shell_task("l1", &stuck_once(&witness, &cluster))
        + &shell_task("l2", &witness.around("true"));
    let right: String = (0..8)
        .map(|n| shell_task(&format!("r{n}"), &witness.around("sleep 0.5")))
        .collect();
    let tasks =
        fork(&[("left", left), ("right", right)]) + &shell_task("after", &witness.around("true"));
    let run = cluster.submit("split", &tasks, 1).remove(0);
    wait_for_traces(&witness, "l1", 1);
    let _second = single("second");
    wait_for_traces(&witness, "r0", 1);
    first.kill9();
    cluster.wait_for_state(&run, "completed");
    let traces = witness.traces();
    assert_eq!(of(&traces, "l0").len(), 1, "behind its break");
    assert_eq!(of(&traces, "l1").len(), 2, "rolled back to its break");
    for task in [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "l2", "after",
    ] {
        assert_eq!(of(&traces, task).len(), 1, "{task} ran once");
    }
    check(&cluster, Some(&witness));
}

fn process_1d53_1d54_a_join_goes_on_once_whoever_dies(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let (mut first, _second) = (cluster.start("first"), cluster.start("second"));
    let branch = |name: &str| shell_task(&format!("{name}1"), "true");
    let tasks = fork(&[("a", branch("a")), ("b", branch("b")), ("c", branch("c"))])
        + &shell_task("after", &witness.around("true"));
    let runs = cluster.submit("joins", &tasks, 20);
    wait_until("some have joined", PATIENCE, || witness.traces().len() > 3);
    first.restart();
    for run in &runs {
        cluster.wait_for_state(run, "completed");
    }
    let keys: BTreeSet<_> = witness
        .traces()
        .into_iter()
        .map(|trace| trace.key)
        .collect();
    assert_eq!(keys.len(), runs.len(), "one continuation for each join");
    check(&cluster, Some(&witness));
}
