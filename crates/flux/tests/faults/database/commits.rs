//! Commits whose outcome the engine is not told.

use super::{World, none_stepped_down, pass};
use crate::PATIENCE;
use flux_testkit::history::now;
use flux_testkit::proxy::{Commits, Cut, Proxy};
use flux_testkit::{Flux, shell_task, wait_until};
use std::time::Duration;

/// An engine behind a proxy that loses COMMITs.
fn behind(world: &World) -> (Proxy, Flux) {
    let proxy = Proxy::postgres(world.database.url());
    let engine = world
        .cluster
        .engine_by(&proxy.url(world.database.url()), "unsure")
        .spawn();
    engine.wait_for_line("ready", PATIENCE);
    (proxy, engine)
}

/// Every commit is cut there for a while; then some are, at random.
fn cut(cut: Cut, seed: u64) {
    let Some(world) = World::new("+12s") else {
        return;
    };
    let (proxy, engine) = behind(&world);
    world.busy(3, 12, 0.2);
    for probability in [1.0, 0.3] {
        proxy.commits(Commits::Random {
            probability,
            seed,
            cut,
        });
        pass(Duration::from_secs(2));
    }
    proxy.pass();
    let cuts = proxy.counts().commits_cut;
    eprintln!("{cuts} of {} commits were cut", proxy.counts().commits);
    assert!(cuts > 3, "{cuts}");
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&[engine]);
}

#[test]
fn process_1c41_commits_that_never_arrive_are_made_once() {
    cut(Cut::BeforeForwarding, 41);
}

#[test]
fn process_1c41_commits_whose_answer_is_lost_are_made_once() {
    cut(Cut::BeforeAnswer, 42);
}

#[test]
fn process_1c41_commits_that_arrive_behind_a_lost_connection_are_made_once() {
    cut(Cut::AfterForwarding, 43);
}

/// The engine does not know what it owns. Its window is long: its heartbeats are lost, too.
#[test]
fn process_1c41_a_claim_whose_answer_is_lost_is_no_run_that_is_lost() {
    let Some(world) = World::new("+60s") else {
        return;
    };
    let (proxy, engine) = behind(&world);
    // Whoever claims has had a heartbeat answered before.
    let first = world.cluster.submit("first", &shell_task("x", "true"), 1);
    world.cluster.wait_for_state(&first[0], "completed");
    proxy.commits(Commits::Random {
        probability: 1.0,
        seed: 1,
        cut: Cut::BeforeAnswer,
    });
    world
        .cluster
        .submit("claimed", &shell_task("x", &world.witness.command()), 3);
    wait_until("it has claimed them", PATIENCE, || {
        world
            .database
            .psql("select count(*) from flux.branch where epoch > 0")
            == ["3"]
    });
    proxy.pass();
    let truth = world.ends_well().nobody_was_convicted();
    assert_eq!(truth.traces.len(), 3, "each ran once");
    none_stepped_down(&[engine]);
}

/// A claim whose answer was lost may still be at work in the server when its engine leaves.
#[test]
fn process_1c41_an_engine_that_leaves_before_its_claim_has_ended_leaves_no_orphan() {
    let Some(world) = World::new("+12s") else {
        return;
    };
    let mut leaving = world.cluster.start("leaving");
    let listen = "  - wait: { listen: { to: { one: { with: { type: go } } } } }\n";
    let run = world.cluster.submit("orphan", listen, 1).remove(0);
    world.cluster.wait_for_state(&run, "waiting");
    let since = now();
    std::thread::scope(|scope| {
        // As the claim does it; short enough for whoever waits for its lock.
        scope.spawn(|| {
            world.database.psql(
                "begin; select 1 from flux.member for key share; \
                 update flux.branch set state = 1, epoch = epoch + 1, due_at = null, \
                 owner = (select incarnation from flux.member); \
                 select pg_sleep(0.8); commit",
            )
        });
        wait_until("the claim is at work", PATIENCE, || {
            let at_work = "select count(*) from pg_stat_activity where query like '%pg_sleep(0.8)%' \
                           and pid <> pg_backend_pid() and wait_event = 'PgSleep'";
            world.database.psql(at_work) == ["1"]
        });
        leaving.terminate();
        leaving.wait(PATIENCE);
    });
    leaving.disturbed(since);
    let orphans = "select id from flux.branch where owner is not null \
                   and owner not in (select incarnation from flux.member)";
    assert_eq!(world.database.psql(orphans), [] as [String; 0]);
    let _other = world.cluster.start("other");
    world.cluster.wait_for_state(&run, "waiting");
    world.cluster.flux(&["signal", &run, "go"]);
    world.ends_well();
}

/// Many joins at once on several engines: the server may have to break circles of locks, and loses
/// nothing by it.
#[test]
fn process_1c42_concurrent_joins_lose_nothing() {
    let Some(world) = World::new("+9s") else {
        return;
    };
    let engines = ["one", "two", "three"].map(|name| world.cluster.start(name));
    let mut branches = String::new();
    for name in ["a", "b", "c", "d"] {
        branches.push_str(&format!("          - {name}: {{ set: {{ {name}: 1 }} }}\n"));
    }
    let fork = |name: &str| format!("  - {name}:\n      fork:\n        branches:\n{branches}");
    let tasks: String = (0..4).map(|n| fork(&format!("f{n}"))).collect();
    world.cluster.submit("joins", &tasks, 60);
    world.ends_well().nobody_was_convicted();
    let log = world.server.log();
    eprintln!("{} deadlocks", log.matches("deadlock detected").count());
    none_stepped_down(&engines);
}
