//! What operators do: cancel, recover, back up, prune.

use crate::home::{Home, PATIENCE, errors};
use flux_testkit::wait_until;
use serde_json::json;

/// Fails until the file `repaired` is there.
fn broken(home: &Home) -> String {
    let file = home.path("repaired");
    format!(
        "run: {{ shell: {{ command: 'test -e {} && echo well' }} }}",
        file.display()
    )
}

#[test]
fn a_recovered_run_goes_on_at_its_commit_point_and_not_before() {
    let home = Home::new();
    let witness = home.path("witness");
    let count = format!(
        "run: {{ shell: {{ command: 'echo x >> {}' }} }}",
        witness.display()
    );
    let body = format!(
        "  - first: {{ {count} }}\n  - second: {{ {} }}\n",
        broken(&home)
    );
    let file = home.definition("repair", &body);
    assert_eq!(home.fails(&["run", &file]).0, Some(3));
    let id = home.run_id();
    assert_eq!(
        home.fails(&["run", "--resume", &id]).0,
        Some(3),
        "it has ended"
    );
    home.text(&["recover", &id]);
    home.file("repaired", "");
    assert_eq!(home.json(&["run", "--resume", &id]), json!("well"));
    assert_eq!(std::fs::read_to_string(&witness).unwrap(), "x\n");
    assert!(home.text(&["history", &id]).contains("recovered"));
    let (code, message) = home.fails(&["recover", &id]);
    assert_eq!(code, Some(8));
    assert!(message.contains("completed"), "{message}");
}

#[test]
fn a_run_that_faulted_in_a_fork_splits_again() {
    let home = Home::new();
    let body = format!(
        "  - both:\n      fork:\n        branches:\n          - a: {{ {} }}\n          \
         - b: {{ run: {{ shell: {{ command: 'echo b' }} }} }}\n",
        broken(&home)
    );
    let file = home.definition("forked", &body);
    assert_eq!(home.fails(&["run", &file]).0, Some(3));
    let id = home.run_id();
    home.text(&["recover", &id]);
    // Again in vain: that, too, can be recovered.
    assert_eq!(home.fails(&["run", "--resume", &id]).0, Some(3));
    home.text(&["recover", &id]);
    home.file("repaired", "");
    assert_eq!(home.json(&["run", "--resume", &id]), json!(["well", "b"]));
}

#[test]
fn a_run_that_faulted_in_a_sub_workflow_starts_it_again() {
    let home = Home::new();
    let child = home.definition("child", &format!("  - step: {{ {} }}\n", broken(&home)));
    let parent = home.definition(
        "parent",
        "  - sub: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } }\n",
    );
    assert_eq!(home.fails(&["run", &parent, "--with", &child]).0, Some(3));
    let id = |name: &str| {
        let list = home.json(&["list", "--name", name, "-o", "json"]);
        list["runs"][0]["id"].as_str().unwrap().to_owned()
    };
    let (code, message) = home.fails(&["recover", &id("child")]);
    assert_eq!(code, Some(8), "{message}");
    home.text(&["recover", &id("parent")]);
    home.file("repaired", "");
    assert_eq!(
        home.json(&["run", "--resume", &id("parent")]),
        json!("well")
    );
}

#[test]
fn a_recovered_run_hears_events_again() {
    let home = Home::new();
    let listen = "{ listen: { to: { one: { with: { type: go } } } } }";
    let body = format!("  - step: {{ {} }}\n  - ear: {listen}\n", broken(&home));
    let file = home.definition("ear", &body);
    assert_eq!(home.fails(&["run", &file]).0, Some(3));
    let id = home.run_id();
    home.text(&["recover", &id]);
    home.file("repaired", "");
    home.text(&["signal", &id, "go", "--data", "7"]);
    let heard = home.json(&["run", "--resume", &id]);
    assert_eq!(heard[0], json!(7), "{heard}");
}

#[test]
fn process_a_cancelled_run_is_taken_from_the_engine_that_runs_it() {
    let home = Home::new();
    let (begun, done) = (home.path("begun"), home.path("done"));
    let command = format!(
        "touch {}; sleep 30; touch {}",
        begun.display(),
        done.display()
    );
    let body = format!("  - long: {{ run: {{ shell: {{ command: '{command}' }} }} }}\n");
    let file = home.definition("long", &body);
    let running = home.spawn(&["run", &file]);
    wait_until("the action has begun", PATIENCE, || begun.exists());
    let id = home.run_id();
    home.text(&["cancel", &id]);
    assert_eq!(home.fails(&["watch", &id]).0, Some(4));
    let output = running.wait();
    assert_eq!(output.status.code(), Some(4), "{}", errors(&output));
    assert!(!done.exists());
    let (code, message) = home.fails(&["cancel", &id]);
    assert_eq!(code, Some(8), "{message}");
}

#[test]
fn a_cancelled_run_takes_its_waiting_sub_workflow_along() {
    let home = Home::new();
    let child = home.definition("child", "  - nap: { wait: { hours: 1 } }\n");
    let parent = home.definition(
        "parent",
        "  - sub: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } }\n",
    );
    let waiting = ["run", &parent, "--with", &child, "--timeout", "1"];
    assert_eq!(home.fails(&waiting).0, Some(5));
    let list = home.json(&["list", "--name", "parent", "-o", "json"]);
    home.text(&["cancel", list["runs"][0]["id"].as_str().unwrap()]);
    let list = home.json(&["list", "--state", "cancelled", "-o", "json"]);
    assert_eq!(list["runs"].as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn a_backup_is_a_store_of_its_own_and_overwrites_nothing() {
    let home = Home::new();
    let file = home.path("copy/flux.db");
    let copy = file.to_str().unwrap();
    assert_eq!(
        home.fails(&["db", "backup", copy]).0,
        Some(7),
        "no store yet"
    );
    assert!(!home.path("flux.db").exists());
    home.text(&["run", "examples/hello/workflow.yaml"]);
    std::fs::create_dir(home.path("copy")).unwrap();
    home.text(&["db", "backup", copy]);
    assert_eq!(home.fails(&["db", "backup", copy]).0, Some(8));
    let folder = home.path("copy");
    let folder = folder.to_str().unwrap();
    let list = home.json(&["list", "-o", "json", "--data-dir", folder]);
    assert_eq!(list["runs"][0]["id"].as_str().unwrap(), home.run_id());
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    let names: Vec<_> = left
        .into_iter()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("flux.db");
    assert!(names.iter().all(ours), "{names:?}");
}

#[test]
fn prune_removes_what_ended_long_ago_and_nothing_that_is_open() {
    let home = Home::new();
    let nap = home.definition("nap", "  - nap: { wait: { hours: 1 } }\n");
    home.text(&["submit", &nap]);
    let quick = home.definition("quick", "  - x: { set: { y: 1 } }\n");
    for _ in 0..3 {
        home.text(&["run", &quick]);
    }
    let runs = || {
        home.json(&["list", "-o", "json"])["runs"]
            .as_array()
            .unwrap()
            .len()
    };
    assert!(
        home.text(&["db", "prune", "--older-than", "+30d"])
            .contains("removed 0 ")
    );
    assert_eq!(runs(), 4);
    assert!(
        home.text(&["db", "prune", "--older-than", "+0s"])
            .contains("removed 3 ")
    );
    assert_eq!(runs(), 1);
    let status = home.json(&["db", "status", "-o", "json"]);
    assert_eq!(status["runs"], json!({"pending": 1}));
    assert_eq!(status["branches"], json!({"ready": 1}));
    assert_eq!(home.fails(&["db", "prune", "--older-than=-30d"]).0, Some(2));
}

#[test]
fn prune_spares_the_sub_workflow_of_an_open_run() {
    let home = Home::new();
    let child = home.definition("child", "  - x: { set: { y: 1 } }\n");
    let sub = "{ run: { workflow: { namespace: test, name: child, version: '1.0.0' } } }";
    // The first child's branch goes on, the second one's ends while its run is open.
    let body = format!(
        "  - sub: {sub}\n  - both:\n      fork:\n        branches:\n          - a: {sub}\n          \
         - b: {{ wait: {{ hours: 1 }} }}\n"
    );
    let parent = home.definition("parent", &body);
    let waiting = ["run", &parent, "--with", &child, "--timeout", "2"];
    assert_eq!(home.fails(&waiting).0, Some(5));
    assert!(
        home.text(&["db", "prune", "--older-than", "+0s"])
            .contains("removed 0 ")
    );
    let list = home.json(&["list", "--name", "parent", "-o", "json"]);
    home.text(&["cancel", list["runs"][0]["id"].as_str().unwrap()]);
    assert!(
        home.text(&["db", "prune", "--older-than", "+0s"])
            .contains("removed 3 ")
    );
}

#[test]
fn a_recovered_run_gets_the_time_of_its_time_outs_anew() {
    let home = Home::new();
    let repaired = home.path("repaired");
    let slow = format!("test -e {} || sleep 20; echo well", repaired.display());
    let body = format!(
        "  - block:\n      timeout: {{ after: {{ seconds: 1 }} }}\n      do:\n        \
         - quick: {{ run: {{ shell: {{ command: 'true' }} }} }}\n        \
         - slow: {{ run: {{ shell: {{ command: '{slow}' }} }} }}\n"
    );
    let file = home.definition("late", &body);
    assert_eq!(home.fails(&["run", &file]).0, Some(3));
    let id = home.run_id();
    home.file("repaired", "");
    home.text(&["recover", &id]);
    assert_eq!(home.json(&["run", "--resume", &id]), json!("well"));
}

#[test]
fn a_priority_can_be_given_with_the_submission() {
    let home = Home::new();
    let file = home.definition("urgent", "  - a: { set: { x: 1 } }\n");
    home.text(&["submit", &file, "--priority", "-3"]);
    home.text(&["submit", &file]);
    let listed = home.json(&["list", "-o", "json"]);
    let priorities: Vec<_> = listed["runs"].as_array().unwrap().iter().collect();
    let priorities: Vec<_> = priorities.iter().map(|run| &run["priority"]).collect();
    assert_eq!(priorities, [&json!(10), &json!(-3)], "the newest first");
    let (code, message) = home.fails(&["submit", &file, "--priority", "1000001"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("-1000000..=1000000"), "{message}");
}
