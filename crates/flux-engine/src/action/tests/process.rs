use super::*;
use ActionKind::{Process, Shell};
use flux_testkit::wait_until_async;
use std::path::Path;

#[tokio::test]
async fn the_example_of_the_reference_gives_its_output() {
    let command = "input=$(cat)\necho \"STDIN was: $input\"\necho \"ARGS are $1 $2\"\n";
    let with = json!({"stdin": "Hello World", "command": command, "arguments": ["Foo", "Bar"]});
    let expected = json!("STDIN was: Hello World\nARGS are Foo Bar");
    assert_eq!(perform(Shell, with).await, Ok(expected));
}

#[tokio::test]
async fn each_return_gives_its_part() {
    let output = async |returns: &str| {
        let command = "echo '{\"a\":1}'; echo err >&2; exit 4";
        perform(
            Shell,
            json!({"command": command, "return": returns, "exitCodes": [0, 4]}),
        )
        .await
    };
    assert_eq!(output("stdout").await, Ok(json!("{\"a\":1}")));
    assert_eq!(output("stderr").await, Ok(json!("err")));
    assert_eq!(output("code").await, Ok(json!(4)));
    assert_eq!(output("none").await, Ok(json!(null)));
    let all = json!({"code": 4, "stdout": "{\"a\":1}\n".trim_end(), "stderr": "err"});
    assert_eq!(output("all").await, Ok(all));
    let (kind, detail) = fault(output("half").await);
    assert_eq!(kind, "validation");
    assert!(
        detail.contains("`return` is \"half\"") && detail.contains("`stdout`"),
        "{detail}"
    );
}

#[tokio::test]
async fn metacharacters_in_arguments_stay_text() {
    let nasty = [
        "a b",
        "$(touch x)",
        "; rm -rf x",
        "`id`",
        "*",
        "\"'",
        "\n",
        "",
        "-n",
        "\u{e9}",
    ];
    let mut command = vec!["printf", "<%s>"];
    command.extend(nasty);
    let expected: String = nasty.iter().map(|text| format!("<{text}>")).collect();
    assert_eq!(
        perform(Process, json!({"command": command})).await,
        Ok(json!(expected))
    );
    let with = json!({"command": "printf '<%s>' \"$@\"", "arguments": nasty});
    assert_eq!(perform(Shell, with).await, Ok(json!(expected)));
}

#[tokio::test]
async fn arguments_may_be_numbers_and_maps() {
    let with = json!({"command": "echo \"$0 $@\"", "arguments": [1, true, {"a": 2}]});
    assert_eq!(perform(Shell, with).await, Ok(json!("sh 1 true {\"a\":2}")));
    let map = json!({"--user": "ada lovelace", "--all": null, "day": 3});
    let with = json!({"command": "printf '<%s>' \"$@\"", "arguments": map});
    assert_eq!(
        perform(Shell, with).await,
        Ok(json!("<--user=ada lovelace><--all><day=3>"))
    );
    let (kind, detail) = fault(perform(Shell, json!({"command": "x", "arguments": [null]})).await);
    assert_eq!(kind, "validation");
    assert!(detail.contains("`arguments` is [null]"), "{detail}");
}

#[tokio::test]
async fn the_environment_tells_the_step_and_keeps_secrets() {
    let with =
        json!({"command": ["env"], "environment": {"DAY": 5, "NIL": null, "FLUX_NODE": "x"}});
    let output = perform(Process, with).await.expect("env works");
    let lines: Vec<&str> = output.as_str().unwrap_or_default().lines().collect();
    for line in [
        "DAY=5",
        "FLUX_IDEMPOTENCY_KEY=key-1",
        "FLUX_FENCING_TOKEN=7",
        "FLUX_RUN_ID=00000000-0000-0000-0000-000000000001",
        "FLUX_BRANCH_ID=00000000-0000-0000-0000-000000000002",
        "FLUX_NODE=/do/0/step one",
        "FLUX_ATTEMPT=3",
        "FLUX_DEADLINE=2023-11-14T22:13:20Z",
        "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert!(lines.contains(&line), "{line} is missing in {lines:#?}");
    }
    assert!(
        lines.iter().any(|line| line.starts_with("PATH=")),
        "{lines:#?}"
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("NIL=")),
        "{lines:#?}"
    );
}

/// Runs the current test again in a process of its own, with these variables: its environment,
/// children and open files are then nobody else's. False in that process.
fn alone(test: &str, variables: &[(&str, &str)]) -> bool {
    const MARK: &str = "FLUX_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return false;
    }
    let program = std::env::current_exe().expect("the test's own program");
    let (_, module) = module_path!()
        .split_once("::")
        .expect("the crate, then the module");
    let output = std::process::Command::new(program)
        .args(["--exact", &format!("{module}::{test}")])
        .env(MARK, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("the test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    true
}

#[tokio::test]
async fn the_secrets_of_the_engine_are_not_handed_on() {
    if alone(
        "the_secrets_of_the_engine_are_not_handed_on",
        &[
            ("FLUX_TOKEN", "s"),
            ("DATABASE_URL", "postgres://s"),
            ("KEPT", "yes"),
        ],
    ) {
        return;
    }
    let output = perform(Process, json!({"command": ["env"]}))
        .await
        .expect("env works");
    let output = output.as_str().unwrap_or_default();
    assert!(output.contains("KEPT=yes"), "{output}");
    for secret in ["FLUX_TEST_ALONE", "FLUX_TOKEN", "DATABASE_URL"] {
        assert!(!output.contains(&format!("{secret}=")), "{output}");
    }
}

#[tokio::test]
async fn stdin_is_closed_text_or_json() {
    let cat = async |stdin| perform(Process, json!({"command": ["cat"], "stdin": stdin})).await;
    assert_eq!(cat(json!(null)).await, Ok(json!("")));
    assert_eq!(cat(json!("two\nlines")).await, Ok(json!("two\nlines")));
    assert_eq!(
        cat(json!({"b": [1, "x"]})).await,
        Ok(json!("{\"b\":[1,\"x\"]}"))
    );
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_error() {
    let with = json!({"command": ["true"], "stdin": "x".repeat(1 << 20), "return": "code"});
    assert_eq!(perform(Process, with).await, Ok(json!(0)));
}

#[tokio::test]
async fn large_input_and_output_do_not_block_each_other() {
    let text = "0123456789".repeat(50_000);
    let with = json!({"command": ["tee", "/dev/stderr"], "stdin": text, "return": "all"});
    let all = perform(Process, with).await.expect("tee works");
    assert_eq!(
        (all["stdout"].as_str(), all["stderr"].as_str()),
        (Some(&*text), Some(&*text))
    );
}

#[tokio::test]
async fn output_beyond_the_limit_is_dropped_and_marked() {
    let command = "head -c 3000000 /dev/zero | tr '\\0' x; echo reason >&2; exit 5";
    let with = |returns| json!({"command": command, "maxOutput": 10, "return": returns});
    let all = perform(Shell, with("all"))
        .await
        .expect("codes are not judged");
    let expected =
        json!({"code": 5, "stdout": "x".repeat(10), "stderr": "reason", "truncated": true});
    assert_eq!(all, expected);
    let (_, detail) = fault(perform(Shell, with("stdout")).await);
    assert_eq!(detail, "the shell command ended with exit code 5: reason");
    let actions = actions(Config {
        max_output: 4,
        ..Config::default()
    });
    let text = perform_by(&actions, Process, json!({"command": ["echo", "abcdef"]})).await;
    assert_eq!(text, Ok(json!("abcd\n[truncated: 3 more bytes]")));
}

#[tokio::test]
async fn invalid_utf8_is_replaced() {
    let with = json!({"command": ["printf", "a\\377b"]});
    assert_eq!(perform(Process, with).await, Ok(json!("a\u{fffd}b")));
}

#[tokio::test]
async fn a_failure_says_code_or_signal_and_the_last_lines() {
    let with = json!({"command": "echo first >&2; echo 'no such day' >&2; exit 3"});
    let result = perform(Shell, with).await;
    assert_eq!(result.as_ref().err().map(|fault| fault.status), Some(500));
    let (kind, detail) = fault(result);
    assert_eq!(kind, "runtime");
    assert_eq!(
        detail,
        "the shell command ended with exit code 3: first\nno such day"
    );
    let (_, detail) = fault(perform(Shell, json!({"command": "kill -TERM $$"})).await);
    assert_eq!(detail, "the shell command was ended by SIGTERM");
    let with = json!({"command": "kill -KILL $$", "return": "code"});
    assert_eq!(perform(Shell, with).await, Ok(json!(137)));
}

#[tokio::test]
async fn what_cannot_start_says_why_and_what_to_do() {
    let detail = async |with| {
        let (kind, detail) = fault(perform(Process, with).await);
        assert_eq!(kind, "runtime", "{detail}");
        detail
    };
    let text = detail(json!({"command": ["flux-no-such-program", "x"]})).await;
    assert!(
        text.contains("`flux-no-such-program` was not found"),
        "{text}"
    );
    assert!(text.contains("install"), "{text}");
    let text = detail(json!({"command": ["/etc/passwd"]})).await;
    assert!(text.contains("chmod +x"), "{text}");
    let text = detail(json!({"command": ["ls"], "workingDirectory": "/no/where"})).await;
    assert!(
        text.contains("/no/where, which is not a directory"),
        "{text}"
    );
    let text = detail(json!({"command": ["ls", "a\u{0}b"]})).await;
    assert!(text.contains("NUL"), "{text}");
    let text = detail(json!({"command": ["true", "x".repeat(4 << 20)]})).await;
    assert!(text.contains("`stdin`"), "{text}");
    let (kind, text) = fault(perform(Process, json!({"command": []})).await);
    assert!(
        kind == "validation" && text.contains("names no program"),
        "{text}"
    );
}

#[tokio::test]
async fn it_runs_where_the_task_says() {
    let folder = tempfile::tempdir().expect("a directory");
    let base = folder.path().canonicalize().expect("it exists");
    std::fs::create_dir(base.join("below")).expect("a directory");
    let config = Config {
        working_directory: Some(base.clone()),
        ..Config::default()
    };
    let actions = actions(config);
    for (directory, expected) in [
        (json!(null), base.clone()),
        (json!("below"), base.join("below")),
        (json!("/"), "/".into()),
    ] {
        let with = json!({"command": ["pwd"], "workingDirectory": directory});
        let output = perform_by(&actions, Process, with).await;
        assert_eq!(output, Ok(json!(expected.to_string_lossy())));
    }
}

/// A shell whose grandchild ignores SIGTERM and works on.
struct Stubborn {
    task: tokio::task::JoinHandle<Result<Value, Failure>>,
    grandchild: String,
    folder: tempfile::TempDir,
}

impl Stubborn {
    async fn start(grace: Duration, cancel: CancellationToken) -> Stubborn {
        let folder = tempfile::tempdir().expect("a directory");
        let command = "(trap '' TERM; sh -c 'echo $PPID > tmp; mv tmp pid'; \
                       while :; do echo >> work; sleep 0.01; done) & wait";
        let with = json!({"command": command, "workingDirectory": folder.path()});
        let actions = actions(Config {
            kill_grace: grace,
            ..Config::default()
        });
        let request = request(Shell, &with);
        let task = tokio::spawn(async move { actions.perform(request, cancel).await });
        let path = folder.path().join("pid");
        wait_until_async("the grandchild runs", LONG, async || path.exists()).await;
        let grandchild = std::fs::read_to_string(path).expect("the grandchild's id");
        Stubborn {
            task,
            grandchild: grandchild.trim().to_owned(),
            folder,
        }
    }

    fn work(&self) -> u64 {
        std::fs::metadata(self.folder.path().join("work")).map_or(0, |file| file.len())
    }
}

/// A killed orphan may stay a zombie where nobody adopts it.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn cancelling_ends_the_whole_group_before_it_returns() {
    let cancel = CancellationToken::new();
    let mut stubborn = Stubborn::start(Duration::from_millis(200), cancel.clone()).await;
    wait_until_async("it works", LONG, async || stubborn.work() > 0).await;
    cancel.cancel();
    let result = (&mut stubborn.task).await.expect("no panic");
    let work = stubborn.work();
    // The system may still be tidying up after a process that runs no more.
    wait_until_async("it is dead", LONG, async || !alive(&stubborn.grandchild)).await;
    assert_eq!(
        stubborn.work(),
        work,
        "nothing is done after perform has returned"
    );
    let text = result
        .err()
        .map(|failure| only_fault(failure).to_string())
        .unwrap_or_default();
    assert!(text.contains("the shell action was cancelled"), "{text}");
}

#[tokio::test]
async fn dropping_kills_the_whole_group() {
    let stubborn = Stubborn::start(LONG, CancellationToken::new()).await;
    stubborn.task.abort();
    wait_until_async("it is dead", LONG, async || !alive(&stubborn.grandchild)).await;
}

#[tokio::test]
async fn a_cancelled_process_may_clean_up() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("trace");
    let command = "trap 'sleep 0.2; echo cleaned > \"$1\"; exit' TERM; echo > \"$1.up\"; \
                   while :; do sleep 0.05; done";
    let with = json!({"command": command, "arguments": [path.to_string_lossy()]});
    let cancel = CancellationToken::new();
    let performing = {
        let (actions, request, cancel) = (
            actions(Config::default()),
            request(Shell, &with),
            cancel.clone(),
        );
        tokio::spawn(async move { actions.perform(request, cancel).await })
    };
    let up = path.with_extension("up");
    wait_until_async("it runs", LONG, async || up.exists()).await;
    cancel.cancel();
    assert!(performing.await.expect("no panic").is_err());
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        "cleaned\n"
    );
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipes_does_not_hold_the_action() {
    let with = json!({"command": "sleep 600 & echo $!"});
    let output = tokio::time::timeout(LONG, perform(Shell, with))
        .await
        .expect("it does not hang");
    let pid = output
        .expect("the shell succeeds")
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(alive(&pid), "it is left alone");
    let status = std::process::Command::new("kill").arg(pid).status();
    assert!(status.is_ok_and(|status| status.success()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_at_once_leave_nothing_behind() {
    if alone("many_processes_at_once_leave_nothing_behind", &[]) {
        return;
    }
    let actions = actions(Config::default());
    let round = async || {
        let mut all = tokio::task::JoinSet::new();
        for number in 0..200 {
            let actions = Arc::clone(&actions);
            all.spawn(async move {
                let with = json!({"command": ["echo", number]});
                assert_eq!(
                    perform_by(&actions, Process, with).await,
                    Ok(json!(number.to_string()))
                );
            });
        }
        while let Some(result) = all.join_next().await {
            result.expect("each process gives its output");
        }
    };
    let count = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    // The first round opens what the runtime keeps open.
    round().await;
    let before = count("/proc/self/fd");
    round().await;
    round().await;
    wait_until_async("no file is left open", LONG, async || {
        count("/proc/self/fd") <= before
    })
    .await;
    let children = || {
        let lists = std::fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten();
        let texts = lists.map(|task| std::fs::read_to_string(task.path().join("children")));
        texts
            .flatten()
            .map(|text| text.split_whitespace().count())
            .sum::<usize>()
    };
    wait_until_async("no zombie is left", LONG, async || children() == 0).await;
}
