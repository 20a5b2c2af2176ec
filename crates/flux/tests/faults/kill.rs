//! Engines that die by SIGKILL, and what becomes of their actions.

use crate::{
    PATIENCE, Store, check, check_by, cluster, of, on_both_stores, stuck_once, wait_for_traces,
    written,
};
use flux_testkit::history::Rules;
use flux_testkit::{Witness, alive, shell_task, wait_until};
use std::time::Instant;

on_both_stores!(
    process_1a01_killed_in_the_middle_of_an_action_another_goes_on_from_the_last_break,
    process_1a15_children_of_a_killed_engine_die_with_it_even_in_sessions_of_their_own,
);

fn process_1a01_killed_in_the_middle_of_an_action_another_goes_on_from_the_last_break(
    store: Store,
) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let mut first = cluster.start("first");
    let tasks = shell_task("a", &witness.around("true"))
        + &shell_task("b", &stuck_once(&witness, &cluster))
        + &shell_task("c", &witness.around("true"));
    let run = cluster.submit("kill", &tasks, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    let _second = cluster.start("second");
    first.kill9();
    cluster.wait_for_state(&run, "completed");
    let traces = witness.traces();
    assert_eq!(of(&traces, "a").len(), 1, "it was behind a commit point");
    assert_eq!(of(&traces, "c").len(), 1);
    let [before, after] = of(&traces, "b")[..] else {
        panic!("{traces:?}")
    };
    assert_eq!(before.key, after.key, "the same idempotency key");
    assert!(after.epoch > before.epoch, "a higher fencing token");
    assert_eq!(witness.stale(), []);
    let failovers = cluster.failovers();
    assert_eq!(failovers.len(), 1);
    assert_eq!(failovers[0]["branches"], 1, "{failovers:?}");
    check(&cluster, Some(&witness));
}

#[test]
fn process_1a14_an_action_that_ignores_sigterm_is_killed_and_the_branch_given_back() {
    let cluster = cluster("+3s");
    let mut engine = cluster
        .engine("one")
        .env("FLUX_DRAIN_TIMEOUT", "+1s")
        .spawn();
    let tasks = shell_task(
        "stubborn",
        "trap '' TERM; [ -e again ] && exit 0; touch again; echo $$ > pid; while :; do sleep 0.1; done",
    );
    let run = cluster.submit("stubborn", &tasks, 1).remove(0);
    let pid = written(&cluster.directory().join("pid"));
    engine.terminate();
    assert!(engine.wait(PATIENCE).success());
    assert!(
        !alive(&pid),
        "it is dead before the engine says that it has drained"
    );
    assert_eq!(cluster.members(), [] as [serde_json::Value; 0]);
    let _other = cluster.start("other");
    cluster.wait_for_state(&run, "completed");
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    check(&cluster, None);
}

fn process_1a15_children_of_a_killed_engine_die_with_it_even_in_sessions_of_their_own(
    store: Store,
) {
    // A window so long that no deadline can be the reason.
    let cluster = store.cluster("+1H");
    let mut engine = cluster.start("one");
    let task = "setsid sh -c 'echo $$ > session; exec sleep 300' & echo $$ > group; exec sleep 300";
    let runs = cluster.submit("orphans", &shell_task("sleep", task), 1);
    let pids = ["session", "group"].map(|name| written(&cluster.directory().join(name)));
    assert!(pids.iter().all(|pid| alive(pid)));
    let killed = Instant::now();
    engine.kill9();
    wait_until("no child is left", PATIENCE, || {
        !pids.iter().any(|pid| alive(pid))
    });
    eprintln!(
        "the children were dead {:?} after their engine",
        killed.elapsed()
    );
    check_by(&cluster, None, &Rules::unfinished(&runs));
}

#[test]
fn process_1a15_a_killed_runner_leaves_no_child_and_fails_the_action() {
    let cluster = cluster("+1H");
    let _engine = cluster.start("one");
    let task = shell_task("rude", "echo $$ > pid; kill -9 $PPID; sleep 300");
    let run = cluster.submit("rude", &task, 1).remove(0);
    cluster.wait_for_state(&run, "faulted");
    let pid = written(&cluster.directory().join("pid"));
    wait_until("the child is dead", PATIENCE, || !alive(&pid));
    let fault = cluster.show(&run)["fault"].to_string();
    assert!(fault.contains("its supervisor ended"), "{fault}");
    check(&cluster, None);
}
