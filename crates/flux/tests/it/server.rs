//! An engine as programs meet it: over gRPC, on its port.

use crate::home::{Background, Home, PATIENCE};
use flux_proto::v1::flux_service_client::FluxServiceClient;
use flux_proto::v1::*;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::Endpoint;

/// An engine, and its address from the line that it prints when it is ready.
fn start(home: &Home, settings: &[(&str, &str)]) -> (Background, String) {
    let mut command = home.command(&["start", "--name", "one"]);
    command.env("FLUX_POLL_INTERVAL", "+1s");
    command.envs(settings.iter().copied());
    let mut engine = Background::start(command);
    let mut line = String::new();
    let mut output = BufReader::new(engine.stdout());
    output.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("ready: engine one, incarnation "),
        "{line}"
    );
    let (_, rest) = line.split_once(", address ").unwrap();
    let (address, _) = rest.split_once(", store ").unwrap();
    (engine, address.to_owned())
}

#[tokio::test]
async fn a_run_is_submitted_and_watched_to_its_end() {
    let home = Home::new();
    let (engine, address) = start(&home, &[]);
    let endpoint = Endpoint::from_shared(address.clone()).unwrap();
    let mut client = FluxServiceClient::new(endpoint.connect().await.unwrap());
    let definition = home.definition("greet", "  - greet: { set: { hello: '${ .who }' } }\n");
    let request = DeployWorkflowRequest {
        source: std::fs::read_to_string(definition).unwrap(),
        ..DeployWorkflowRequest::default()
    };
    let deployed = client.deploy_workflow(request).await.unwrap().into_inner();
    let run = NewRun {
        workflow: deployed.workflow.unwrap().name,
        input_json: "{\"who\": \"world\"}".to_owned(),
        ..NewRun::default()
    };
    let request = SubmitRunsRequest { runs: vec![run] };
    let name = client.submit_runs(request).await.unwrap().into_inner().runs[0]
        .name
        .clone();
    let resume_token = String::new();
    let watched = client.watch_run(WatchRunRequest { name, resume_token });
    let mut news = watched.await.unwrap().into_inner();
    let mut last = None;
    while let Some(told) = timeout(PATIENCE, news.message()).await.unwrap().unwrap() {
        last = told.run;
    }
    let last = last.unwrap();
    assert_eq!(last.state(), RunState::Completed);
    assert_eq!(last.output_json, "{\"hello\":\"world\"}");
    let engines = client
        .list_engines(ListEnginesRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(engines.engines[0].address, address);
    home.text(&["health", "--engine", &address]);
    home.text(&["health", "liveness", "--engine", &address]);
    let name = "engines/-".to_owned();
    client
        .drain_engine(DrainEngineRequest { name })
        .await
        .unwrap();
    let ended = engine.wait();
    assert_eq!(
        ended.status.code(),
        Some(0),
        "an engine that was asked to drain ends well"
    );
    let (code, message) = home.fails(&["health", "--engine", &address]);
    assert_eq!(code, Some(69), "{message}");
}

#[test]
fn a_port_that_is_taken_is_an_error_when_it_was_asked_for() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = home.command(&["start"]);
    let output = command.env("FLUX_PORT", &port).output().unwrap();
    let message = crate::home::errors(&output);
    assert_eq!(output.status.code(), Some(69), "{message}");
    assert!(
        message.contains(&port) && message.contains("FLUX_PORT"),
        "{message}"
    );
}

#[test]
fn the_second_engine_on_a_machine_takes_another_port() {
    let home = Home::new();
    // Whoever has the usual port, there is one that finds it taken.
    let _usual = TcpListener::bind("127.0.0.1:7520");
    let mut command = home.command(&["start", "--name", "two"]);
    command.env_remove("FLUX_PORT");
    let mut engine = Background::start(command);
    let mut line = String::new();
    BufReader::new(engine.stdout())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("address http://127.0.0.1:"), "{line}");
    assert!(!line.contains(":7520"), "{line}");
}

#[test]
fn an_open_address_without_locks_is_a_configuration_error_and_the_token_is_never_shown() {
    let home = Home::new();
    let check = |settings: &[(&str, &str)], args: &[&str]| {
        let mut command = home.command(args);
        command.envs(settings.iter().copied());
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), shown + &crate::home::errors(&output))
    };
    let open = ("FLUX_LISTEN_ADDRESS", "0.0.0.0");
    let (code, message) = check(&[open], &["config", "check"]);
    assert_eq!(code, Some(78), "{message}");
    for way in ["certificate", "127.0.0.1", "insecure"] {
        assert!(message.contains(way), "{message}");
    }
    let (code, message) = check(&[open, ("FLUX_INSECURE", "true")], &["config", "check"]);
    assert_eq!(code, Some(0), "{message}");
    for (address, expected) in [
        ("10.0.0.7:7520", 78),
        ("http://10.0.0.7", 78),
        ("http://proxy:7520", 0),
    ] {
        let advertised = ("FLUX_ADVERTISED_ADDRESS", address);
        let (code, message) = check(&[advertised], &["config", "check"]);
        assert_eq!(code, Some(expected), "{message}");
        assert!(
            code == Some(0) || message.contains("http://10.0.0.7:7520"),
            "{message}"
        );
    }
    let short = "tooshort-secret";
    let (code, message) = check(&[("FLUX_CLIENT_TOKEN", short)], &["config", "check"]);
    assert_eq!(code, Some(78), "{message}");
    assert!(!message.contains(short), "{message}");
    let long = "a-secret-that-nobody-may-see";
    for args in [&["config", "show"][..], &["config", "show", "-o", "json"]] {
        let (code, message) = check(&[("FLUX_CLIENT_TOKEN", long)], args);
        assert_eq!(code, Some(0), "{message}");
        assert!(
            !message.contains(long) && message.contains("(secret)"),
            "{message}"
        );
    }
}
