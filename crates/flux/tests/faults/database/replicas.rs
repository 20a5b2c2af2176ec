//! A standby becomes the primary.

use super::{World, none_stepped_down, pass, said, windows};
use crate::PATIENCE;
use flux_testkit::history::Rules;
use flux_testkit::postgres::{Endpoint, Mode, Replication, Standby};
use flux_testkit::proxy::Proxy;
use flux_testkit::{Cluster, shell_task, wait_until};
use std::time::{Duration, Instant};

/// A world whose clients know the primary and a standby.
struct Pair {
    world: World,
    standby: Standby,
    /// The same database on the standby.
    copy: Endpoint,
}

fn pair(window: &str, replication: Replication) -> Option<Pair> {
    let mut world = World::new(window)?;
    let standby = world.server.standby(replication);
    let copy = Endpoint::new(standby.url_of(world.database.name()));
    let url = both(world.database.url(), standby.port());
    world.cluster = crate::cluster(window).on(&url);
    Some(Pair {
        world,
        standby,
        copy,
    })
}

/// A URL that names a second server, too.
fn both(url: &str, port: u16) -> String {
    let path = url.rfind('/').unwrap();
    format!("{},127.0.0.1:{port}{}", &url[..path], &url[path..])
}

/// The copy may lack what was committed last.
fn without_the_last_commits() -> Rules {
    Rules {
        lost_tail: true,
        ..Rules::default()
    }
}

fn start_two(cluster: &Cluster) -> [flux_testkit::Flux; 2] {
    [cluster.start("one"), cluster.start("two")]
}

#[test]
fn process_1c43_a_synchronous_standby_has_everything_that_was_answered() {
    const WINDOW: Duration = Duration::from_secs(18);
    let Some(Pair {
        world,
        standby,
        copy,
    }) = pair("+18s", Replication::Synchronous)
    else {
        return;
    };
    let engines = start_two(&world.cluster);
    world.busy(6, 14, 0.5);
    let late = world
        .cluster
        .submit("late", &shell_task("x", &world.witness.command()), 3);
    let start = Instant::now();
    world.server.stop(Mode::Kill);
    standby.promote();
    assert!(
        start.elapsed() < windows(0.56, WINDOW),
        "too slow a machine"
    );
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    for run in late {
        let found = copy.psql(&format!("select count(*) from flux.run where id = '{run}'"));
        assert_eq!(found, ["1"], "a run that was acknowledged is there");
    }
    none_stepped_down(&engines);
}

/// The standby lacks the last commits: the state goes back to an older break, and is one history.
#[test]
fn process_1c44_an_asynchronous_standby_that_lost_the_last_commits_has_one_history() {
    let Some(Pair {
        world,
        standby,
        copy,
    }) = pair("+6s", Replication::Asynchronous)
    else {
        return;
    };
    let engines = start_two(&world.cluster);
    world.busy(6, 16, 0.4);
    standby.cut_replication();
    let before = world.witness.traces().len();
    wait_until("commits are made that will be lost", PATIENCE, || {
        world.witness.traces().len() > before + 12
    });
    let lost = world
        .cluster
        .submit("lost", &shell_task("x", &world.witness.command()), 2);
    world.server.stop(Mode::Kill);
    standby.promote();
    world
        .ends_well_by(&without_the_last_commits())
        .nobody_was_convicted();
    for run in lost {
        let found = copy.psql(&format!("select count(*) from flux.run where id = '{run}'"));
        assert_eq!(found, ["0"], "its replication was cut");
    }
    let failed_over = |engine| said(engine, "has failed over to") > 0;
    assert!(engines.iter().all(failed_over), "they say so");
}

/// A takeover that the standby has never heard of.
#[test]
fn process_1c44_a_lost_takeover_lets_one_owner_commit() {
    let Some(Pair {
        world,
        standby,
        copy,
    }) = pair("+6s", Replication::Asynchronous)
    else {
        return;
    };
    let mut first = world.cluster.start("first");
    world.busy(4, 14, 0.5);
    standby.cut_replication();
    first.kill9();
    let _second = world.cluster.start("second");
    let before = world.witness.traces().len();
    wait_until("it is taken over, on the old primary", PATIENCE, || {
        world.witness.traces().len() > before + 4
    });
    let taken = "select count(*) from flux.takeover";
    assert_ne!(world.database.psql(taken), ["0"]);
    world.server.stop(Mode::Kill);
    standby.promote();
    let _third = world.cluster.start("third");
    let truth = world.ends_well_by(&without_the_last_commits());
    assert!(
        !truth.convicted.is_empty(),
        "the first one is convicted again"
    );
    let owners = copy.psql("select count(*) from flux.history where engine = ''");
    assert_eq!(owners, ["0"], "each commit has an engine");
}

/// The old primary still runs and takes writes; engines that have seen the new one refuse it.
#[test]
fn process_1c45_the_old_primary_is_refused_and_does_not_hide_the_new_one() {
    let Some(mut world) = World::new("+9s") else {
        return;
    };
    let standby = world.server.standby(Replication::Asynchronous);
    let copy = Endpoint::new(standby.url_of(world.database.name()));
    let proxy = Proxy::postgres(world.database.url());
    let url = both(&proxy.url(world.database.url()), standby.port());
    let engines = ["one", "two"].map(|name| {
        let engine = world.cluster.engine_by(&url, name).spawn();
        engine.wait_for_line("ready", PATIENCE);
        engine
    });
    world.busy(4, 20, 0.5);
    wait_until("the standby has them all", PATIENCE, || {
        copy.try_psql("select count(*) from flux.branch where state = 1") == Ok(vec!["4".into()])
    });
    proxy.refuse();
    proxy.close_all();
    standby.promote();
    wait_until("the engines have found it", PATIENCE, || {
        engines.iter().all(|e| said(e, "has failed over to") > 0)
    });
    let count = "select count(*) from flux.history";
    let old = world.database.psql(count);
    // The old one is within reach again, and first in the list.
    proxy.pass();
    for _ in 0..3 {
        standby.kill_backends("application_name like 'flux %'");
        pass(Duration::from_millis(700));
    }
    world.cluster.move_to(copy.url());
    world
        .ends_well_by(&without_the_last_commits())
        .nobody_was_convicted();
    assert_eq!(world.database.psql(count), old, "no write to the old one");
    none_stepped_down(&engines);
}
