//! Every example, run by the real binary from the root of the repository.

use crate::home::{Background, Home, PATIENCE, errors, root};
use flux_testkit::wait_until;
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

const APPROVAL: &str = "examples/order-approval/workflow.yaml";

#[test]
fn hello_looks_at_this_machine() {
    let result = Home::new().json(&["run", "examples/hello/workflow.yaml"]);
    assert!(
        result["system"].as_str().unwrap().contains(" on "),
        "{result}"
    );
    assert!(result["freeGiB"].is_number(), "{result}");
}

#[test]
fn nightly_close_joins_ledger_and_rates() {
    let result = Home::new().json(&["run", "examples/nightly-close/workflow.yaml"]);
    assert_eq!(
        result,
        json!({"totalInEuro": 152.5, "currencies": ["EUR", "GBP", "USD"]})
    );
}

#[test]
fn sub_workflow_adds_up_what_its_children_found() {
    let child = "examples/sub-workflow/child.yaml";
    let result = Home::new().json(&["run", "examples/sub-workflow/parent.yaml", "--with", child]);
    assert_eq!(result, json!({"total": 16}));
}

#[test]
fn an_approval_that_nobody_gives_is_rejected_in_time() {
    let input = r#"{"orderId": "A-1", "patience": {"milliseconds": 50}}"#;
    let result = Home::new().json(&["run", APPROVAL, "--input", input]);
    assert_eq!(result["shipped"], json!(false), "{result}");
}

fn result(run: Background) -> Value {
    let output = run.wait();
    assert!(output.status.success(), "{}", errors(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_approval_of_this_very_order_ships_it() {
    let home = Home::new();
    let run = home.spawn(&["run", APPROVAL, "--input", r#"{"orderId": "A-1"}"#]);
    wait_until("it waits", PATIENCE, || {
        let list = home.json(&["list", "--state", "waiting", "-o", "json"]);
        !list["runs"].as_array().unwrap().is_empty()
    });
    let id = home.run_id();
    let decide = |order: &str| {
        let data = json!({"orderId": order, "approved": true}).to_string();
        home.text(&[
            "signal",
            &id,
            "com.example.approval.decided",
            "--data",
            &data,
        ]);
    };
    decide("B-2");
    decide("A-1");
    assert_eq!(result(run), json!({"orderId": "A-1", "shipped": true}));
}

#[test]
fn file_import_takes_the_file_and_moves_it_away() {
    let home = Home::new();
    let inbox = home.path("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let input = json!({ "inbox": inbox }).to_string();
    let run = home.spawn(&[
        "run",
        "examples/file-import/workflow.yaml",
        "--input",
        &input,
    ]);
    wait_until("it waits", PATIENCE, || {
        let list = home.json(&["list", "--state", "waiting", "-o", "json"]);
        !list["runs"].as_array().unwrap().is_empty()
    });
    std::fs::write(inbox.join("orders-1.csv"), "order,total\n1,10.5\n2,4\n").unwrap();
    let result = result(run);
    assert_eq!(result["orders"], json!(2), "{result}");
    assert_eq!(result["total"], json!(14.5), "{result}");
    assert!(inbox.join("done/orders-1.csv").exists());
    assert!(!inbox.join("orders-1.csv").exists());
}

#[test]
fn long_steps_commit_only_where_they_are_marked() {
    let home = Home::new();
    let result = home.json(&["run", "examples/long-steps/workflow.yaml"]);
    assert_eq!(result, json!("packed"));
    let history = home.json(&["history", &home.run_id(), "-o", "json"]);
    let nodes = history["history"].as_array().unwrap().iter();
    let names: Vec<_> = nodes
        .map(|entry| entry["node"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names[..2], ["grind", "pack"], "{history}");
}

/// `service.py` of the example; ends when dropped.
struct Service(Child);

impl Service {
    fn start(port: u16) -> Service {
        let script = root().join("examples/flaky-service/service.py");
        let mut command = Command::new("python3");
        let service = Service(command.arg(script).arg(port.to_string()).spawn().unwrap());
        wait_until("the service listens", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn charge(port: u16) -> Home {
    let home = Home::new();
    let endpoint = format!("http://127.0.0.1:{port}/charge");
    let input = json!({"endpoint": endpoint, "amount": 5}).to_string();
    let file = "examples/flaky-service/workflow.yaml";
    let output = home.flux(&["run", file, "--input", &input]);
    assert!(output.status.success(), "{}", errors(&output));
    home
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn flaky_service_is_asked_until_it_answers() {
    let port = free_port();
    let service = Service::start(port);
    let home = charge(port);
    let run = home.json(&["show", &home.run_id(), "-o", "json"]);
    assert_eq!(
        run["output"],
        json!({"charged": true, "amount": 5}),
        "{run}"
    );
    let history = home.text(&["history", &home.run_id()]);
    assert!(history.contains("attempt 3"), "{history}");
    drop(service);
}

#[test]
fn a_charge_that_nobody_answers_is_given_up() {
    let home = charge(free_port());
    let run = home.json(&["show", &home.run_id(), "-o", "json"]);
    assert_eq!(run["output"]["charged"], json!(false), "{run}");
}
