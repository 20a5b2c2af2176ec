//! Conformance scenarios, and a fork over three engines, by real engines that are killed: the results
//! are the same. The tests of the engine do it with every scenario, within one process.

use crate::{PATIENCE, Store, check, cluster, of, on_both_stores, wait_for_traces};
use flux_testkit::gherkin::{self, Scenario};
use flux_testkit::postgres::{Server, available};
use flux_testkit::proxy::{Commits, Cut, Proxy};
use flux_testkit::{Cluster, Witness, drawn, seed, shell_task, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_stores!(process_branches_of_a_fork_on_three_engines_end_the_same_when_one_is_killed);

/// Repeats what was drawn.
const SEED: &str = "FLUX_CONFORMANCE_SEED";

/// One of the first so many COMMITs is cut: of claims, of heartbeats, of what was committed.
const COMMITS: u64 = 5;

/// Scenarios whose output is another each time.
const FREE: [&str; 2] = ["Emit Task", "Fork Task With Competing Concurrent Sub Tasks"];

fn text<'s>(scenario: &'s Scenario, step: &str) -> Option<&'s str> {
    let step = scenario.steps.iter().find(|s| s.text.contains(step))?;
    step.doc.as_ref().map(|doc| doc.text.as_str())
}

/// Starts each scenario; the ids of the runs.
fn submit_all(cluster: &Cluster, scenarios: &[Scenario]) -> Vec<String> {
    let submit = |(number, scenario): (usize, &Scenario)| {
        let file = format!("scenario{number}.yaml");
        let definition = text(scenario, "a workflow with definition").unwrap();
        std::fs::write(cluster.directory().join(&file), definition).unwrap();
        let input = text(scenario, "the workflow input is").unwrap_or("null");
        let input: Value = serde_saphyr::from_str(input).unwrap();
        let run = cluster.flux(&["submit", &file, "--input", &input.to_string()]);
        cluster.acknowledged(&run);
        run
    };
    scenarios.iter().enumerate().map(submit).collect()
}

/// How each of the runs ended.
fn ends(cluster: &Cluster, scenarios: &[Scenario], runs: &[String]) -> Vec<Value> {
    let end = |(run, scenario): (&String, &Scenario)| {
        let over = |run: &Value| ["completed", "faulted"].contains(&run["state"].as_str().unwrap());
        wait_until(&format!("{run} has ended"), PATIENCE, || {
            over(&cluster.show(run))
        });
        let shown = cluster.show(run);
        let name = scenario.name.as_str();
        let output = (!FREE.contains(&name)).then_some(&shown["output"]);
        json!([name, shown["state"], output, shown["fault"]])
    };
    runs.iter().zip(scenarios).map(end).collect()
}

#[test]
fn process_scenarios_of_the_kit_end_the_same_when_their_engine_is_killed_at_a_commit() {
    let (Some(kit), true) = (gherkin::kit(), available()) else {
        return;
    };
    let scenarios = kit.into_iter().flat_map(|(_, feature)| feature.scenarios);
    let calls = |s: &Scenario| {
        text(s, "a workflow with definition")
            .unwrap()
            .contains("call:")
    };
    let scenarios: Vec<_> = scenarios.filter(|scenario| !calls(scenario)).collect();
    let seed = seed(SEED);
    let nth = 1 + (drawn(seed, 0) % COMMITS) as usize;
    let cuts = [
        Cut::BeforeForwarding,
        Cut::BeforeAnswer,
        Cut::AfterForwarding,
    ];
    let cut = cuts[(drawn(seed, 1) % 3) as usize];
    eprintln!("{} scenarios; at COMMIT {nth}: {cut:?}", scenarios.len());

    let database = Server::shared().create_database();
    let cluster = cluster("+4s").on(database.url());
    let proxy = Proxy::postgres(database.url());
    let way = proxy.url(database.url());
    let mut doomed = cluster.engine_by(&way, "doomed").spawn();
    doomed.wait_for_line("ready", PATIENCE);
    let runs = submit_all(&cluster, &scenarios);
    let expected = ends(&cluster, &scenarios, &runs);
    assert_eq!(cluster.failovers(), [] as [Value; 0]);

    // All of them at once, when it comes back to itself.
    doomed.stop();
    let runs = submit_all(&cluster, &scenarios);
    proxy.commits(Commits::Nth(nth, cut));
    doomed.cont();
    wait_until("a COMMIT is cut", PATIENCE, || {
        proxy.counts().commits_cut == 1
    });
    doomed.kill9();
    let _heir = cluster.start("heir");
    assert_eq!(ends(&cluster, &scenarios, &runs), expected);
    check(&cluster, None);
}

/// Each branch first waits for the others to be there, so that each has an engine of its own.
fn process_branches_of_a_fork_on_three_engines_end_the_same_when_one_is_killed(store: Store) {
    let (cluster, witness) = (store.cluster("+3s"), Witness::new());
    let mut engines = ["a", "b", "c"].map(|name| {
        let engine = cluster.engine(name).env("FLUX_CONCURRENCY_LEVEL", "1");
        engine.spawn()
    });
    for engine in &engines {
        engine.wait_for_line("ready", PATIENCE);
    }
    let branch = |n: usize| {
        let here = "until [ -e here1 ] && [ -e here2 ] && [ -e here3 ]; do sleep 0.05; done";
        let meet = witness.around(&format!("touch here{n}; {here}"));
        let work = witness.around("until [ -e go ]; do sleep 0.05; done");
        let tasks = shell_task(&format!("meet{n}"), &meet)
            + &shell_task(&format!("work{n}"), &format!("{work}; echo {n}"));
        let tasks = tasks.replace("  - ", "                - ");
        format!("          - branch{n}:\n              do:\n{tasks}")
    };
    let branches: String = (1..=3).map(branch).collect();
    let tasks = format!("  - all:\n      fork:\n        branches:\n{branches}");
    let run = cluster.submit("apart", &tasks, 1).remove(0);
    (1..=3).for_each(|n| wait_for_traces(&witness, &format!("work{n}"), 1));
    let shown = cluster.show(&run);
    let owners = shown["branches"].as_array().unwrap().iter();
    let owners: BTreeSet<_> = owners
        .filter_map(|branch| branch["incarnation"].as_str())
        .collect();
    assert_eq!(owners.len(), 3, "{shown}");

    engines[(drawn(seed(SEED), 0) % 3) as usize].kill9();
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_for_state(&run, "completed");
    assert_eq!(cluster.show(&run)["output"], json!(["1", "2", "3"]));
    let traces = witness.traces();
    let count = |task: &str| {
        (1..=3)
            .map(|n| of(&traces, &format!("{task}{n}")).len())
            .sum::<usize>()
    };
    assert_eq!(count("meet"), 3, "behind their commit points");
    assert_eq!(count("work"), 4, "of one engine again");
    check(&cluster, Some(&witness));
}
