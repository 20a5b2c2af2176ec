//! Many runs: filters and pages.

use flux_core::branch::RunState;
use flux_core::ids::RunId;
use flux_core::ports::branches::{Then, Wait};
use flux_core::ports::definitions::NewDefinition;
use flux_core::ports::runs::{NewRun, Outcome, RunFilter};

use super::fixture::*;

async fn listed(ports: &Ports, filter: RunFilter) -> Vec<RunId> {
    let runs = ports.store.list(filter).await.expect("list");
    runs.iter().map(|record| record.id).collect()
}

fn all() -> RunFilter {
    RunFilter {
        limit: 100,
        ..RunFilter::default()
    }
}

/// The run submitted last comes first, whatever its identifier and time.
pub async fn the_newest_come_first(ports: Ports) {
    ports.deploy().await;
    for number in [2, 3, 1] {
        ports.submit(vec![run(number)]).await;
    }
    let expected = [run_id(1), run_id(3), run_id(2)];
    assert_eq!(listed(&ports, all()).await, expected);
    let limited = RunFilter {
        limit: 2,
        ..RunFilter::default()
    };
    assert_eq!(listed(&ports, limited).await, expected[..2]);
    assert_eq!(listed(&ports, RunFilter::default()).await, [], "limit 0");
}

/// Pages: each begins where the one before ended.
pub async fn pages_leave_nothing_out(ports: Ports) {
    ports.deploy().await;
    ports.submit((1..=5).map(run).collect()).await;
    let mut seen = Vec::new();
    loop {
        let filter = RunFilter {
            limit: 2,
            before: seen.last().copied(),
            ..RunFilter::default()
        };
        let page = listed(&ports, filter).await;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let expected: Vec<_> = (1..=5).rev().map(run_id).collect();
    assert_eq!(seen, expected);
}

/// Each state of a run finds its runs, and no others.
pub async fn runs_are_found_by_state(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit((1..=5).map(run).collect()).await;
    let claimed = ports.claim_all(owner).await;
    let thens = [
        Then::Run,
        waits(Wait::default()),
        ends(Outcome::Cancelled),
        ends(faulted()),
        ends(completed()),
    ];
    for (claimed, then) in claimed.iter().zip(thens) {
        ports.stored(commit(claimed, then)).await;
    }
    ports.submit(vec![run(6)]).await;
    let expected = [
        (RunState::Pending, vec![run_id(6)]),
        (RunState::Running, vec![run_id(1)]),
        (RunState::Waiting, vec![run_id(2)]),
        (RunState::Suspended, vec![]),
        (RunState::Cancelled, vec![run_id(3)]),
        (RunState::Faulted, vec![run_id(4)]),
        (RunState::Completed, vec![run_id(5)]),
    ];
    for (state, runs) in expected {
        let filter = RunFilter {
            states: vec![state],
            ..all()
        };
        assert_eq!(listed(&ports, filter).await, runs, "{state}");
    }
    let two = RunFilter {
        states: vec![RunState::Faulted, RunState::Waiting],
        ..all()
    };
    assert_eq!(listed(&ports, two).await, [run_id(4), run_id(2)]);
}

/// A filter by state fills its page from older runs.
pub async fn a_limit_counts_what_passes(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![run(1), run(2)]).await;
    for claimed in ports.claim_all(owner).await {
        ports.stored(commit(&claimed, ends(completed()))).await;
    }
    ports.submit((3..=9).map(run).collect()).await;
    let filter = RunFilter {
        states: vec![RunState::Completed],
        limit: 2,
        ..RunFilter::default()
    };
    assert_eq!(listed(&ports, filter).await, [run_id(2), run_id(1)]);
}

/// Namespace, name and time of submission narrow the list.
pub async fn runs_are_found_by_name_and_time(ports: Ports) {
    ports.deploy().await;
    let mut other = definition("other", "1", "other");
    other.name.namespace = "elsewhere".to_owned();
    ports.store.deploy(other.clone()).await.expect("deploy");
    let NewDefinition { chart, name, .. } = other;
    let foreign = |number| NewRun {
        chart: chart.clone(),
        name: name.clone(),
        ..run(number)
    };
    ports
        .submit(vec![run(1), foreign(2), run(3), foreign(4)])
        .await;
    let by_name = RunFilter {
        name: Some("wf".to_owned()),
        ..all()
    };
    assert_eq!(
        listed(&ports, by_name.clone()).await,
        [run_id(3), run_id(1)]
    );
    let by_namespace = RunFilter {
        namespace: Some("elsewhere".to_owned()),
        ..all()
    };
    assert_eq!(listed(&ports, by_namespace).await, [run_id(4), run_id(2)]);
    let neither = RunFilter {
        namespace: Some("elsewhere".to_owned()),
        ..by_name.clone()
    };
    assert_eq!(listed(&ports, neither).await, []);
    let since = RunFilter {
        since: Some(at(3)),
        ..by_name
    };
    assert_eq!(listed(&ports, since).await, [run_id(3)], "at or after");
}
