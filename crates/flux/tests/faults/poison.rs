//! Runs that take their engine down, and actions that only fail.

use crate::{PATIENCE, Store, check, cluster, on_both_stores};
use flux_testkit::{shell_task, wait_until};

on_both_stores!(process_1a09_a_run_that_kills_its_engines_is_stopped_and_others_are_not_touched,);

/// Kills the engine that started it, however many supervisors are in between.
const KILL_MY_ENGINE: &str = "p=$PPID; while ! tr '\\0' ' ' < /proc/$p/cmdline | grep -q ' start '; \
     do p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; kill -9 $p; sleep 300";

fn process_1a09_a_run_that_kills_its_engines_is_stopped_and_others_are_not_touched(store: Store) {
    let cluster = store.cluster("+1s");
    let poison = cluster
        .submit("poison", &shell_task("kill", KILL_MY_ENGINE), 1)
        .remove(0);
    let good = shell_task("one", "sleep 0.2") + &shell_task("two", "sleep 0.2");
    let others = cluster.submit("good", &good, 3);
    let mut engine = cluster.engine("one").env("FLUX_POISON_LIMIT", "3").spawn();
    let mut deaths = 0;
    wait_until("the poison is stopped", PATIENCE * 2, || {
        if !engine.runs() {
            deaths += 1;
            engine.restart();
        }
        cluster.show(&poison)["state"] == "faulted"
    });
    assert_eq!(deaths, 3, "as many engines as the limit says");
    let fault = cluster.show(&poison)["fault"].to_string();
    assert!(
        fault.contains("lost its engine 3 times in a row"),
        "{fault}"
    );
    for run in others {
        cluster.wait_for_state(&run, "completed");
    }
    assert!(engine.runs());
    check(&cluster, None);
}

#[test]
fn process_1a08_failing_actions_fail_their_run_alone() {
    let cluster = cluster("+1H");
    let mut engine = cluster.start("one");
    let mut failing = Vec::new();
    for (name, task) in [
        (
            "missing",
            "  - x: { call: 'process:1@default', with: { command: [flux-no-such-program] } }\n",
        ),
        (
            "refused",
            "  - x: { call: http, with: { method: get, endpoint: 'http://127.0.0.1:1/' } }\n",
        ),
        (
            "crash",
            "  - x: { run: { shell: { command: 'kill -SEGV $$' } } }\n",
        ),
        (
            "language",
            "  - x: { run: { script: { language: python, code: 'raise SystemExit(7)' } } }\n",
        ),
    ] {
        failing.extend(cluster.submit(name, task, 1));
    }
    let good = cluster.submit("good", &shell_task("x", "true"), 1);
    for run in &failing {
        cluster.wait_for_state(run, "faulted");
        assert!(cluster.show(run)["fault"]["detail"].is_string());
    }
    cluster.wait_for_state(&good[0], "completed");
    assert!(engine.runs());
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    check(&cluster, None);
}
