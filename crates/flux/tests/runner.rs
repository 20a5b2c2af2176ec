//! A process behind its supervisor behaves like one without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a measurement is printed")]

use flux_core::chart::ActionKind;
use flux_core::ids::{BranchId, Epoch, RunId};
use flux_core::value;
use flux_engine::action::{Actions, Config, Failure, Perform, Request};
use flux_testkit::{PATIENCE, alive, wait_until_async};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn actions(supervised: bool) -> Actions {
    let config = Config {
        runner: supervised.then(|| env!("CARGO_BIN_EXE_flux").into()),
        kill_grace: Duration::from_millis(300),
        ..Config::default()
    };
    Actions::new(config).unwrap()
}

fn request(kind: ActionKind, with: &Value) -> Request {
    Request {
        kind,
        with: value::from_serde(with.clone()),
        run: RunId::new(Uuid::from_u128(1)),
        branch: BranchId::new(Uuid::from_u128(2)),
        node: "/do/0/a".to_owned(),
        attempt: 1,
        key: "key".to_owned(),
        epoch: Epoch(7),
        deadline: None,
        traceparent: None,
    }
}

async fn perform(actions: &Actions, kind: ActionKind, with: &Value) -> Result<Value, Failure> {
    let result = actions
        .perform(request(kind, with), CancellationToken::new())
        .await;
    result.map(|output| value::to_serde(&output))
}

#[tokio::test]
async fn it_changes_nothing_that_a_definition_can_see() {
    let (direct, supervised) = (actions(false), actions(true));
    let shell = |command: &str| {
        (
            ActionKind::Shell,
            json!({"command": command, "return": "all"}),
        )
    };
    let process = |command: Value| (ActionKind::Process, json!({"command": command}));
    let cases = [
        shell("echo out; echo err >&2; exit 3"),
        shell("kill -SEGV $$"),
        shell("kill -PIPE $$"),
        shell("cat; pwd; ls -l /proc/self/fd | wc -l"),
        shell("env | grep FLUX_ | sort"),
        shell("trap | cat; yes | head -1"),
        process(json!(["no-such-program"])),
        process(json!(["/etc/passwd"])),
        process(json!(["ls", "a\u{0}b"])),
        process(json!(["true", "x".repeat(4 << 20)])),
        (ActionKind::Shell, json!({"command": "exit 4"})),
        (
            ActionKind::Shell,
            json!({"command": "cat", "stdin": {"a": ["\u{e9}", 1]}}),
        ),
        (
            ActionKind::Shell,
            json!({"command": "wc -c", "stdin": "x".repeat(3 << 20)}),
        ),
        (
            ActionKind::Shell,
            json!({"command": "true", "stdin": "x".repeat(3 << 20)}),
        ),
        (
            ActionKind::Shell,
            json!({"command": "pwd", "workingDirectory": "/usr"}),
        ),
        (
            ActionKind::Shell,
            json!({"command": "pwd", "workingDirectory": "/no/where"}),
        ),
        (
            ActionKind::Shell,
            json!({"command": "echo $A", "environment": {"A": "b"}}),
        ),
        (
            ActionKind::Script,
            json!({"language": "sh", "code": "echo $1", "arguments": ["x"]}),
        ),
    ];
    for (kind, with) in cases {
        let expected = perform(&direct, kind, &with).await;
        let text = with.to_string();
        assert_eq!(
            perform(&supervised, kind, &with).await,
            expected,
            "{text:.200}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_process_ends_with_its_whole_family_before_perform_returns() {
    let folder = tempfile::tempdir().unwrap();
    let command = "(trap '' TERM; setsid sh -c 'echo $$ > session; exec sleep 300') & \
                   trap 'echo cleaned > trace; exit' TERM; echo $$ > leader; wait";
    let with = json!({"command": command, "workingDirectory": folder.path()});
    let (actions, cancel) = (actions(true), CancellationToken::new());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let performing = actions.perform(request(ActionKind::Shell, &with), cancel.clone());
    let cancelling = async {
        wait_until_async("both run", PATIENCE, async || {
            read("session").ends_with('\n') && read("leader").ends_with('\n')
        })
        .await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(performing, cancelling);
    assert!(
        matches!(result, Err(Failure::Fault(fault)) if fault.to_string().contains("cancelled"))
    );
    assert_eq!(read("trace"), "cleaned\n", "it had its grace");
    assert!(!alive(&read("session")) && !alive(&read("leader")));
}

#[tokio::test]
async fn dropping_it_kills_the_whole_family() {
    let folder = tempfile::tempdir().unwrap();
    let command = "setsid sh -c 'echo $$ > session; exec sleep 300' & wait";
    let with = json!({"command": command, "workingDirectory": folder.path()});
    let performing = tokio::spawn(async move {
        let request = request(ActionKind::Shell, &with);
        actions(true)
            .perform(request, CancellationToken::new())
            .await
    });
    let path = folder.path().join("session");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_until_async("it runs", PATIENCE, async || read().ends_with('\n')).await;
    performing.abort();
    wait_until_async("it is dead", PATIENCE, async || !alive(&read())).await;
}

/// `cargo test --release -p flux --test runner -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement"]
async fn what_a_supervisor_costs() {
    const TIMES: u32 = 300;
    let with = json!({"command": "true"});
    for supervised in [false, true, false, true] {
        let actions = actions(supervised);
        let start = Instant::now();
        for _ in 0..TIMES {
            perform(&actions, ActionKind::Shell, &with).await.unwrap();
        }
        eprintln!(
            "supervised: {supervised}: {:?} each",
            start.elapsed() / TIMES
        );
    }
}
