//! The database is restarted, or away for a while, for all engines alike.

use super::{World, none_stepped_down, pass, said, wait_for_return, windows};
use crate::PATIENCE;
use flux_testkit::alive;
use flux_testkit::postgres::Mode;
use flux_testkit::proxy::Proxy;
use std::time::{Duration, Instant};

/// An outage that all engines outlive: shorter than W - g - H.
fn unnoticed(outage: impl Fn(&World)) {
    const WINDOW: Duration = Duration::from_secs(9);
    let Some(world) = World::new("+9s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    world.busy(6, 8, 0.5);
    let start = Instant::now();
    outage(&world);
    let length = start.elapsed();
    assert!(
        length < windows(0.56, WINDOW),
        "this machine is too slow for the test: {length:?}"
    );
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
}

#[test]
fn process_1c32_a_fast_restart_is_not_noticed() {
    unnoticed(|world| world.server.restart(Mode::Fast));
}

#[test]
fn process_1c32_an_immediate_restart_is_not_noticed() {
    unnoticed(|world| world.server.restart(Mode::Immediate));
}

#[test]
fn process_1c33_away_for_0_3_windows_is_not_noticed() {
    unnoticed(|world| {
        world.server.stop(Mode::Fast);
        pass(Duration::from_millis(2_700));
        world.server.start_again();
    });
}

/// An outage that ends the trust of the engines: they give up what they ran, nobody is convicted
/// because of it, and all recover alone.
fn survived(window_s: u64, length: f64, mode: Mode) {
    let Some(world) = World::new(&format!("+{window_s}s")) else {
        return;
    };
    let window = Duration::from_secs(window_s);
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    // Only an outage longer than the window ends what would go on for ever.
    let stuck = (length > 1.0).then(|| world.stuck());
    world.busy(4, 6, 0.3);
    world.server.stop(mode);
    pass(windows(length, window));
    if let Some((_, pid)) = &stuck {
        assert!(!alive(pid), "its engine killed it at the deadline");
    }
    world.server.start_again();
    if stuck.is_some() {
        wait_for_return(&engines);
    }
    world.ends_well().nobody_was_convicted();
}

#[test]
fn process_1c33_away_for_0_9_windows_convicts_nobody() {
    survived(3, 0.9, Mode::Fast);
}

#[test]
fn process_1c33_away_for_1_5_windows_convicts_nobody() {
    survived(3, 1.5, Mode::Immediate);
}

#[test]
fn process_1c33_away_for_10_windows_convicts_nobody() {
    survived(2, 10.0, Mode::Kill);
}

#[test]
fn process_1c33_an_engine_without_its_database_asks_at_a_bearable_pace() {
    let Some(world) = World::new("+3s") else {
        return;
    };
    let proxy = Proxy::postgres(world.database.url());
    let engine = world
        .cluster
        .engine_by(&proxy.url(world.database.url()), "one")
        .spawn();
    engine.wait_for_line("ready", PATIENCE);
    world.busy(2, 8, 0.5);
    proxy.refuse();
    proxy.close_all();
    engine.wait_for_line("steps down", PATIENCE);
    let before = proxy.counts().refused;
    pass(Duration::from_secs(6));
    let asked = proxy.counts().refused - before;
    eprintln!("asked {asked} times in 6 s");
    // Each of its few connections pauses for up to a sixth of the window: 0.5 s, on average half.
    assert!(asked < 100, "asked {asked} times in 6 s");
    assert!(asked > 0, "it does go on asking");
    proxy.pass();
    world.ends_well().nobody_was_convicted();
    assert_eq!(said(&engine, "panicked"), 0);
}

#[test]
fn process_1c33_an_engine_may_start_before_its_database() {
    let Some(world) = World::new("+3s") else {
        return;
    };
    world.server.stop(Mode::Fast);
    let mut engine = world.cluster.engine("early").spawn();
    engine.wait_for_line("not there yet", PATIENCE);
    let mut client = world.cluster.client(&["list"]);
    assert_eq!(client.wait(PATIENCE).code(), Some(69), "clients are told");
    world.server.start_again();
    engine.wait_for_line("ready", PATIENCE);
    assert!(engine.runs());
    world.busy(2, 2, 0.1);
    world.ends_well().nobody_was_convicted().nothing_ran_again();
}

/// Migrating, joining and the first claims, each cut by a restart at some moment.
#[test]
fn process_1c32_an_engine_that_starts_while_the_database_restarts_gets_there() {
    let Some(world) = World::new("+3s") else {
        return;
    };
    for moment_ms in [0, 40, 80, 120, 160, 240] {
        let database = world.server.create_database();
        let mut engine = world.cluster.engine_by(database.url(), "unlucky").spawn();
        pass(Duration::from_millis(moment_ms));
        world.server.restart(Mode::Immediate);
        engine.wait_for_line("ready", PATIENCE);
        assert!(engine.runs());
    }
}
