//! The examples that need nobody's help, run by the real binary from the root of the repository.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

fn flux(args: &[&str]) -> Output {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_flux"))
        .args(args)
        .current_dir(root)
        .env("FLUX_DATA_DIR", data.path())
        .output()
        .unwrap()
}

fn output(args: &[&str]) -> Value {
    let output = flux(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "flux {args:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn hello_looks_at_this_machine() {
    let result = output(&["run", "examples/hello/workflow.yaml"]);
    assert!(
        result["system"].as_str().unwrap().contains(" on "),
        "{result}"
    );
    assert!(result["freeGiB"].is_number(), "{result}");
}

#[test]
fn nightly_close_joins_ledger_and_rates() {
    let result = output(&["run", "examples/nightly-close/workflow.yaml"]);
    assert_eq!(
        result,
        json!({"totalInEuro": 152.5, "currencies": ["EUR", "GBP", "USD"]})
    );
}

#[test]
fn sub_workflow_adds_up_what_its_children_found() {
    let child = "examples/sub-workflow/child.yaml";
    let result = output(&["run", "examples/sub-workflow/parent.yaml", "--with", child]);
    assert_eq!(result, json!({"total": 16}));
}

#[test]
fn an_approval_that_nobody_gives_is_rejected_in_time() {
    let input = r#"{"orderId": "A-1", "patience": {"milliseconds": 50}}"#;
    let result = output(&[
        "run",
        "examples/order-approval/workflow.yaml",
        "--input",
        input,
    ]);
    assert_eq!(result["shipped"], json!(false), "{result}");
}

#[test]
fn every_example_is_valid() {
    let output = flux(&[
        "validate",
        "examples/file-import/workflow.yaml",
        "examples/flaky-service/workflow.yaml",
        "examples/long-steps/workflow.yaml",
        "examples/order-approval/workflow.yaml",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_wrong_window_is_a_configuration_error() {
    for wrong in ["0", "3m", "+0s", "soon"] {
        let output = flux(&["--failover-time-window", wrong, "config", "check"]);
        assert_eq!(output.status.code(), Some(78), "{wrong}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("+3m"),
            "{wrong}"
        );
    }
}
