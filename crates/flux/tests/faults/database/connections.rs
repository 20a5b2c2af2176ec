//! Too few connections.

use super::{World, none_stepped_down, pass};
use crate::PATIENCE;
use flux_testkit::postgres::Server;
use flux_testkit::{shell_task, wait_until};
use std::time::Duration;

/// However many branches an engine works on, it needs a handful of connections.
#[test]
fn process_1c39_a_hundred_branches_share_a_handful_of_connections() {
    let Some(world) = World::new("+6s") else {
        return;
    };
    let engine = world
        .cluster
        .engine("one")
        .env("FLUX_CONCURRENCY_LEVEL", "100")
        .spawn();
    engine.wait_for_line("ready", PATIENCE);
    let wait = |name: &str| format!("  - {name}: {{ wait: {{ milliseconds: 300 }} }}\n");
    let steps = [
        shell_task("a", &world.witness.command()),
        wait("w1"),
        "  - x: { set: { x: 1 } }\n".to_owned(),
        wait("w2"),
    ];
    world.cluster.submit("many", &steps.concat(), 100);
    let count = "select count(*) from pg_stat_activity where application_name like 'flux one%'";
    let mut most = 0;
    wait_until("all have begun", PATIENCE, || {
        most = most.max(world.database.psql(count).concat().parse().unwrap());
        world.witness.traces().len() >= 100
    });
    assert!(most <= 6, "{most} connections");
    world.ends_well().nobody_was_convicted();
    none_stepped_down(&[engine]);
}

/// Others take every connection that is left: who has one goes on, who has none waits.
#[test]
fn process_1c40_all_connections_taken_by_others() {
    let builder = Server::builder()
        .setting("max_connections", "16")
        .setting("superuser_reserved_connections", "0")
        // Otherwise it notices that a client is gone only when the statement has ended.
        .setting("client_connection_check_interval", "500ms");
    let Some(world) = World::on("+6s", builder) else {
        return;
    };
    let first = world.cluster.start("first");
    world.busy(3, 24, 0.4);
    let url = world.database.url();
    let hold = || {
        std::process::Command::new("psql")
            .args(["-X", "-q", "-c", "select pg_sleep(600)", "-d", url])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut greedy: Vec<_> = (0..16).map(|_| hold()).collect();
    wait_until("no connection is left", PATIENCE, || {
        world.database.try_psql("select 1").is_err()
    });
    let second = world.cluster.engine("second").spawn();
    second.wait_for_line("not there yet", PATIENCE);
    pass(Duration::from_secs(7));
    assert_eq!(super::said(&first, "steps down"), 0, "it keeps its own");
    for process in &mut greedy {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    wait_until("connections are free", PATIENCE, || {
        world.database.try_psql("select 1").is_ok()
    });
    second.wait_for_line("ready", PATIENCE);
    world.ends_well().nobody_was_convicted().nothing_ran_again();
    none_stepped_down(&[first, second]);
}
