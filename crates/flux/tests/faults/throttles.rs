//! Limits on what runs at the same time, and engines that die with their slots.

use crate::{PATIENCE, Store, check, of, on_both_stores, stuck_once, wait_for_traces};
use flux_testkit::{Witness, shell_task, wait_until};

on_both_stores!(process_a_throttle_holds_in_the_whole_cluster_and_survives_its_holder);

/// Four runs, one slot, three engines: never two at a time, even when the holder is killed.
fn process_a_throttle_holds_in_the_whole_cluster_and_survives_its_holder(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    cluster.flux(&["throttle", "set", "test/alone", "--cluster", "1"]);
    let mut first = cluster.start("first");
    // Whoever finds the other's file was not alone.
    let lock = cluster.directory().join("lock");
    let lock = lock.display();
    let alone = format!("mkdir {lock} && sleep 0.1 && rmdir {lock}");
    let tasks = shell_task("a", &stuck_once(&witness, &cluster)) + &shell_task("b", &alone);
    let runs = cluster.submit("alone", &tasks, 4);
    wait_for_traces(&witness, "a", 1);
    let _others = [cluster.start("second"), cluster.start("third")];
    wait_until("three wait for the slot", PATIENCE, || {
        let listed = cluster.json(&["throttle", "list"]);
        let throttle = &listed["throttles"][0];
        assert_eq!(throttle["holders"][0]["running"], 1, "{listed}");
        throttle["waiting"] == 3
    });
    let ready = runs
        .iter()
        .find(|run| cluster.show(run)["state"] == "pending");
    let why = cluster.flux(&["why", ready.unwrap()]);
    assert!(
        why.contains("1 of 1 in the cluster are taken (first has 1)"),
        "{why}"
    );
    first.kill9();
    for run in &runs {
        cluster.wait_for_state(run, "completed");
    }
    let traces = witness.traces();
    assert_eq!(
        of(&traces, "a").len(),
        5,
        "one for each run, and one killed"
    );
    cluster.flux(&["throttle", "remove", "test/alone"]);
    check(&cluster, Some(&witness));
}
