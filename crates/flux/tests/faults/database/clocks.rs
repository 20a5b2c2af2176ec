//! The calendar of the database's machine is wrong, and steps.

use super::{World, none_stepped_down, pass};
use crate::{PATIENCE, clocks, of};
use flux_testkit::history::{Nanos, Rules};
use flux_testkit::postgres::{Server, faketime_installed};
use flux_testkit::{FluxBuilder, shell_task};
use std::collections::BTreeMap;
use std::time::Duration;

fn by_wrong_clocks() -> Rules {
    Rules {
        wrong_clocks: true,
        ..Rules::default()
    }
}

/// What an engine that is an hour ahead makes wait for three seconds waits for three seconds, not for
/// an hour more or less: on SQLite the engine's clock and the database's are one.
#[test]
fn process_1b23_an_engine_an_hour_ahead_goes_by_the_clocks_of_the_others() {
    let (Some(library), Some(world)) = (clocks::library(), World::new("+4s")) else {
        return;
    };
    let few_at_a_time = |engine: FluxBuilder| engine.env("FLUX_CONCURRENCY_LEVEL", "6").spawn();
    let _right = few_at_a_time(world.cluster.engine("right"));
    let ahead = clocks::engine(&world.cluster, "ahead", &library, "+3600");
    let ahead = few_at_a_time(ahead);
    ahead.wait_for_line("it goes by theirs", PATIENCE);
    let trace = |name: &str| shell_task(name, &world.witness.command());
    let wait = "  - pause: { wait: { seconds: 3 } }\n";
    let tasks = trace("before") + wait + &trace("after");
    world.cluster.submit("timer", &tasks, 24);
    let truth = world
        .ends_well_by(&by_wrong_clocks())
        .nobody_was_convicted();
    let engines = "select count(distinct engine) from flux.history where node like '%pause%'";
    assert_eq!(world.database.psql(engines), ["2"], "both set timers");
    let times = |task| -> BTreeMap<String, Nanos> {
        let traces = of(&truth.traces, task).into_iter();
        let branch = |key: &str| key.split('/').next().unwrap().to_owned();
        traces.map(|trace| (branch(&trace.key), trace.at)).collect()
    };
    let (before, after) = (times("before"), times("after"));
    assert_eq!(before.len(), 24);
    for (branch, began) in before {
        let waited = Duration::from_nanos(after[&branch] - began);
        // The witness writes hundredths of a second.
        assert!(
            waited >= Duration::from_millis(2_980),
            "{branch}: {waited:?}"
        );
    }
}

#[test]
fn process_1b25_a_database_clock_that_steps_fires_nothing_twice_and_fails_nothing_over() {
    if !faketime_installed() {
        eprintln!("SKIPPED: libfaketime is not installed (apt-get install libfaketime)");
        return;
    }
    let Some(world) = World::on("+4s", Server::builder().faketime()) else {
        return;
    };
    let mut engines = vec![world.cluster.start("one"), world.cluster.start("two")];
    world.busy(4, 16, 0.5);
    for offset in ["+3600", "-3600", "+0"] {
        world.server.set_clock(offset);
        pass(Duration::from_secs(2));
    }
    world.server.set_clock("-3600");
    let rules = by_wrong_clocks();
    world
        .ends_well_by(&rules)
        .nobody_was_convicted()
        .nothing_ran_again();
    none_stepped_down(&engines);
    // Nor is a failover any later.
    let (_, _pid) = world.stuck();
    let owner = world
        .database
        .psql("select name from flux.member join flux.branch on owner = incarnation");
    let index = usize::from(owner == ["two"]);
    engines[index].kill9();
    let truth = world.ends_well_by(&rules);
    assert_eq!(truth.convicted.len(), 1, "{:?}", truth.convicted);
}
