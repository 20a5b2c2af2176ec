//! Engines that end and come back, in good order and in bad.

use crate::{PATIENCE, Store, check, of, on_both_stores, stuck_once, wait_for_traces};
use flux_testkit::history::now;
use flux_testkit::{Witness, shell_task, wait_until};

on_both_stores!(
    process_1a17_two_engines_with_one_name_are_two_engines,
    process_1a18_a_crash_loop_waits_for_the_window_like_anybody,
    process_1a19_a_drain_hands_over_at_once,
    process_1a21_after_all_engines_died_the_next_one_waits_a_window_and_loses_nothing,
    process_1a22_a_clean_restart_waits_for_nothing,
);

fn process_1a17_two_engines_with_one_name_are_two_engines(store: Store) {
    let cluster = store.cluster("+2s");
    let (mut first, _second) = (cluster.start("same"), cluster.start("same"));
    let members = cluster.members();
    assert_eq!(members.len(), 2);
    assert_ne!(members[0]["incarnation"], members[1]["incarnation"]);
    for run in cluster.submit("named", &shell_task("x", "true"), 5) {
        cluster.wait_for_state(&run, "completed");
    }
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    first.kill9();
    wait_until("only the dead one is convicted", PATIENCE, || {
        cluster.failovers().len() == 1
    });
    assert_eq!(cluster.members().len(), 1);
    check(&cluster, None);
}

fn process_1a18_a_crash_loop_waits_for_the_window_like_anybody(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let mut engine = cluster.start("loop");
    let task = shell_task("b", &stuck_once(&witness, &cluster));
    let run = cluster.submit("loop", &task, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    for _ in 0..4 {
        engine.restart();
        engine.wait_for_line("ready", PATIENCE);
    }
    let last_start = now();
    cluster.wait_for_state(&run, "completed");
    let traces = witness.traces();
    let [before, after] = of(&traces, "b")[..] else {
        panic!("{traces:?}")
    };
    assert_eq!(before.key, after.key);
    // The last incarnation watched for a whole window before it judged the first.
    assert!(
        after.at - last_start > 1_800_000_000,
        "{}",
        after.at - last_start
    );
    wait_until("all its earlier lives are put away", PATIENCE, || {
        cluster.members().len() == 1
    });
    check(&cluster, Some(&witness));
}

fn process_1a19_a_drain_hands_over_at_once(store: Store) {
    let (cluster, witness) = (store.cluster("+1H"), Witness::new());
    let mut first = cluster.start("first");
    let tasks =
        shell_task("a", &witness.around("sleep 1")) + &shell_task("b", &witness.around("true"));
    let run = cluster.submit("drain", &tasks, 1).remove(0);
    wait_for_traces(&witness, "a", 1);
    let _second = cluster.start("second");
    first.terminate();
    assert!(first.wait(PATIENCE).success());
    cluster.wait_for_state(&run, "completed");
    assert!(witness.duplicates().is_empty(), "{:?}", witness.traces());
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    assert_eq!(cluster.members().len(), 1, "it has left");
    check(&cluster, Some(&witness));
}

fn process_1a21_after_all_engines_died_the_next_one_waits_a_window_and_loses_nothing(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let (mut first, mut second) = (cluster.start("first"), cluster.start("second"));
    let task = shell_task("b", &stuck_once(&witness, &cluster)) + &shell_task("c", "true");
    let stuck = cluster.submit("stuck", &task, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    first.kill9();
    second.kill9();
    let waiting = cluster.submit("later", &shell_task("x", "true"), 3);
    let restarted = now();
    let _third = cluster.start("third");
    for run in &waiting {
        cluster.wait_for_state(run, "completed");
    }
    cluster.wait_for_state(&stuck, "completed");
    let traces = witness.traces();
    let again = of(&traces, "b")[1];
    assert!(
        again.at - restarted > 1_800_000_000,
        "it watched a window first"
    );
    check(&cluster, Some(&witness));
}

fn process_1a22_a_clean_restart_waits_for_nothing(store: Store) {
    let (cluster, witness) = (store.cluster("+1H"), Witness::new());
    let mut engine = cluster.start("one");
    let tasks =
        shell_task("a", &witness.around("sleep 0.5")) + &shell_task("b", &witness.around("true"));
    let runs = cluster.submit("clean", &tasks, 4);
    wait_for_traces(&witness, "a", 1);
    engine.terminate();
    assert!(engine.wait(PATIENCE).success());
    engine.restart();
    for run in &runs {
        cluster.wait_for_state(run, "completed");
    }
    assert!(witness.duplicates().is_empty(), "{:?}", witness.traces());
    check(&cluster, Some(&witness));
}
