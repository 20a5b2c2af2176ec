//! `flux bench`: that it measures everything that it promises. How much comes out is for people.

use crate::home::{Home, PATIENCE};
use flux_testkit::postgres::{Database, Server, available};
use flux_testkit::wait_until;
use serde_json::Value;

const WORKLOADS: [&str; 8] = [
    "three-steps",
    "one-step",
    "split",
    "timers",
    "signals",
    "children",
    "payload-1k",
    "payload-64k",
];

/// What `flux bench` says of a few runs.
#[track_caller]
fn bench(home: &Home, args: &[&str]) -> Value {
    let few = ["bench", "-o", "json", "--runs", "20", "--singles", "2"];
    home.json(&[&few, args].concat())
}

/// Each of these is a number above zero.
#[track_caller]
fn are_measured(figures: &Value, paths: &[&str]) {
    for path in paths {
        let figure = figures.pointer(path).and_then(Value::as_f64);
        assert!(
            figure.is_some_and(|figure| figure > 0.0),
            "{path}: {figures:#}"
        );
    }
}

#[test]
fn bench_knows_every_workload() {
    let home = Home::new();
    for workload in WORKLOADS {
        let figures = bench(&home, &["--workload", workload]);
        assert_eq!(figures["workload"], workload);
        let paths = ["/engine_under_load/steps_per_second", "/latency_ms/p99_9"];
        are_measured(&figures, &paths);
    }
}

#[test]
fn bench_knows_every_shape() {
    let home = Home::new();
    for shape in ["closed", "rate", "burst", "backlog"] {
        let figures = bench(&home, &["--shape", shape, "--rate", "200"]);
        assert_eq!(figures["shape"], shape);
        let paths = [
            "/store_alone/runs_per_second",
            "/engine_under_load/runs_per_second",
            "/engine_under_load/statements_per_run",
            "/engine_under_load/cpu_us_per_run",
            "/engine_under_load/memory_peak_mib",
            "/engine_under_load/latency_ms/p50",
            "/engine_under_load/latency_ms/max",
        ];
        are_measured(&figures, &paths);
    }
}

/// Twenty runs at 50 per second are not submitted before 380 ms have passed.
#[test]
fn bench_submits_at_the_rate_that_was_asked_for() {
    let figures = bench(&Home::new(), &["--shape", "rate", "--rate", "50"]);
    let seconds = &figures["engine_under_load"]["seconds"];
    assert!(seconds.as_f64().is_some_and(|s| s >= 0.38), "{figures:#}");
}

#[test]
fn bench_compares_several_engines_with_one() {
    let figures = bench(&Home::new(), &["--engines", "2"]);
    let paths = [
        "/cluster_without_network/runs_per_second",
        "/cluster_with_network/runs_per_second",
    ];
    are_measured(&figures, &paths);
    let figures = bench(&Home::new(), &["--engines", "2", "--network", "on"]);
    assert_eq!(figures["cluster_without_network"], Value::Null);
}

#[test]
fn bench_prints_tables_for_people() {
    let text = Home::new().text(&["bench", "--runs", "20", "--singles", "2"]);
    for word in ["RUNS/S", "LATENCY, MS", "one at a time", "ENGINE / IT"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn bench_says_what_is_wrong() {
    let home = Home::new();
    let cases: &[(i32, &[&str], &str)] = &[
        (2, &["--workload", "nap"], "three-steps"),
        (2, &["--shape", "wave"], "backlog"),
        (2, &["--rate", "0"], "--rate"),
        (2, &["--engines", "36"], "1..=35"),
        (2, &["--runs", "5", "idle"], "idle"),
        (2, &["failover", "--engines", "1"], "2..=35"),
        (2, &["failover", "--branches", "10001"], "10000"),
        (1, &["--folder", "/nowhere"], "/nowhere"),
    ];
    for (code, args, word) in cases {
        let (found, message) = home.fails(&[&["bench"], *args].concat());
        assert_eq!(found, Some(*code), "{args:?}: {message}");
        assert!(message.contains(word), "{args:?}: {message}");
    }
}

#[test]
fn bench_on_postgres_tells_what_the_server_does_and_what_others_reach() {
    if !available() {
        return;
    }
    let database = Server::shared().create_database();
    let mut args = vec!["--database-url", database.url()];
    args.extend(["--yardstick-seconds", "1", "--pgbench-scale", "1"]);
    let figures = bench(&Home::new(), &args);
    let paths = [
        "/store_alone/written_bytes_per_run",
        "/engine_under_load/written_bytes_per_run",
        "/engine_under_load/server_private_memory_peak_mib",
        "/yardstick/pgbench/transactions_per_second",
        "/yardstick/raw_loop/0/runs_per_second",
        "/yardstick/raw_loop/1/engine_over_it",
    ];
    are_measured(&figures, &paths);
    // The servers of tests do without.
    let fsyncs = &figures["engine_under_load"]["fsyncs_per_run"];
    assert!(fsyncs.is_number(), "{figures:#}");
    let schemas = database.psql("select nspname from pg_namespace where nspname like 'bench%'");
    assert_eq!(schemas, [""; 0], "everything was removed");
}

#[test]
fn process_bench_idle_measures_engines_without_work() {
    let idle = [
        "bench",
        "idle",
        "-o",
        "json",
        "--seconds",
        "1",
        "--settle",
        "0",
    ];
    let figures = Home::new().json(&[&idle[..], &["--engines", "2"]].concat());
    assert_eq!(figures["engines"].as_array().unwrap().len(), 2);
    are_measured(&figures, &["/engines/0/memory_proportional_mib"]);
    if !available() {
        return;
    }
    let database = Server::shared().create_database();
    let figures = Home::new().json(&[&idle[..], &["--database-url", database.url()]].concat());
    are_measured(&figures, &["/transactions_per_second_per_engine"]);
    all_sessions_end(&database);
}

#[test]
fn process_bench_failover_measures_until_all_branches_run_again() {
    let failover = ["bench", "failover", "-o", "json", "--branches", "20"];
    let quick = [&failover[..], &["--failover-time-window", "+2s"]].concat();
    let paths = [
        "/first_start_s",
        "/kill_to_conviction_s",
        "/conviction_to_all_running_s",
        "/memory_of_killed/resident_mib",
    ];
    are_measured(&Home::new().json(&quick), &paths);
    if !available() {
        return;
    }
    let database = Server::shared().create_database();
    let on_server = ["--database-url", database.url(), "--engines", "3"];
    let figures = Home::new().json(&[&quick[..], &on_server].concat());
    are_measured(&figures, &paths);
    assert_eq!(figures["failover_time_window_s"], 2.0);
}

#[test]
fn process_bench_failover_ends_when_nobody_is_declared_dead_in_time() {
    let patience = ["bench", "failover", "--branches", "5", "--patience", "5"];
    let args = [&patience[..], &["--failover-time-window", "+1H"]].concat();
    let (code, message) = Home::new().fails(&args);
    assert_eq!(code, Some(1), "{message}");
    assert!(
        message.contains("declared the killed engine dead"),
        "{message}"
    );
}

/// Every process was ended.
#[track_caller]
fn all_sessions_end(database: &Database) {
    let others = "select count(*) from pg_stat_activity where datname = current_database() \
                  and pid <> pg_backend_pid()";
    wait_until("all sessions have ended", PATIENCE, || {
        database.psql(others) == ["0"]
    });
}
