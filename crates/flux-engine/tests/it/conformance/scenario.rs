//! One scenario of a feature: its definition, and the steps that judge what became of it.

use crate::harness::{fault, output};
use flux_core::ports::runs::RunRecord;
use flux_testkit::gherkin::{Scenario, Step};
use serde_json::Value;

/// What became of a scenario.
pub struct Played {
    pub record: RunRecord,
    /// The tasks that ended, in order.
    pub tasks: Vec<String>,
    /// Commit points of all branches.
    pub commits: usize,
}

/// The definition of a scenario and its input, as text.
pub fn given(scenario: &Scenario) -> (&str, String) {
    let step = |text: &str| scenario.steps.iter().find(|step| step.text.contains(text));
    let definition = step("a workflow with definition").expect("it has a definition");
    let input = step("the workflow input is").map_or("null".to_owned(), |s| yaml(s).to_string());
    (&definition.doc.as_ref().unwrap().text, input)
}

/// Judges what became of a scenario by its own words.
pub fn check(scenario: &Scenario, played: &Played) {
    let given = ["a workflow with definition", "the workflow input is"];
    for step in &scenario.steps {
        let text = step.text.as_str();
        if text != "the workflow is executed" && !given.iter().any(|given| text.contains(given)) {
            check_step(played, step);
        }
    }
}

fn check_step(played: &Played, step: &Step) {
    let (record, text) = (&played.record, step.text.as_str());
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
        order(&played.tasks, text);
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
