//! The conformance kit of the Open Workflow DSL, and forks that it does not have, run by real engines
//! on a real store in three ways, with the same results: by one engine, by three of which none runs
//! two branches of a fork, and by three of which one dies at a commit point that is drawn, once just
//! before and once just after it. The kit's files are read where they are; without them the test says
//! so. `FLUX_CONFORMANCE_SEED` repeats the draws.

mod scenario;

use crate::harness::House;
use crate::usher::{Death, Fork, Moment, Usher};
use flux_core::ports::runs::{RunRecord, Runs};
use flux_testkit::gherkin::{self, Scenario};
use flux_testkit::{Stub, conformance, drawn, seed};
use futures_util::{FutureExt, StreamExt, stream};
use scenario::{Played, check, given};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Hosts that the kit's definitions call.
const HOSTS: [&str; 2] = ["petstore.swagger.io", "httpbin.org"];

/// Scenarios that need `call: openapi`, which is refused at validation.
const REFUSED: [&str; 2] = [
    "Call OpenAPI With Content Output",
    "Call OpenAPI With Response Output",
];

/// Scenarios whose output is another each time, so that only their own steps judge it: it has a fresh
/// id, the idempotency key of a call, or whoever was first.
const FREE: [&str; 3] = [
    "Emit Task",
    "Call HTTP With Response Output",
    "Fork Task With Competing Concurrent Sub Tasks",
];

/// In the ways with several.
const ENGINES: usize = 3;

/// Scenarios at a time; most of their time they wait for a window to pass.
const AT_A_TIME: usize = 6;

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
enum Way {
    Alone,
    Apart,
    Bereft(Death),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_of_the_kit_that_needs_no_openapi_gives_the_same_in_three_ways() {
    let Some(features) = gherkin::kit() else {
        return;
    };
    let scenarios = features.into_iter().flat_map(|(_, kit)| kit.scenarios);
    let (refused, accepted): (Vec<_>, Vec<_>) =
        scenarios.partition(|scenario| REFUSED.contains(&scenario.name.as_str()));
    for scenario in &refused {
        assert!(is_refused(scenario), "{}", scenario.name);
    }
    assert_eq!(
        (accepted.len(), refused.len()),
        (19, 2),
        "the kit has other scenarios than expected"
    );
    assert_eq!(in_three_ways(accepted).await, 1, "scenarios with a fork");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_fork_gives_the_same_in_three_ways() {
    let scenarios = gherkin::parse(include_str!("forks.feature")).scenarios;
    let count = scenarios.len();
    assert_eq!(in_three_ways(scenarios).await, count);
}

fn is_refused(scenario: &Scenario) -> bool {
    let report = flux_lang::compile(given(scenario).0, "ctk.yaml").err();
    report.is_some_and(|report| report.to_string().contains("openapi"))
}

/// Runs all of them; how many had a fork.
async fn in_three_ways(scenarios: Vec<Scenario>) -> usize {
    let seed = seed("FLUX_CONFORMANCE_SEED");
    let stub = Arc::new(Stub::https(&HOSTS, conformance));
    let all = scenarios.into_iter().enumerate().map(|(number, scenario)| {
        let (stub, draw) = (Arc::clone(&stub), drawn(seed, number as u64));
        async move {
            let ways = AssertUnwindSafe(three_ways(&scenario, &stub, draw));
            let forked = ways.catch_unwind().await;
            forked.unwrap_or_else(|_| panic!("the scenario is: {}", scenario.name))
        }
    });
    let forked = stream::iter(all).buffer_unordered(AT_A_TIME);
    forked
        .filter(|forked| std::future::ready(*forked))
        .count()
        .await
}

/// Whether it had a fork.
async fn three_ways(scenario: &Scenario, stub: &Stub, draw: u64) -> bool {
    let (alone, _) = play(scenario, stub, Way::Alone).await;
    let at_commit = 1 + draw as usize % alone.commits;
    let name = &scenario.name;
    eprintln!(
        "{name}: one dies at commit {at_commit} of {}",
        alone.commits
    );
    let bereft = |moment| Way::Bereft(Death { at_commit, moment });
    let (apart, before, after) = tokio::join!(
        play(scenario, stub, Way::Apart),
        play(scenario, stub, bereft(Moment::BeforeItLands)),
        play(scenario, stub, bereft(Moment::BeforeItsAnswer)),
    );
    for played in [&alone, &apart.0, &before.0, &after.0] {
        check(scenario, played);
        if !FREE.contains(&name.as_str()) {
            assert_eq!(played.record.outcome, alone.record.outcome);
            assert_eq!(sorted(&played.tasks), sorted(&alone.tasks));
        }
    }
    apart.1
}

fn sorted(tasks: &[String]) -> Vec<&String> {
    let mut tasks: Vec<_> = tasks.iter().collect();
    tasks.sort();
    tasks
}

/// Runs a scenario; whether it had a fork.
async fn play(scenario: &Scenario, stub: &Stub, way: Way) -> (Played, bool) {
    let mut house = House::new();
    house.actions.http_ca_file = Some(stub.ca_file().to_owned());
    house.actions.http_resolve = HOSTS
        .iter()
        .map(|host| ((*host).to_owned(), 443, stub.address()))
        .collect();
    let (definition, input) = given(scenario);
    let (record, forked) = match way {
        Way::Alone => (house.run(definition, &input).await, false),
        Way::Apart => by_three(&house, definition, &input, None).await,
        Way::Bereft(death) => by_three(&house, definition, &input, Some(death)).await,
    };
    let played = Played {
        tasks: house.tasks(record.id).await,
        commits: house.store.history(record.id).await.unwrap().len(),
        record,
    };
    (played, forked)
}

/// Three engines, each with room for one branch and a connection of its own.
async fn by_three(
    house: &House,
    definition: &str,
    input: &str,
    death: Option<Death>,
) -> (RunRecord, bool) {
    let usher = Usher::new(ENGINES, death);
    let run = house.submit(definition, input).await;
    let mut engines = Vec::new();
    for number in 0..ENGINES {
        let mut config = house.config(&number.to_string());
        config.concurrency = 1;
        config.poll = Duration::from_millis(20);
        // Nobody is to be declared dead who is not.
        config.window = Duration::from_secs(if death.is_some() { 2 } else { 60 });
        let store = house.another_store();
        let mut stores = House::stores_of(&store);
        stores.branches = usher.door(number, store);
        let host = usher.host(number);
        engines.push(house.engine_by(config, stores, host).await);
    }
    let record = house.ended(run).await;
    let dead = usher.dead(ENGINES);
    for (number, engine) in engines.into_iter().enumerate() {
        match dead == Some(number) {
            true => drop(engine),
            false => engine.drain().await,
        }
    }
    let forks = usher.forks();
    match death {
        None => assert!(forks.iter().all(is_spread), "{forks:?}"),
        Some(death) => {
            let dead = dead.expect("one has died").to_string();
            let failovers = house.store.failovers(10).await.unwrap();
            let taken_over = failovers.iter().any(|failover| failover.from_name == dead);
            // What was not committed needs somebody else, unless another branch ended the fork.
            let needed = matches!(death.moment, Moment::BeforeItLands) && forks.is_empty();
            assert!(taken_over || !needed, "{failovers:?}");
        }
    }
    (record, !forks.is_empty())
}

/// As many engines were at work on a fork as can be.
fn is_spread(fork: &Fork) -> bool {
    let engines: BTreeSet<_> = fork.values().flatten().collect();
    engines.len() == fork.len().min(ENGINES)
}
