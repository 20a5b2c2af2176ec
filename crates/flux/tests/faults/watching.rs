//! What people and programs are told of engines that die, and of settings and clocks that differ.

use crate::{PATIENCE, clocks, cluster, stuck_once, wait_for_traces};
use flux_testkit::postgres::{Mode, Server, available, installed};
use flux_testkit::{Cluster, Flux, Witness, shell_task, wait_until};
use serde_json::{Value, json};

/// A cluster on PostgreSQL; `None` where there is none, which is said.
fn on_postgres(window: &str) -> Option<Cluster> {
    available().then(|| cluster(window).on_shared_server())
}

#[test]
fn process_a_death_is_watched_and_remembered() {
    death(&cluster("+3s"));
}

#[test]
fn process_a_death_is_watched_and_remembered_on_postgres() {
    if let Some(cluster) = on_postgres("+9s") {
        death(&cluster);
    }
}

fn death(cluster: &Cluster) {
    let witness = Witness::new();
    let mut ada = cluster.start("ada");
    let tasks =
        shell_task("a", &witness.command()) + &shell_task("b", &stuck_once(&witness, cluster));
    let run = cluster.submit("watched", &tasks, 1).remove(0);
    wait_for_traces(&witness, "b", 1);
    let mut watch = cluster.client(&["cluster", "watch"]);
    let mut json = cluster.client(&["cluster", "watch", "-o", "json"]);
    watch.wait_for_line("engine ada is alive, runs 1 of", PATIENCE);
    json.wait_for_line(r#""change":"present""#, PATIENCE);
    let why = cluster.json(&["why", &run])["reasons"][0].clone();
    assert_eq!(why["owner"]["engine"], "ada", "{why}");
    let brian = cluster.start("brian");
    watch.wait_for_line("engine brian has joined", PATIENCE);
    ada.kill9();
    watch.wait_for_line("engine ada was declared dead by brian", PATIENCE);
    watch.wait_for_line("failover: 1 branches of engine ada", PATIENCE);
    cluster.wait_for_state(&run, "completed");
    json.wait_for_line(r#""change":"failover""#, PATIENCE);
    for watch in [&mut watch, &mut json] {
        watch.interrupt();
        let status = watch.wait(PATIENCE);
        assert!(status.success(), "{status:?}: {:?}", watch.stderr());
    }
    let dead = change(&json, "dead");
    let by = (&dead["engine"], &dead["by_engine"]);
    assert_eq!(by, (&json!("ada"), &json!("brian")), "{dead}");
    remembered(cluster, &run);
    drop(brian);
}

/// The first change of this kind that a watch told of.
fn change(watch: &Flux, kind: &str) -> Value {
    let changes = watch.stdout().into_iter();
    let mut changes = changes.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    changes.find(|change| change["change"] == kind).unwrap()
}

/// Ada died, and her only branch went on with Brian.
fn remembered(cluster: &Cluster, run: &str) {
    let all = cluster.failovers();
    let [failover] = &all[..] else {
        panic!("{all:?}")
    };
    for field in ["incarnation", "by", "at", "heartbeat_at", "evidence"] {
        assert!(failover[field].is_string(), "{field} of {failover}");
    }
    let names = (&failover["engine"], &failover["by_engine"]);
    assert_eq!(names, (&json!("ada"), &json!("brian")));
    assert!(failover["heartbeat_no"].as_u64() > Some(0), "{failover}");
    assert_eq!(failover["branches"], 1, "{failover}");
    let incarnation = failover["incarnation"].as_str().unwrap();
    for wanted in ["ada", &incarnation[..10]] {
        let detail = cluster.json(&["cluster", "failovers", wanted]);
        let takeovers = &detail["failovers"][0]["takeovers"];
        let takeover = &takeovers[0];
        assert_eq!(takeovers.as_array().map(Vec::len), Some(1), "{detail}");
        assert_eq!(takeover["run"], run);
        assert_eq!(takeover["poisoned"], false);
        assert!(takeover["commit_no"].as_u64() > Some(0), "{takeover}");
        assert!(takeover["node"].is_string() && takeover["branch"].is_string());
        assert_eq!(takeover["resumed"]["state"], "resumed", "{takeover}");
        assert_eq!(takeover["resumed"]["engine"], "brian", "{takeover}");
        assert!(takeover["resumed"]["at"].is_string(), "{takeover}");
    }
    assert_eq!(
        cluster
            .client(&["cluster", "failovers", "eve"])
            .wait(PATIENCE)
            .code(),
        Some(7)
    );
    let history = cluster.flux(&["history", run]);
    assert!(
        history.contains("taken over from engine ada ("),
        "{history}"
    );
    assert!(history.contains("went on on brian at "), "{history}");
}

/// The warning of this kind in the status of a cluster.
fn warning(cluster: &Cluster, kind: &str) -> Option<Value> {
    let status = cluster.json(&["cluster", "status"]);
    let mut warnings = status["warnings"].as_array().unwrap().iter();
    warnings.find(|warning| warning["kind"] == kind).cloned()
}

#[test]
fn process_windows_that_differ_are_named() {
    differing_windows(&cluster("+3s"));
}

#[test]
fn process_windows_that_differ_are_named_on_postgres() {
    if let Some(cluster) = on_postgres("+3s") {
        differing_windows(&cluster);
    }
}

fn differing_windows(cluster: &Cluster) {
    let quick = cluster.start("quick");
    assert_eq!(warning(cluster, "windows"), None);
    let slow = cluster
        .engine("slow")
        .env("FLUX_FAILOVER_TIME_WINDOW", "+12s")
        .spawn();
    slow.wait_for_line("ready", PATIENCE);
    let warning = warning(cluster, "windows").unwrap();
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("quick 3 s, slow 12 s"), "{message}");
    assert_eq!(warning["engines"][1]["window_s"], 12.0, "{warning}");
    let mut table = cluster.client(&["cluster", "status"]);
    assert!(table.wait(PATIENCE).success());
    table.wait_for_line("warning: the engines have different failover", PATIENCE);
    let line = quick.wait_for_line("different values of FAILOVER_TIME_WINDOW", PATIENCE);
    assert!(line.contains("quick 3s, slow 12s"), "{line}");
}

#[test]
fn process_a_clock_that_differs_is_told_and_harmless() {
    let Some(library) = clocks::library() else {
        return;
    };
    let Some(cluster) = on_postgres("+3s") else {
        return;
    };
    let _right = cluster.start("right");
    let wrong = clocks::engine(&cluster, "wrong", &library, "-3600").spawn();
    wrong.wait_for_line("calendar clock of this machine differs", PATIENCE);
    let warning = warning(&cluster, "clocks").unwrap();
    assert_eq!(warning["engines"][0]["name"], "wrong", "{warning}");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("harmless for failover"), "{message}");
    let status = cluster.members();
    let member = status.iter().find(|member| member["name"] == "wrong");
    let member = member.unwrap();
    let offset = member["clock_offset_s"].as_f64().unwrap();
    assert!((offset + 3600.0).abs() < 60.0, "{offset}");
    assert_eq!(member["state"], "alive", "its clock is not looked at");
    let table = cluster.flux(&["cluster", "status"]);
    assert!(table.contains("CLOCK"), "{table}");
    let file = cluster.directory().join("wrong.clock");
    std::fs::write(file, "+0").unwrap();
    wrong.wait_for_line("agrees with the database's again", PATIENCE);
    wait_until("the warning is over", PATIENCE, || {
        self::warning(&cluster, "clocks").is_none()
    });
    assert_eq!(cluster.failovers(), [] as [Value; 0]);
}

#[test]
fn process_a_watch_outlives_the_absence_of_its_database() {
    if !installed() {
        eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
        return;
    }
    let server = Server::start();
    let database = server.create_database();
    let cluster = cluster("+3s").on(database.url());
    cluster.flux(&["db", "migrate"]);
    let mut watch = cluster.client(&["cluster", "watch", "-o", "json"]);
    let _early = cluster.start("early");
    watch.wait_for_line("engine early has joined", PATIENCE);
    server.stop(Mode::Fast);
    watch.wait_for_line(r#""change":"away""#, PATIENCE);
    server.start_again();
    watch.wait_for_line(r#""change":"back""#, PATIENCE);
    let _late = cluster.start("late");
    watch.wait_for_line("engine late has joined", PATIENCE);
    watch.interrupt();
    assert!(watch.wait(PATIENCE).success());
}
