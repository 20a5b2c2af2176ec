//! Actions against real processes and a real server.

mod http;
mod process;
mod script;

use super::*;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Long enough for a busy machine; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(30);

fn actions(config: Config) -> Arc<Actions> {
    Arc::new(Actions::new(config).expect("the settings are right"))
}

fn request(kind: ActionKind, with: &serde_json::Value) -> Request {
    Request {
        kind,
        with: value::from_serde(with.clone()),
        run: RunId::new(Uuid::from_u128(1)),
        branch: BranchId::new(Uuid::from_u128(2)),
        node: "/do/0/step one".to_owned(),
        attempt: 3,
        key: "key-1".to_owned(),
        epoch: Epoch(7),
        deadline: Some(Timestamp::from_micros(1_700_000_000_000_000)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

async fn perform(kind: ActionKind, with: serde_json::Value) -> Result<serde_json::Value, Fault> {
    perform_by(&actions(Config::default()), kind, with).await
}

async fn perform_by(
    actions: &Actions,
    kind: ActionKind,
    with: serde_json::Value,
) -> Result<serde_json::Value, Fault> {
    let output = actions
        .perform(request(kind, &with), CancellationToken::new())
        .await;
    output
        .map(|value| value::to_serde(&value))
        .map_err(only_fault)
}

fn only_fault(failure: Failure) -> Fault {
    match failure {
        Failure::Fault(fault) => fault,
        Failure::Expired => panic!("nothing expires here"),
    }
}

/// The kind and the detail of the fault.
fn fault(result: Result<serde_json::Value, Fault>) -> (String, String) {
    let fault = result.expect_err("it must fail");
    let kind = fault.kind.rsplit('/').next().unwrap_or_default().to_owned();
    (kind, fault.detail.unwrap_or_default())
}

#[test]
fn a_wrong_setting_is_named() {
    let config = Config {
        working_directory: Some("/does/not/exist".into()),
        ..Config::default()
    };
    let error = Actions::new(config).err().unwrap_or_default();
    assert!(
        error.starts_with("working_directory: /does/not/exist"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_starts_when_it_is_cancelled_already() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("trace");
    let with = json!({"command": "echo > \"$1\"", "arguments": [path.to_string_lossy()]});
    let result = actions(Config::default())
        .perform(request(ActionKind::Shell, &with), cancel)
        .await;
    assert!(result.is_err() && !path.exists());
}
