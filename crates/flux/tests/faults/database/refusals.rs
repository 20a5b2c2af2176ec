//! A server that answers and takes no writes.

use super::{World, none_stepped_down, pass, wait_for_return};
use std::time::Duration;

const SETTING: &str = "default_transaction_read_only";

#[test]
fn process_1c46_read_only_for_0_3_windows_is_not_noticed() {
    let Some(world) = World::new("+9s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    world.busy(6, 8, 0.4);
    world.server.configure(SETTING, "on");
    pass(Duration::from_millis(2_700));
    world.server.configure(SETTING, "off");
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
}

#[test]
fn process_1c46_read_only_for_1_5_windows_is_an_outage() {
    let Some(world) = World::new("+3s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    world.stuck();
    world.busy(4, 6, 0.3);
    world.server.configure(SETTING, "on");
    for engine in &engines {
        let line = engine.wait_for_line("the heartbeat fails", crate::PATIENCE);
        assert!(line.contains("read"), "it says why: {line}");
        engine.wait_for_line("steps down", crate::PATIENCE);
    }
    world.server.configure(SETTING, "off");
    wait_for_return(&engines);
    world.ends_well().nobody_was_convicted();
}
