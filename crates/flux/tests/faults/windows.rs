//! Failover time windows: different ones, and absurd ones.

use crate::{
    PATIENCE, Store, check, check_by, cluster, of, on_both_stores, stuck_once, wait_for_traces,
};
use flux_testkit::history::Rules;
use flux_testkit::{Witness, shell_task, wait_until};
use std::time::{Duration, Instant};

on_both_stores!(
    process_1b29_each_engine_is_judged_by_its_own_window,
    process_1b30_ten_years_are_no_failover,
);

fn process_1b29_each_engine_is_judged_by_its_own_window(store: Store) {
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let mut quick = cluster.start("quick");
    let task = shell_task("b", &stuck_once(&witness, &cluster));
    let run = cluster.submit("windows", &task, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    // Beats every 4 s, twice as long as the window of the other.
    let slow = cluster
        .engine("slow")
        .env("FLUX_FAILOVER_TIME_WINDOW", "+12s")
        .spawn();
    slow.wait_for_line("ready", PATIENCE);
    let start = Instant::now();
    wait_until("three windows have passed", PATIENCE, || {
        start.elapsed() > Duration::from_secs(6)
    });
    assert_eq!(
        cluster.failovers(),
        [] as [serde_json::Value; 0],
        "no premature failover"
    );
    quick.kill9();
    cluster.wait_for_state(&run, "completed");
    assert_eq!(cluster.failovers()[0]["engine"], "quick");
    check(&cluster, Some(&witness));
}

#[test]
fn process_1b30_absurd_windows_are_refused_with_a_reason() {
    let cluster = cluster("+2s");
    for window in ["0", "+0s", "-5s", "soon", ""] {
        let mut engine = cluster
            .engine("x")
            .env("FLUX_FAILOVER_TIME_WINDOW", window)
            .spawn();
        assert_eq!(engine.wait(PATIENCE).code(), Some(78), "{window}");
        let text = engine.stderr().join("\n");
        assert!(text.contains("FAILOVER_TIME_WINDOW"), "{window}: {text}");
    }
}

fn process_1b30_ten_years_are_no_failover(store: Store) {
    let (cluster, witness) = (store.cluster("+10y"), Witness::new());
    let mut engine = cluster.start("one");
    let task = shell_task("b", &stuck_once(&witness, &cluster));
    let run = cluster.submit("never", &task, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    engine.kill9();
    let _second = cluster.start("two");
    let others = cluster.submit("others", &shell_task("x", "sleep 1"), 3);
    for other in others {
        cluster.wait_for_state(&other, "completed");
    }
    assert_eq!(cluster.show(&run)["state"], "running");
    assert_eq!(of(&witness.traces(), "b").len(), 1);
    check_by(&cluster, Some(&witness), &Rules::unfinished(&[run]));
}
