//! How many engines there may be.

use crate::{PATIENCE, Store, check, on_both_stores};
use flux_testkit::{shell_task, wait_until};

on_both_stores!(
    process_1b31_the_engine_too_many_is_refused_and_a_higher_limit_lets_it_in,
    process_1b31_places_of_dead_engines_do_not_shut_the_living_out,
);

fn process_1b31_the_engine_too_many_is_refused_and_a_higher_limit_lets_it_in(store: Store) {
    let cluster = store.cluster("+3s");
    let engine = |limit: &str| {
        cluster
            .engine("x")
            .env("FLUX_MAX_CLUSTER_SIZE", limit)
            .spawn()
    };
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(engine("3"));
        members.last().unwrap().wait_for_line("ready", PATIENCE);
    }
    let mut refused = engine("3");
    assert_eq!(refused.wait(PATIENCE).code(), Some(75));
    let text = refused.stderr().join("\n");
    assert!(
        text.contains("has 3 engines") && text.contains("MAX_CLUSTER_SIZE"),
        "{text}"
    );
    engine("4").wait_for_line("ready", PATIENCE);
    wait_until("one has gone", PATIENCE, || cluster.members().len() <= 4);
    for run in cluster.submit("work", &shell_task("x", "true"), 5) {
        cluster.wait_for_state(&run, "completed");
    }
    check(&cluster, None);
}

fn process_1b31_places_of_dead_engines_do_not_shut_the_living_out(store: Store) {
    let cluster = store.cluster("+1s");
    let mut engine = cluster
        .engine("only")
        .env("FLUX_MAX_CLUSTER_SIZE", "1")
        .spawn();
    engine.wait_for_line("ready", PATIENCE);
    let run = cluster
        .submit("left", &shell_task("x", "sleep 0.5"), 1)
        .remove(0);
    engine.restart();
    engine.wait_for_line("ready", PATIENCE);
    cluster.wait_for_state(&run, "completed");
    // The same again, and asked to stop while it still watches.
    engine.restart();
    engine.terminate();
    engine.wait(PATIENCE);
    check(&cluster, None);
}
