//! Engines that are frozen (SIGSTOP), as by a pause of their machine, and wake up.

use crate::{PATIENCE, Store, check, cluster, of, on_both_stores, wait_for_traces, written};
use flux_testkit::{Witness, alive, shell_task, wait_until};
use std::time::{Duration, Instant};

on_both_stores!(
    process_1a03_a_zombie_changes_nothing,
    process_1a04_a_short_freeze_is_no_failover,
    process_1a16_children_die_at_the_deadline_while_their_engine_is_still_frozen,
);

fn process_1a03_a_zombie_changes_nothing(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let first = cluster.start("first");
    // Without breaks: only its trust, not a commit, keeps the zombie from the next action.
    let tasks: String = ["a", "b", "c", "d"]
        .map(|name| shell_task(name, &witness.around("sleep 0.3")))
        .concat();
    let run = cluster.submit_with("zombie", "marked", &tasks, 1).remove(0);
    wait_for_traces(&witness, "a", 1);
    first.stop();
    let _second = cluster.start("second");
    cluster.wait_for_state(&run, "completed");
    let (record, traces) = (cluster.show(&run), witness.traces());
    first.cont();
    first.wait_for_line("steps down", PATIENCE);
    first.wait_for_line("joined the cluster again", PATIENCE);
    assert_eq!(cluster.show(&run), record);
    assert_eq!(
        witness.traces(),
        traces,
        "not a single action after it woke up"
    );
    assert_eq!(of(&traces, "d").len(), 1);
    assert_eq!(witness.stale(), []);
    check(&cluster, Some(&witness));
}

fn process_1a04_a_short_freeze_is_no_failover(store: Store) {
    let (cluster, witness) = (store.cluster("+9s"), Witness::new());
    let first = cluster.start("first");
    let _second = cluster.start("second");
    let tasks =
        shell_task("a", &witness.around("sleep 1")) + &shell_task("b", &witness.around("true"));
    let run = cluster.submit("short", &tasks, 1).remove(0);
    wait_for_traces(&witness, "a", 1);
    first.stop();
    let frozen = Instant::now();
    wait_until("a moment has passed", PATIENCE, || {
        frozen.elapsed() > Duration::from_secs(2)
    });
    first.cont();
    cluster.wait_for_state(&run, "completed");
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    assert!(witness.duplicates().is_empty(), "{:?}", witness.traces());
    check(&cluster, Some(&witness));
}

fn process_1a16_children_die_at_the_deadline_while_their_engine_is_still_frozen(store: Store) {
    let (cluster, witness) = (store.cluster("+3s"), Witness::new());
    let engine = cluster.start("one");
    let task = "[ -e group ] && exit 0; setsid sh -c 'echo $$ > session; exec sleep 300' & \
                echo $$ > group;";
    let task = format!("{task} {}; {}", witness.command(), witness.for_ever());
    let run = cluster
        .submit("frozen", &shell_task("work", &task), 1)
        .remove(0);
    let pids = ["session", "group"].map(|name| written(&cluster.directory().join(name)));
    let beaten = || {
        cluster.members()[0]["heartbeat_age_s"]
            .as_f64()
            .unwrap_or(9.0)
    };
    wait_until("heartbeats renew the deadline", PATIENCE, || beaten() < 0.5);
    engine.stop();
    let frozen = Instant::now();
    wait_until("the children are dead", PATIENCE, || {
        !pids.iter().any(|pid| alive(pid))
    });
    eprintln!(
        "the children were dead {:?} after the freeze",
        frozen.elapsed()
    );
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.id())).unwrap();
    assert!(stat.contains(") T"), "the engine is still frozen: {stat}");
    engine.cont();
    // Their death was no fault of the action: it runs again.
    cluster.wait_for_state(&run, "completed");
    check(&cluster, Some(&witness));
}

#[test]
fn process_1a16_heartbeats_keep_children_alive_past_many_windows() {
    let (cluster, witness) = (cluster("+1s"), Witness::new());
    let _engine = cluster.start("one");
    let task = witness.around("sleep 4");
    let run = cluster
        .submit("long", &shell_task("long", &task), 1)
        .remove(0);
    cluster.wait_for_state(&run, "completed");
    let epochs: Vec<_> = witness.marks().iter().map(|mark| mark.epoch).collect();
    // A starved machine may lose a heartbeat and run it again; the last attempt was whole.
    assert_eq!(
        epochs[epochs.len() - 2..][0],
        epochs[epochs.len() - 1],
        "{epochs:?}"
    );
    check(&cluster, Some(&witness));
}
