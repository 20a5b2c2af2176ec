//! Wrong calendar clocks, for single processes, by libfaketime.

use crate::{PATIENCE, Store, check_by, of, on_both_stores, stuck_once, wait_for_traces};
use flux_testkit::history::Rules;
use flux_testkit::{Cluster, FluxBuilder, Witness, shell_task, wait_until};
use std::path::PathBuf;
use std::time::{Duration, Instant};

on_both_stores!(
    process_1b23_clocks_an_hour_wrong_cause_no_failover_and_delay_none,
    process_1b24_a_clock_that_steps_while_it_runs_fires_nothing_twice,
);

/// The library, wherever this system keeps it; says so when it is absent.
pub fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let mut paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = paths.find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: libfaketime is not installed (apt-get install libfaketime)");
    }
    found
}

/// An engine whose calendar is read from a file, such as `+3600`.
pub fn engine(cluster: &Cluster, name: &str, library: &PathBuf, offset: &str) -> FluxBuilder {
    let file = cluster.directory().join(format!("{name}.clock"));
    std::fs::write(&file, offset).unwrap();
    cluster
        .engine(name)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

fn pass(time: Duration) {
    let start = Instant::now();
    wait_until("time has passed", PATIENCE, || start.elapsed() > time);
}

fn process_1b23_clocks_an_hour_wrong_cause_no_failover_and_delay_none(store: Store) {
    let Some(library) = library() else { return };
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let mut behind = engine(&cluster, "behind", &library, "-3600").spawn();
    behind.wait_for_line("ready", PATIENCE);
    let task = shell_task("b", &stuck_once(&witness, &cluster)) + &shell_task("c", "true");
    // Ready an hour from now by the calendar of the engine that is behind: it takes it at once.
    let run = cluster.submit("skewed", &task, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    let _ahead = engine(&cluster, "ahead", &library, "+3600").spawn();
    pass(Duration::from_secs(5));
    assert_eq!(
        cluster.failovers(),
        [] as [serde_json::Value; 0],
        "no premature failover"
    );
    let ages: Vec<_> = cluster
        .members()
        .iter()
        .map(|m| m["started_at"].clone())
        .collect();
    assert_ne!(
        ages[0].to_string()[..15],
        ages[1].to_string()[..15],
        "the clocks are wrong: {ages:?}"
    );
    behind.kill9();
    wait_until("it is convicted in time", PATIENCE, || {
        !cluster.failovers().is_empty()
    });
    cluster.wait_for_state(&run, "completed");
    let rules = Rules {
        wrong_clocks: true,
        ..Rules::default()
    };
    check_by(&cluster, Some(&witness), &rules);
}

fn process_1b24_a_clock_that_steps_while_it_runs_fires_nothing_twice(store: Store) {
    let Some(library) = library() else { return };
    let (cluster, witness) = (store.cluster("+2s"), Witness::new());
    let stepping = engine(&cluster, "stepping", &library, "+0").spawn();
    stepping.wait_for_line("ready", PATIENCE);
    let tasks: String = (0..12)
        .map(|n| shell_task(&format!("t{n}"), &witness.around("sleep 0.4")))
        .collect();
    let run = cluster.submit("stepping", &tasks, 1).remove(0);
    let clock = cluster.directory().join("stepping.clock");
    for (task, offset) in [("t1", "-3600"), ("t4", "+3600"), ("t7", "+0")] {
        wait_for_traces(&witness, task, 1);
        std::fs::write(&clock, offset).unwrap();
    }
    cluster.wait_for_state(&run, "completed");
    let traces = witness.traces();
    for n in 0..12 {
        assert_eq!(of(&traces, &format!("t{n}")).len(), 1, "t{n}");
    }
    assert_eq!(cluster.failovers(), [] as [serde_json::Value; 0]);
    let rules = Rules {
        wrong_clocks: true,
        ..Rules::default()
    };
    check_by(&cluster, Some(&witness), &rules);
}
