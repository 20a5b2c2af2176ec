//! The calendar of the database's machine is wrong, and steps.

use super::{World, none_stepped_down, pass};
use flux_testkit::postgres::{Server, faketime_installed};
use std::time::Duration;

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
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
    // Nor is a failover any later.
    let (_, _pid) = world.stuck();
    let owner = world
        .database
        .psql("select name from flux.member join flux.branch on owner = incarnation");
    let index = usize::from(owner == ["two"]);
    engines[index].kill9();
    let truth = world.ends_well();
    assert_eq!(truth.convicted.len(), 1, "{:?}", truth.convicted);
}
