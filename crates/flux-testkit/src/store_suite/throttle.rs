//! Limits on what runs at the same time.

use flux_core::ids::BranchId;
use flux_core::ports::branches::{ClaimRequest, Claims, Wait};
use flux_core::ports::definitions::NewDefinition;
use flux_core::ports::runs::NewRun;
use flux_core::throttle::{Limits, Throttle};

use super::fixture::*;

fn ids(claims: &Claims) -> Vec<BranchId> {
    claims
        .branches
        .iter()
        .map(|claimed| claimed.branch)
        .collect()
}

/// A run of another workflow in the same namespace, and one of another namespace.
fn other(number: u32) -> NewRun {
    NewRun {
        name: name("other", "1"),
        ..run(number)
    }
}

fn elsewhere(number: u32) -> NewRun {
    let mut new = run(number);
    new.name.namespace = "elsewhere".to_owned();
    new
}

/// No more than the limit, whoever asks; the next one when one has ended.
pub async fn a_full_throttle_holds_back(ports: Ports) {
    ports.deploy().await;
    let (one, two) = (ports.engine(1).await, ports.engine(2).await);
    ports.throttle("ns/wf", Some(2), None).await;
    ports.submit((1..=4).map(run).collect()).await;
    let claims = ports.claims(one, 10, 10).await;
    assert_eq!(ids(&claims), [1, 2].map(branch_id));
    assert!(claims.throttled.waiting);
    for engine in [one, two] {
        let none = ports.claims(engine, 10, 10).await;
        assert_eq!((ids(&none), none.throttled.waiting), (vec![], true));
    }
    let first = &claims.branches[0];
    ports.stored(commit(first, ends(completed()))).await;
    assert_eq!(ids(&ports.claims(two, 10, 10).await), [branch_id(3)]);
    assert!(ports.claims(one, 10, 10).await.branches.is_empty());
}

/// A limit for engines counts what each of them runs.
pub async fn each_engine_has_its_own_slots(ports: Ports) {
    ports.deploy().await;
    let (one, two) = (ports.engine(1).await, ports.engine(2).await);
    ports.throttle("ns/wf", Some(3), Some(2)).await;
    ports.submit((1..=6).map(run).collect()).await;
    assert_eq!(ids(&ports.claims(one, 10, 10).await), [1, 2].map(branch_id));
    assert!(ports.claims(one, 10, 10).await.branches.is_empty());
    assert_eq!(ids(&ports.claims(two, 10, 10).await), [branch_id(3)]);
    assert!(ports.claims(two, 10, 10).await.branches.is_empty());
}

/// A slot is a running branch, so that nobody takes one to the grave.
pub async fn the_slots_of_a_dead_engine_come_back(ports: Ports) {
    ports.deploy().await;
    let (one, two) = (ports.engine(1).await, ports.engine(2).await);
    ports.throttle("ns/wf", Some(1), None).await;
    ports.submit((1..=2).map(run).collect()).await;
    assert_eq!(ids(&ports.claims(one, 10, 10).await), [branch_id(1)]);
    ports.kill(one, two).await;
    assert!(ports.claims(two, 10, 50).await.branches.is_empty());
    let freed = ports.members.take_over(one, two, 10, 5, at(50)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    assert_eq!(ports.claims(two, 10, 50).await.branches.len(), 1);
    assert!(ports.claims(two, 10, 50).await.branches.is_empty());
}

/// Waiting needs no slot; going on needs one again.
pub async fn a_waiting_branch_holds_no_slot(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(1), None).await;
    ports.submit((1..=2).map(run).collect()).await;
    let first = ports.claim_one(owner).await;
    let until_30 = Wait {
        due_at: Some(at(30)),
        ..Wait::default()
    };
    ports.stored(commit(&first, waits(until_30))).await;
    let second = ports.claim_one(owner).await;
    assert_eq!(second.branch, branch_id(2));
    assert!(ports.claims(owner, 10, 40).await.branches.is_empty());
    ports.stored(commit(&second, ends(completed()))).await;
    assert_eq!(ids(&ports.claims(owner, 10, 40).await), [branch_id(1)]);
}

/// However much of a full throttle is older than other work.
pub async fn what_is_held_back_is_in_nobodys_way(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(0), None).await;
    ports.submit((1..=600).map(run).collect()).await;
    ports.submit(vec![other(1_000), elsewhere(1_001)]).await;
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.extend(ids(&ports.claims(owner, 10, 10).await));
    }
    assert_eq!(taken, [1_000, 1_001].map(branch_id));
}

/// What is in a namespace shares the slots of its throttle, beside those of the workflow.
pub async fn a_namespace_shares_its_slots(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns", Some(3), None).await;
    ports.throttle("ns/wf", Some(1), None).await;
    let runs = vec![run(1), run(2), other(3), other(4), other(5), elsewhere(6)];
    ports.submit(runs).await;
    let claims = ports.claims(owner, 10, 10).await;
    assert_eq!(ids(&claims), [1, 3, 4, 6].map(branch_id));
    ports
        .stored(commit(&claims.branches[0], ends(completed())))
        .await;
    assert_eq!(ids(&ports.claims(owner, 10, 10).await), [branch_id(2)]);
}

/// A new throttle stops nothing, and counts what runs in its scope.
pub async fn what_runs_already_counts(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit((1..=2).map(run).collect()).await;
    let running = ports.claim_all(owner).await;
    ports.submit(vec![run(3), elsewhere(4)]).await;
    ports.throttle("ns", Some(2), None).await;
    assert_eq!(ids(&ports.claims(owner, 10, 10).await), [branch_id(4)]);
    ports.stored(commit(&running[0], ends(completed()))).await;
    assert_eq!(ids(&ports.claims(owner, 10, 10).await), [branch_id(3)]);
}

/// Limits can be changed at any time, and be taken away.
pub async fn a_removed_throttle_holds_nothing_back(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(0), None).await;
    ports.submit((1..=5).map(run).collect()).await;
    assert!(ports.claims(owner, 10, 10).await.branches.is_empty());
    ports.throttle("ns/wf", Some(2), None).await;
    assert_eq!(
        ids(&ports.claims(owner, 10, 10).await),
        [1, 2].map(branch_id)
    );
    ports.throttle("ns/wf", None, None).await;
    assert_eq!(ports.store.throttles().await, Ok(Vec::new()));
    assert_eq!(
        ids(&ports.claims(owner, 10, 10).await),
        [3, 4, 5].map(branch_id)
    );
}

/// Slots do not change who comes first.
pub async fn the_most_urgent_gets_the_slot(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(1), None).await;
    let urgent = |number| NewRun {
        priority: -5,
        ..run(number)
    };
    ports.submit(vec![run(1), other(2), run(3)]).await;
    assert_eq!(ids(&ports.claims(owner, 1, 10).await), [branch_id(1)]);
    ports.submit(vec![urgent(4)]).await;
    let claims = ports.claims(owner, 10, 10).await;
    assert_eq!(ids(&claims), [branch_id(2)], "the slot is taken");
    ports.throttle("ns/wf", Some(2), None).await;
    ports.submit(vec![other(5)]).await;
    let claims = ports.claims(owner, 1, 10).await;
    assert_eq!(ids(&claims), [branch_id(4)], "before what is older");
}

/// Who looks is told what could start, which is not what is ready.
pub async fn a_look_tells_of_slots(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(2), None).await;
    ports.submit((1..=4).map(run).collect()).await;
    ports.submit(vec![other(5)]).await;
    let request = ClaimRequest {
        owner,
        limit: 0,
        pool: None,
        now: at(10),
        alone_from: u32::MAX,
        count: 100,
    };
    let look = ports.store.claim(request).await.expect("claim");
    assert_eq!((look.branches.len(), look.ready.common), (0, 1));
    assert_eq!(
        (look.throttled.waiting, look.throttled.startable),
        (true, 2)
    );
}

/// Who holds the slots, and how much waits for one.
pub async fn throttles_are_listed_with_their_holders(ports: Ports) {
    ports.deploy().await;
    let (one, two) = (ports.engine(1).await, ports.engine(2).await);
    ports.throttle("ns/wf", Some(3), Some(2)).await;
    ports.throttle("elsewhere", None, Some(7)).await;
    ports.submit((1..=5).map(run).collect()).await;
    ports.claims(one, 10, 10).await;
    ports.claims(two, 10, 10).await;
    let listed = ports.store.throttles().await.expect("throttles");
    let throttle = |scope: &str, cluster, engine| Throttle {
        scope: scope.parse().expect("a scope"),
        limits: Limits { cluster, engine },
    };
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].throttle, throttle("elsewhere", None, Some(7)));
    assert_eq!((listed[0].holders.len(), listed[0].waiting), (0, 0));
    assert_eq!(listed[1].throttle, throttle("ns/wf", Some(3), Some(2)));
    let holders = [("engine-1".to_owned(), 2), ("engine-2".to_owned(), 1)];
    assert_eq!(
        (&listed[1].holders[..], listed[1].waiting),
        (&holders[..], 2)
    );
}

/// A definition's own limits hold from its first deployment, until somebody sets others.
pub async fn a_definition_brings_its_limits_once(ports: Ports) {
    let limits = Limits {
        cluster: Some(4),
        engine: None,
    };
    let limited = |version: &str, source: &str| NewDefinition {
        limits: Some(limits),
        ..definition("wf", version, source)
    };
    ports
        .store
        .deploy(limited("1", "source"))
        .await
        .expect("deploy");
    let listed = ports.store.throttles().await.expect("throttles");
    let throttle = Throttle {
        scope: "ns/wf".parse().expect("a scope"),
        limits,
    };
    assert_eq!(listed[0].throttle, throttle);
    ports.throttle("ns/wf", Some(9), None).await;
    ports
        .store
        .deploy(limited("1", "source"))
        .await
        .expect("deploy");
    let listed = ports.store.throttles().await.expect("throttles");
    assert_eq!(listed[0].throttle.limits.cluster, Some(9));
    ports
        .store
        .deploy(limited("2", "another"))
        .await
        .expect("deploy");
    let listed = ports.store.throttles().await.expect("throttles");
    assert_eq!(listed[0].throttle, throttle);
}
