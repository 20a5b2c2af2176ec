//! The database answers late or not at all, or others hold its locks.

use super::{World, none_stepped_down, pass, wait_for_return, windows};
use crate::PATIENCE;
use flux_testkit::wait_until;
use std::time::Duration;

/// Locks a table from another session for so long, and returns when it is locked.
#[track_caller]
fn lock<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    world: &'s World,
    table: &'s str,
    time: Duration,
) {
    let seconds = time.as_secs_f64();
    scope.spawn(move || {
        world.database.psql(&format!(
            "begin; lock table flux.{table} in access exclusive mode; \
             select pg_sleep({seconds}); commit"
        ))
    });
    let locked = format!(
        "select count(*) from pg_locks where relation = 'flux.{table}'::regclass \
         and mode = 'AccessExclusiveLock' and granted"
    );
    wait_until("the table is locked", PATIENCE, || {
        world.database.psql(&locked) == ["1"]
    });
}

/// The writer is stuck for longer than the window, and the heartbeat goes on.
#[test]
fn process_1c38_locked_branches_delay_work_and_nothing_else() {
    let Some(world) = World::new("+4s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    world.busy(6, 6, 0.3);
    std::thread::scope(|scope| {
        lock(scope, &world, "branch", Duration::from_secs(6));
    });
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
}

#[test]
fn process_1c38_locked_members_end_the_trust_and_convict_nobody() {
    let Some(world) = World::new("+3s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    let (_, _pid) = world.stuck();
    world.busy(4, 6, 0.3);
    std::thread::scope(|scope| {
        lock(scope, &world, "member", Duration::from_millis(4_500));
    });
    wait_for_return(&engines);
    world.ends_well().nobody_was_convicted();
}

/// A run's row, its branches' row: what one transaction needs, held for a while by somebody else.
#[test]
fn process_1c38_a_locked_run_delays_itself_and_the_others_end() {
    let Some(world) = World::new("+6s") else {
        return;
    };
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    let ids = world.busy(6, 4, 0.3);
    let (held, others) = ids.split_first().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            world.database.psql(&format!(
                "begin; select 1 from flux.run where id = '{held}' for update; \
                 select pg_sleep(12); commit"
            ))
        });
        let list = others.join("','");
        let ended = format!("select count(*) from flux.run where state <> 0 and id in ('{list}')");
        wait_until("the others have ended meanwhile", PATIENCE, || {
            world.database.psql(&ended) == ["5"]
        });
    });
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
}

fn frozen(window_s: u64, length: f64) -> Option<(World, [flux_testkit::Flux; 2])> {
    let world = World::new(&format!("+{window_s}s"))?;
    let engines = [world.cluster.start("one"), world.cluster.start("two")];
    if length > 1.0 {
        world.stuck();
    }
    world.busy(4, 8, 0.4);
    world.server.freeze();
    pass(windows(length, Duration::from_secs(window_s)));
    world.server.thaw();
    Some((world, engines))
}

#[test]
fn process_1c38_a_server_frozen_for_0_3_windows_is_not_noticed() {
    let Some((world, engines)) = frozen(9, 0.3) else {
        return;
    };
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&engines);
}

#[test]
fn process_1c38_a_server_frozen_for_1_5_windows_convicts_nobody() {
    let Some((world, engines)) = frozen(3, 1.5) else {
        return;
    };
    wait_for_return(&engines);
    world.ends_well().nobody_was_convicted();
}

/// An engine that is frozen in the middle of a transaction: the server frees what it holds, so that
/// the others can take over.
#[test]
fn process_1a05_a_frozen_engine_holds_no_lock_for_long() {
    let Some(world) = World::new("+6s") else {
        return;
    };
    let frozen = world.cluster.start("frozen");
    let tasks: String = (0..40)
        .map(|n| flux_testkit::shell_task(&format!("s{n}"), &world.witness.command()))
        .collect();
    world.cluster.submit("quick", &tasks, 12);
    wait_until("it owns them", PATIENCE, || {
        world.witness.traces().len() > 24
    });
    // A trigger that is slow makes it likely to be frozen within a transaction.
    world.database.psql(
        "create function flux.slow() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(0.05); return new; end $$; \
         create trigger slow before update on flux.branch for each row execute function flux.slow()",
    );
    let inside = "select count(*) from pg_stat_activity where application_name = 'flux frozen' \
                  and xact_start is not null and state <> 'idle'";
    wait_until("it is in a transaction", PATIENCE, || {
        world.database.psql(inside) != ["0"]
    });
    frozen.stop();
    world.database.psql("drop trigger slow on flux.branch");
    let _other = world.cluster.start("other");
    let truth = world.ends_well();
    assert_eq!(truth.convicted.len(), 1, "{:?}", truth.convicted);
    frozen.cont();
    frozen.wait_for_line("joined the cluster again", PATIENCE);
}
