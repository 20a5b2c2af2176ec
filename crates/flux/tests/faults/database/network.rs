//! One engine is cut off from the database, the others are not.

use super::{World, pass, windows};
use crate::PATIENCE;
use flux_testkit::proxy::{Direction, Proxy};
use flux_testkit::{Flux, alive, wait_until};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(3);

/// A world with an engine behind a proxy of its own, which runs something that never ends.
struct Alone {
    world: World,
    proxy: Proxy,
    engine: Flux,
    pid: String,
}

fn alone() -> Option<Alone> {
    let world = World::new("+3s")?;
    let proxy = Proxy::postgres(world.database.url());
    let engine = world
        .cluster
        .engine_by(&proxy.url(world.database.url()), "alone")
        .spawn();
    engine.wait_for_line("ready", PATIENCE);
    let (_, pid) = world.stuck();
    Some(Alone {
        world,
        proxy,
        engine,
        pid,
    })
}

/// Cuts it off; another engine takes over what it ran, after its children are dead, and it comes
/// back as another when the way is free again.
fn cut_off(cut: impl Fn(&Proxy)) {
    let Some(alone) = alone() else { return };
    let Alone {
        world,
        proxy,
        engine,
        pid,
    } = alone;
    let _other = world.cluster.start("other");
    cut(&proxy);
    let taken = || crate::of(&world.witness.traces(), "stuck").len() == 2;
    let mut died_first = false;
    wait_until("the other engine has taken over", PATIENCE, || {
        died_first |= !taken() && !alive(&pid);
        taken()
    });
    assert!(died_first, "its child was dead before the other's began");
    engine.wait_for_line("steps down", PATIENCE);
    proxy.pass();
    engine.wait_for_line("joined the cluster again", PATIENCE);
    let truth = world.ends_well();
    assert_eq!(truth.convicted, ["alone"]);
}

#[test]
fn process_1c34_cut_off_from_the_database_another_takes_over() {
    cut_off(|proxy| {
        proxy.refuse();
        proxy.close_all();
    });
}

#[test]
fn process_1c34_cut_off_without_a_word_another_takes_over() {
    cut_off(|proxy| proxy.black_hole(&Direction::BOTH));
}

/// What it says arrives, what it is told does not: heartbeats without an answer prove nothing to it.
#[test]
fn process_1c36_answers_that_are_lost_end_its_trust() {
    let Some(alone) = alone() else { return };
    let Alone {
        world,
        proxy,
        engine,
        pid,
    } = alone;
    let _other = world.cluster.start("other");
    proxy.black_hole(&[Direction::ToClient]);
    engine.wait_for_line("steps down", PATIENCE);
    wait_until("its child is dead", PATIENCE, || !alive(&pid));
    wait_until("the other engine has taken over", PATIENCE, || {
        crate::of(&world.witness.traces(), "stuck").len() == 2
    });
    proxy.pass();
    engine.wait_for_line("joined the cluster again", PATIENCE);
    world.ends_well();
}

#[test]
fn process_1c36_what_it_says_is_lost_and_answers_would_arrive() {
    cut_off(|proxy| proxy.black_hole(&[Direction::ToServer]));
}

/// A connection that neither answers nor breaks, while new ones work: one of its backends is frozen.
#[test]
fn process_1c37_a_half_open_connection_is_given_up_in_time() {
    let Some(world) = World::new("+12s") else {
        return;
    };
    let engine = world.cluster.start("one");
    world.busy(3, 16, 0.5);
    for what in ["= 'flux one members'", "= 'flux one'"] {
        let pids = world.database.psql(&format!(
            "select pid from pg_stat_activity where application_name {what} and state = 'idle' \
             and pid <> pg_backend_pid()"
        ));
        assert!(!pids.is_empty(), "{what}");
        let frozen = std::process::Command::new("kill")
            .arg("-STOP")
            .args(&pids)
            .status();
        assert!(frozen.is_ok_and(|status| status.success()));
        pass(windows(1.0, WINDOW));
    }
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    assert_eq!(super::said(&engine, "steps down"), 0);
}
