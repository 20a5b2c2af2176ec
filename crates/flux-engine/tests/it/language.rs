//! What definitions mean, on a real engine and store.

use crate::harness::{House, fault, output, workflow};
use flux_core::branch::RunState;
use flux_core::ports::runs::{Runs, Signalled};
use serde_json::json;

async fn gives(name: &str, body: &str, input: &str, expected: serde_json::Value) {
    let record = House::new().run(&workflow(name, body), input).await;
    assert_eq!(output(&record), expected, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_of_a_fork_join_in_declaration_order_and_merge_their_contexts() {
    let body = r#"
do:
  - both:
      fork:
        branches:
          - slow:
              do:
                - sleep: { run: { shell: { command: 'sleep 0.3; echo one' } } }
                - keep: { set: '${ . }', export: { as: '${ $context + { slow: . } }' } }
          - quick: { run: { shell: { command: 'echo two' } }, export: { as: '${ { quick: . } }' } }
  - all: { set: { outputs: '${ . }', context: '${ $context }' } }
"#;
    let expected = json!({"outputs": ["one", "two"], "context": {"slow": "one", "quick": "two"}});
    gives("fork", body, "null", expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n_of_m_goes_on_without_the_rest() {
    let body = r#"
do:
  - some:
      fork:
        branches:
          - a: { set: 1 }
          - b: { run: { shell: { command: sleep 600 } } }
          - c: { set: 3 }
      metadata: { flux: { join: { count: 2, rest: cancel } } }
"#;
    let body = body
        .replace("set: 1", "set: '${ 1 }'")
        .replace("set: 3", "set: '${ 3 }'");
    gives("some", &body, "null", json!([1, null, 3])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_condition_is_judged_at_every_arrival() {
    let body = r#"
do:
  - enough:
      fork:
        branches:
          - a: { run: { shell: { command: 'echo 1' } } }
          - b: { run: { shell: { command: 'echo 5' } } }
          - c: { run: { shell: { command: 'sleep 600' } } }
      metadata: { flux: { join: { when: '[.arrived[].output | tonumber] | add >= 6', rest: cancel } } }
"#;
    gives("when", body, "null", json!(["1", "5", null])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_branch_cancels_the_others_and_can_be_caught() {
    let body = r#"
do:
  - guarded:
      try:
        - both:
            fork:
              branches:
                - bad: { raise: { error: { type: 'https://example.com/e', status: 418, title: Tea } } }
                - long: { run: { shell: { command: sleep 600 } } }
      catch:
        as: e
        do:
          - tell: { set: { status: '${ $e.status }', where: '${ $e.instance }' } }
"#;
    let place = "/do/0/guarded/try/0/both/fork/branches/0/bad";
    gives(
        "caught",
        body,
        "null",
        json!({"status": 418, "where": place}),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_park_the_branch_and_keep_the_idempotency_key() {
    let house = House::new();
    let file = house.path("keys");
    let body = format!(
        r#"
do:
  - stubborn:
      try:
        - once: {{ run: {{ shell: {{ command: 'echo "$FLUX_IDEMPOTENCY_KEY $FLUX_ATTEMPT" >> {file}; test $(wc -l < {file}) -ge 3' }} }} }}
      catch:
        retry:
          delay: {{ milliseconds: 50 }}
          backoff: {{ exponential: {{}} }}
          limit: {{ attempt: {{ count: 5 }} }}
"#,
        file = file.display()
    );
    let record = house.run(&workflow("retry", &body), "null").await;
    assert_eq!(record.state, RunState::Completed);
    let lines = std::fs::read_to_string(&file).unwrap();
    let keys: Vec<&str> = lines
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{lines}");
    assert!(lines.ends_with(" 3\n"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end_and_the_handler_follows() {
    let body = r#"
do:
  - stubborn:
      try:
        - never: { run: { shell: { command: 'echo no >&2; exit 7' } } }
      catch:
        as: e
        retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 2 } } }
        do:
          - tell: { set: { title: '${ $e.title }', code: '${ $e.detail | test("7") }' } }
"#;
    gives(
        "exhausted",
        body,
        "null",
        json!({"title": "Runtime error", "code": true}),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_kills_the_action_and_is_an_error_408() {
    let body = r#"
do:
  - limited:
      try:
        - long: { run: { shell: { command: sleep 600 } }, timeout: { after: { milliseconds: 300 } } }
      catch:
        errors: { with: { type: 'https://open-workflow-specification.org/spec/1.0.0/errors/timeout' } }
        as: e
        do:
          - tell: { set: { status: '${ $e.status }' } }
"#;
    gives("timeout", body, "null", json!({"status": 408})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflows_own_time_out_faults_the_run() {
    let body = "timeout: { after: { milliseconds: 300 } }\ndo:\n  - long: { wait: { hours: 1 } }\n";
    let record = House::new().run(&workflow("overall", body), "null").await;
    assert_eq!(fault(&record).status, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_before_the_listen_is_kept_and_a_second_one_with_its_id_is_not() {
    let house = House::new();
    let body = r#"
do:
  - settle: { wait: { milliseconds: 200 } }
  - hear:
      listen: { to: { one: { with: { type: go }, correlate: { n: { from: '${ .data.n }', expect: '${ 2 }' } } } } }
"#;
    let run = house.submit(&workflow("hear", body), "null").await;
    assert_eq!(
        house.signal(run, "go", "a", r#"{"n":1}"#).await,
        Signalled::Accepted
    );
    assert_eq!(
        house.signal(run, "go", "b", r#"{"n":2}"#).await,
        Signalled::Accepted
    );
    assert_eq!(
        house.signal(run, "go", "b", r#"{"n":2}"#).await,
        Signalled::Duplicate
    );
    let engine = house.engine("solo").await;
    let record = house.ended(run).await;
    assert_eq!(output(&record), json!([{"n": 2}]));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emitted_event_reaches_another_run_that_listens() {
    let house = House::new();
    let ear = "do:\n  - hear: { listen: { to: { one: { with: { type: news } } } } }\n";
    let mouth =
        "do:\n  - tell: { emit: { event: { with: { type: news, data: { x: '${ .x }' } } } } }\n";
    let listening = house.submit(&workflow("ear", ear), "null").await;
    let engine = house.engine("solo").await;
    house
        .until(listening, "it waits", |state| state == RunState::Waiting)
        .await;
    let told = house.submit(&workflow("mouth", mouth), r#"{"x":7}"#).await;
    assert_eq!(house.ended(told).await.state, RunState::Completed);
    assert_eq!(output(&house.ended(listening).await), json!([{"x": 7}]));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_workflow_gives_its_output_and_its_error() {
    let house = House::new();
    let child = "do:\n  - half: { set: { half: '${ if .n > 9 then error(\"too big\") else .n / 2 end }' } }\n";
    house.deploy(&workflow("child", child)).await;
    let call = "{ run: { workflow: { namespace: test, name: child, version: '1.0.0', input: { n: '${ .n }' } } } }";
    let parent = format!("do:\n  - ask: {call}\n");
    let record = house.run(&workflow("parent", &parent), r#"{"n":7}"#).await;
    assert_eq!(output(&record), json!({"half": 3.5}));
    let record = house.run(&workflow("parent", &parent), r#"{"n":80}"#).await;
    assert_eq!(fault(&record).instance.as_deref(), Some("/do/0/ask"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_starts_what_waits_for_it() {
    let house = House::new();
    let pattern = house.path("*.csv");
    let body = format!(
        "do:\n  - arrive: {{ call: 'file:1@default', with: {{ path: '{}', every: {{ milliseconds: 50 }} }} }}\n",
        pattern.display()
    );
    let run = house.submit(&workflow("file", &body), "null").await;
    let engine = house.engine("solo").await;
    house
        .until(run, "it waits", |state| state == RunState::Waiting)
        .await;
    std::fs::write(house.path("in.csv"), "a,b\n").unwrap();
    let found = output(&house.ended(run).await);
    assert!(
        found["path"].as_str().unwrap().ends_with("in.csv"),
        "{found}"
    );
    let polls = house.store.history(run).await.unwrap();
    assert!(
        polls.len() <= 3,
        "looking in vain is no commit: {}",
        polls.len()
    );
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_would_never_end_faults_instead() {
    let body = "do:\n  - again: { set: { n: 1 }, then: again }\n";
    let record = House::new().run(&workflow("loop", body), "null").await;
    assert!(fault(&record).detail.unwrap().contains("never end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_breaks_its_schema_faults_with_the_place() {
    let body = r#"
input: { schema: { document: { type: object, required: [id], properties: { id: { type: integer } } } } }
do:
  - keep: { set: { id: '${ .id }' } }
"#;
    let record = House::new()
        .run(&workflow("schema", body), r#"{"id":"x"}"#)
        .await;
    let fault = fault(&record);
    assert_eq!(fault.status, 400);
    assert!(fault.detail.unwrap().contains("/id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_every_schedule_starts_runs() {
    let house = House::new();
    let source = workflow(
        "tick",
        "schedule: { every: { seconds: 1 } }\ndo:\n  - t: { set: { ok: true } }\n",
    );
    house.deploy(&source).await;
    let engine = house.engine("solo").await;
    flux_testkit::wait_until_async(
        "two runs were started",
        crate::harness::PATIENCE,
        async || {
            let filter = flux_core::ports::runs::RunFilter {
                limit: 10,
                ..Default::default()
            };
            house.store.list(filter).await.unwrap().len() >= 2
        },
    )
    .await;
    engine.drain().await;
}
