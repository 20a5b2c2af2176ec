//! The conformance kit of the Open Workflow DSL, run by a real engine on a real store. The kit's
//! files are read where they are; without them the test says so.

use crate::harness::{House, fault, output};
use flux_core::ports::runs::RunRecord;
use flux_testkit::gherkin::{self, Scenario, Step};
use flux_testkit::{Stub, conformance};
use serde_json::Value;
use std::path::PathBuf;

/// Hosts that the kit's definitions call.
const HOSTS: [&str; 2] = ["petstore.swagger.io", "httpbin.org"];

/// Scenarios that need `call: openapi`, which is refused at validation.
const REFUSED: [&str; 2] = [
    "Call OpenAPI With Content Output",
    "Call OpenAPI With Response Output",
];

fn kit() -> Option<PathBuf> {
    let given = std::env::var_os("FLUX_CONFORMANCE_DIR").map(PathBuf::from);
    let beside =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/open-workflow");
    let folder = given.unwrap_or(beside);
    folder.join("ctk/features").is_dir().then_some(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_of_the_kit_that_needs_no_openapi_passes() {
    let Some(kit) = kit() else {
        eprintln!("SKIPPED: no conformance kit; set FLUX_CONFORMANCE_DIR to its folder");
        return;
    };
    let stub = Stub::https(&HOSTS, conformance);
    let (mut passed, mut refused) = (0, 0);
    for (file, feature) in gherkin::read_all(&kit.join("ctk/features")) {
        for scenario in &feature.scenarios {
            if REFUSED.contains(&scenario.name.as_str()) {
                assert!(is_refused(scenario), "{file}: {}", scenario.name);
                refused += 1;
                continue;
            }
            eprintln!("{file}: {}", scenario.name);
            play(scenario, &stub).await;
            passed += 1;
        }
    }
    assert_eq!(
        (passed, refused),
        (19, 2),
        "the kit has other scenarios than expected"
    );
}

fn is_refused(scenario: &Scenario) -> bool {
    let definition = scenario.steps[0].doc.as_ref().unwrap();
    let report = flux_lang::compile(&definition.text, "ctk.yaml")
        .err()
        .map(|r| r.to_string());
    report.is_some_and(|report| report.contains("openapi"))
}

async fn play(scenario: &Scenario, stub: &Stub) {
    let mut house = House::new();
    house.actions.http_ca_file = Some(stub.ca_file().to_owned());
    house.actions.http_resolve = HOSTS
        .iter()
        .map(|host| ((*host).to_owned(), 443, stub.address()))
        .collect();
    let (mut definition, mut input, mut record) = (String::new(), "null".to_owned(), None);
    for step in &scenario.steps {
        let text = step.text.as_str();
        if text.starts_with("a workflow with definition") {
            definition = step.doc.as_ref().unwrap().text.clone();
        } else if text.contains("the workflow input is") {
            input = yaml(step).to_string();
        } else if text == "the workflow is executed" {
            record = Some(house.run(&definition, &input).await);
        } else {
            check(&house, record.as_ref().unwrap(), step).await;
        }
    }
}

async fn check(house: &House, record: &RunRecord, step: &Step) {
    let text = step.text.as_str();
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    if text == "the workflow should fault" {
        fault(record);
    } else if text.starts_with("the workflow should fault with error") {
        let actual = serde_json::to_value(fault(record)).unwrap();
        for (property, expected) in yaml(step).as_object().unwrap() {
            assert_eq!(&actual[property], expected, "{property} of the error");
        }
    } else if text.starts_with("the workflow should complete with output") {
        assert_eq!(output(record), yaml(step));
    } else if text == "the workflow should complete" {
        output(record);
    } else if text.starts_with("the workflow output should have properties") {
        for path in quoted {
            assert!(
                at(&output(record), path).is_some(),
                "no {path} in {}",
                output(record)
            );
        }
    } else if text.contains("property with value") {
        assert_eq!(at(&output(record), quoted[0]), Some(yaml(step)));
    } else if text.contains("property containing") {
        let count: usize = text.split(' ').rev().nth(1).unwrap().parse().unwrap();
        let items = at(&output(record), quoted[0]).unwrap();
        assert_eq!(items.as_array().unwrap().len(), count);
    } else {
        order(&house.tasks(record.id).await, text);
    }
}

fn order(tasks: &[String], text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let place = |task: &str| {
        let position = tasks.iter().position(|ran| ran == task);
        position.unwrap_or_else(|| panic!("{task} did not run, only {tasks:?}"))
    };
    match words[..] {
        [task, "should", "run", "first"] => assert_eq!(place(task), 0, "{text}: {tasks:?}"),
        [task, "should", "run", "last"] => {
            assert_eq!(place(task), tasks.len() - 1, "{text}: {tasks:?}");
        }
        [task, "should", "run", "after", other] => assert!(place(task) > place(other), "{text}"),
        [task, "should", "run", "before", other] => assert!(place(task) < place(other), "{text}"),
        _ => panic!("no test knows this step: {text}"),
    }
}

fn yaml(step: &Step) -> Value {
    serde_saphyr::from_str(&step.doc.as_ref().unwrap().text).unwrap()
}

fn at(value: &Value, path: &str) -> Option<Value> {
    value
        .pointer(&format!("/{}", path.replace('.', "/")))
        .cloned()
}
