//! Engines that talk to each other, and clients that talk to them: real processes.

use flux_proto::v1::flux_service_client::FluxServiceClient;
use flux_proto::v1::*;
use flux_testkit::{Cluster, Flux, PATIENCE, shell_task, wait_until, wait_until_async};
use tonic::transport::Endpoint;

fn cluster(window: &str) -> Cluster {
    Cluster::new(env!("CARGO_BIN_EXE_flux"), window)
}

/// The address of an engine, from the line that it prints when it is ready.
fn address(engine: &Flux) -> String {
    let line = engine.wait_for_line("ready", PATIENCE);
    let (_, rest) = line.split_once(", address ").unwrap();
    rest.split_once(", store ").unwrap().0.to_owned()
}

/// Waits until the engine at this address has heard the load of so many.
async fn until_heard(address: &str, count: usize) {
    let endpoint = Endpoint::from_shared(address.to_owned()).unwrap();
    let client = FluxServiceClient::new(endpoint.connect().await.unwrap());
    wait_until_async("it has heard of all", PATIENCE, async || {
        let request = ListEnginesRequest {};
        let answer = client.clone().list_engines(request).await.unwrap();
        let engines = answer.into_inner().engines;
        engines
            .iter()
            .filter(|engine| engine.load.is_some())
            .count()
            == count
    })
    .await;
}

/// How many branches each engine runs, once all of them run.
fn running(cluster: &Cluster, all: u64) -> Vec<u64> {
    let counts = || -> Vec<u64> {
        let members = cluster.members().into_iter();
        members.map(|m| m["running"].as_u64().unwrap()).collect()
    };
    wait_until("all branches run", PATIENCE, || {
        counts().iter().sum::<u64>() == all
    });
    counts()
}

#[tokio::test(flavor = "multi_thread")]
async fn process_work_is_spread_evenly_and_a_joining_engine_gets_its_share() {
    let cluster = cluster("+9s");
    let start = |name: &str| {
        let engine = cluster.engine(name).env("FLUX_CONCURRENCY_LEVEL", "40");
        engine.spawn()
    };
    let engines = [start("one"), start("two")];
    let addresses = [address(&engines[0]), address(&engines[1])];
    until_heard(&addresses[0], 2).await;
    until_heard(&addresses[1], 2).await;
    let heard = |args: &[&str]| {
        let status = cluster.json(args);
        let engines = status["engines"].as_array().unwrap().iter();
        engines
            .filter(|engine| engine["heard_age_s"].is_number())
            .count()
    };
    assert_eq!(heard(&["--engine", &addresses[0], "cluster", "status"]), 2);
    assert_eq!(
        heard(&["cluster", "status"]),
        0,
        "the database does not know"
    );
    let work = shell_task("work", "sleep 30");
    cluster.submit("first", &work, 20);
    let counts = running(&cluster, 20);
    assert!(
        counts.iter().all(|count| (7..=13).contains(count)),
        "{counts:?}"
    );
    // Alone with nothing to do, the new one takes what comes until it has as much as the others.
    let third = start("three");
    until_heard(&address(&third), 3).await;
    until_heard(&addresses[0], 3).await;
    until_heard(&addresses[1], 3).await;
    cluster.submit("second", &work, 10);
    let counts = running(&cluster, 30);
    assert!(
        counts.iter().all(|count| (6..=14).contains(count)),
        "{counts:?}"
    );
}

/// The machine that has most left gets the work, whatever it runs.
#[tokio::test(flavor = "multi_thread")]
async fn process_work_goes_where_the_resources_are() {
    let cluster = cluster("+9s");
    let start = |name: &str, command: &str| {
        let engine = cluster.engine(name).env("FLUX_CONCURRENCY_LEVEL", "40");
        let engine = engine.env("FLUX_SYSTEM_RESOURCE_COMMAND", command);
        engine.env("FLUX_SYSTEM_RESOURCE_INTERVAL", "+30s").spawn()
    };
    let free_memory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/software_developers/system_resource_monitoring/free_memory.sh"
    );
    let engines = [start("poor", "echo 10"), start("rich", free_memory)];
    for engine in &engines {
        until_heard(&address(engine), 2).await;
    }
    cluster.submit("first", &shell_task("work", "sleep 30"), 20);
    running(&cluster, 20);
    let members = cluster.members();
    let of = |name: &str| members.iter().find(|m| m["name"] == name).unwrap()["running"].as_u64();
    assert!(of("rich") >= Some(14), "{members:?}");
}

/// Without a network everything but the balance is as it was.
#[test]
fn process_without_a_network_nothing_is_lost() {
    let cluster = cluster("+9s");
    let start = |name: &str| {
        cluster
            .engine(name)
            .env("FLUX_CLUSTER_NETWORKING", "false")
            .spawn()
    };
    let engines = [start("one"), start("two")];
    for engine in &engines {
        engine.wait_for_line("ready", PATIENCE);
    }
    let ids = cluster.submit("work", &shell_task("work", "true"), 60);
    for id in ids {
        cluster.wait_for_state(&id, "completed");
    }
}

/// The engine that a client talks to is killed: it goes on with another one, and so does the run.
#[test]
fn process_a_client_goes_on_with_another_engine() {
    let cluster = cluster("+3s");
    let mut first = cluster.start("first");
    let second = cluster.start("second");
    let both = format!("{},{}", address(&first), address(&second));
    let go = cluster.directory().join("go");
    let wait = format!(
        "until [ -e '{}' ]; do sleep 0.1; done; echo done",
        go.display()
    );
    let definition = format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: long, version: '1.0.0' }}\ndo:\n{}",
        shell_task("long", &wait)
    );
    std::fs::write(cluster.directory().join("long.yaml"), definition).unwrap();
    let mut client = cluster.client(&["--engine", &both, "submit", "long.yaml", "--wait"]);
    wait_until("it runs", PATIENCE, || {
        let runs = cluster.json(&["list"]);
        runs["runs"][0]["state"] == "running"
    });
    first.kill9();
    std::fs::write(go, "").unwrap();
    assert!(client.wait(PATIENCE).success(), "{:?}", client.stderr());
    assert_eq!(client.stdout(), ["\"done\""]);
    assert_eq!(cluster.json(&["list"])["runs"].as_array().unwrap().len(), 1);
    // What became of the run is told alike by the database and by an engine.
    let failovers = ["cluster", "failovers", "first"];
    let told = cluster.json(&failovers);
    let resumed = &told["failovers"][0]["takeovers"][0];
    assert_eq!(resumed["resumed"]["engine"], "second", "{told}");
    let address = address(&second);
    let by_engine = [&["--engine", address.as_str()], &failovers[..]].concat();
    assert_eq!(cluster.json(&by_engine), told);
}

#[test]
fn process_an_engine_that_another_one_is_asked_to_drain_ends_well() {
    let cluster = cluster("+3s");
    let (stays, mut goes) = (cluster.start("stays"), cluster.start("goes"));
    cluster.flux(&["--engine", &address(&stays), "cluster", "drain", "goes"]);
    assert!(goes.wait(PATIENCE).success(), "{:?}", goes.stderr());
    assert_eq!(cluster.members().len(), 1);
    assert!(cluster.failovers().is_empty());
}

/// Tasks go to engines that have what they require, and back; `flux why` tells when there is none.
#[test]
fn process_work_goes_to_engines_with_the_labels_that_it_requires() {
    let cluster = cluster("+3s");
    let _plain = cluster.start("plain");
    let pinned = |name: &str| {
        format!(
            "  - {name}: {{ run: {{ shell: {{ command: 'echo {name}' }} }}, \
             metadata: {{ flux: {{ requires: {{ gpu: a100 }} }} }} }}\n"
        )
    };
    let tasks = shell_task("before", "true") + &pinned("train") + &shell_task("after", "true");
    let run = cluster.submit("model", &tasks, 1).remove(0);
    wait_until("it is told what is missing", PATIENCE, || {
        let why = cluster.flux(&["why", &run]);
        why.contains("no engine has the labels gpu=a100 that it requires (plain has none)")
    });
    let labelled = cluster
        .engine("labelled")
        .env("FLUX_LABELS", "zone=eu, gpu=a100");
    let _labelled = labelled.spawn();
    cluster.wait_for_state(&run, "completed");
    let history = cluster.json(&["history", &run]);
    let engine_of = |task: &str| {
        let commits = history["history"].as_array().unwrap().iter();
        let mut done = commits.filter(|commit| {
            let events = commit["events"].as_array().unwrap();
            events
                .iter()
                .any(|e| e["type"] == "completed" && e["task"] == task)
        });
        done.next().map(|commit| commit["engine"].as_str().unwrap())
    };
    assert_eq!(engine_of("before"), Some("plain"), "{history}");
    assert_eq!(engine_of("train"), Some("labelled"), "{history}");
    let members = cluster.members();
    let labelled = members.iter().find(|m| m["name"] == "labelled").unwrap();
    assert_eq!(labelled["labels"], "gpu=a100,zone=eu");
}
