//! The client examples in other languages, built by the commands of their own pages, with real engines.

mod example;

use crate::home::root;
use example::{Example, GOCODE};
use flux_testkit::{Cluster, Flux, PATIENCE, wait_until};
use std::fs;

const TOKEN: &str = "a-token-of-the-tests";

fn python() -> Option<Example> {
    let needs = "python -c 'import grpc_reflection, grpc_status, grpc_tools'";
    let example = Example::new("python", "python client.py", needs)?;
    example.build("grpc_tools.protoc");
    Some(example)
}

fn go() -> Option<Example> {
    let needs = format!(
        "go version && protoc --version && protoc-gen-go --version && protoc-gen-go-grpc --version \
         && cd {GOCODE}/src && cd google.golang.org/grpc && cd ../protobuf \
         && cd ../../github.com/golang/protobuf/proto && ls registry.go"
    );
    let example = Example::new("go", "./approval", &needs)?;
    example.build("generate.sh");
    example.build("go build");
    Some(example)
}

fn cluster() -> Cluster {
    Cluster::new(env!("CARGO_BIN_EXE_flux"), "+3s")
}

/// The address of an engine, from the line that it prints when it is ready.
fn address(engine: &Flux) -> String {
    let line = engine.wait_for_line("ready", PATIENCE);
    let (_, rest) = line.split_once(", address ").unwrap();
    rest.split_once(", store ").unwrap().0.to_owned()
}

/// An order is approved, and asked for again: it is the same run, which has ended.
fn approves_an_order(example: &Example, engines: &str) {
    let said = example.run("", engines);
    let line = |beginning: &str| {
        let found = said.iter().find_map(|line| line.strip_prefix(beginning));
        found.unwrap_or_else(|| panic!("`{beginning}` in {said:?}"))
    };
    let run = line("started ");
    assert_eq!(line("already started "), run);
    // Its commit may be told a moment before the state that it leads to.
    assert_eq!(said.join(" ").matches("/await").count(), 1, "{said:?}");
    line("waiting");
    line("approved");
    assert!(line("result ").contains("\"shipped\":true"), "{said:?}");
    assert!(line("listed ").starts_with(run), "{said:?}");
    let again = example.run("", engines);
    assert!(!again.contains(&"approved".to_owned()), "{again:?}");
    assert!(
        again.contains(&format!("already started {run}")),
        "{again:?}"
    );
}

/// The engine that the client watches is killed.
fn goes_on_with_another_engine(example: &Example) {
    let cluster = cluster();
    let mut first = cluster.start("first");
    let second = cluster.start("second");
    let file = root()
        .canonicalize()
        .unwrap()
        .join("examples/order-approval/workflow.yaml");
    let input = r#"{"orderId": "C-3"}"#;
    let id = cluster.flux(&["submit", file.to_str().unwrap(), "--input", input]);
    let engines = format!("{},{}", address(&first), address(&second));
    let mut client = example.start(&format!("watch runs/{id}"), &engines);
    client.wait_for_line("waiting", PATIENCE);
    first.kill9();
    client.wait_for_line(&format!("is lost, asking {}", address(&second)), PATIENCE);
    let decision = r#"{"orderId": "C-3", "approved": true}"#;
    cluster.flux(&[
        "signal",
        &id,
        "com.example.approval.decided",
        "--data",
        decision,
    ]);
    assert!(client.wait(PATIENCE).success(), "{:?}", client.stderr());
    let last = client.stdout().pop();
    assert_eq!(last.unwrap(), r#"result {"orderId":"C-3","shipped":true}"#);
}

/// What an engine refuses is told in words.
fn explains_a_refusal(example: &Example, engines: &str) {
    let mut client = example.start("watch run/7", engines);
    assert_eq!(client.wait(PATIENCE).code(), Some(1));
    let said = client.stderr().join("\n");
    for part in ["must be runs/ and a UUID", "INVALID_FIELD", "run/7"] {
        assert!(said.contains(part), "{said}");
    }
}

/// Over TLS with a token, and neither without the one nor without the other.
fn opens_the_locks(example: &mut Example) {
    let cluster = cluster();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = |name: &str, text: String| {
        let path = cluster.directory().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = file("cert.pem", made.cert.pem());
    let engine = cluster
        .engine("locked")
        .env("FLUX_TLS_CERT_FILE", &certificate)
        .env(
            "FLUX_TLS_KEY_FILE",
            file("key.pem", made.signing_key.serialize_pem()),
        )
        .env("FLUX_TLS_CA_FILE", &certificate)
        .env("FLUX_CLIENT_TOKEN", TOKEN)
        .spawn();
    let engines = address(&engine);
    assert!(engines.starts_with("https://"), "{engines}");
    example.environment.push(("FLUX_TLS_CA_FILE", certificate));
    let mut refused = example.start("", &engines);
    assert_eq!(refused.wait(PATIENCE).code(), Some(1));
    let said = refused.stderr().join("\n");
    assert!(said.contains("TOKEN_MISSING"), "{said}");
    example
        .environment
        .push(("FLUX_CLIENT_TOKEN", TOKEN.to_owned()));
    approves_an_order(example, &engines);
}

fn all_of_it(mut example: Example) {
    let cluster = cluster();
    let engine = cluster.start("one");
    approves_an_order(&example, &address(&engine));
    explains_a_refusal(&example, &address(&engine));
    goes_on_with_another_engine(&example);
    opens_the_locks(&mut example);
}

#[test]
fn process_the_client_in_python_does_what_its_page_says() {
    if let Some(example) = python() {
        all_of_it(example);
    }
}

#[test]
fn process_the_client_in_go_does_what_its_page_says() {
    if let Some(example) = go() {
        all_of_it(example);
    }
}

/// A generic client knows nothing but what the engine tells of itself.
#[test]
fn process_a_client_without_stubs_submits_a_run() {
    let Some(mut example) = python() else { return };
    fs::remove_dir_all(example.folder.join("flux")).unwrap();
    example.program = "python call.py";
    let cluster = cluster();
    let engine = cluster.start("one");
    let engines = address(&engine);
    let definition = r#"{"source": "document: {dsl: 1.0.3, namespace: test, name: one, version: 1.0.0}\ndo: [{a: {set: {b: 7}}}]"}"#;
    example.run(&format!("DeployWorkflow '{definition}'"), &engines);
    let new = r#"{"runs": [{"workflow": "namespaces/test/workflows/one/versions/latest"}]}"#;
    let said = example
        .run(&format!("SubmitRuns '{new}'"), &engines)
        .join("");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let name = answer["runs"][0]["name"].as_str().unwrap();
    wait_until("it is completed", PATIENCE, || {
        let id = name.strip_prefix("runs/").unwrap();
        cluster.show(id)["state"] == "completed"
    });
    let watched = example.run(&format!("WatchRun '{{\"name\": \"{name}\"}}'"), &engines);
    assert!(
        watched.join("").contains("RUN_STATE_COMPLETED"),
        "{watched:?}"
    );
}
