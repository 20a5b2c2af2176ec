//! What an engine that has nothing to do sees coming.

use flux_core::ports::branches::{Outlook, Wait};
use flux_core::ports::definitions::{NewDefinition, NewSchedule};

use super::fixture::*;

const READY: Outlook = Outlook {
    ready: true,
    next_due: None,
    next_firing: None,
};

fn due(second: i64) -> Outlook {
    Outlook {
        next_due: Some(at(second)),
        ..Outlook::default()
    }
}

fn until(second: i64) -> Wait {
    Wait {
        due_at: Some(at(second)),
        ..Wait::default()
    }
}

/// Not when nothing is stored, and not when all that is stored runs or has ended.
pub async fn nothing_is_in_sight(ports: Ports) {
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
    let (_, claimed) = ports.running().await;
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
    ports.stored(commit(&claimed, ends(completed()))).await;
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
}

/// Whatever the asker's calendar says.
pub async fn what_is_ready_is_in_sight(ports: Ports) {
    ports.deploy().await;
    ports.submit(vec![run(20)]).await;
    assert_eq!(ports.outlook(None, 10).await, READY);
}

/// A waiting branch is announced until its time has come, and then it is as good as ready; behind it the
/// next one shows.
pub async fn what_comes_due_is_announced(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.submit(vec![run(1), run(2)]).await;
    let claims = ports.claims(owner, 10, 10).await;
    for (claimed, second) in claims.branches.iter().zip([60, 70]) {
        ports.stored(commit(claimed, waits(until(second)))).await;
    }
    assert_eq!(ports.outlook(None, 59).await, due(60));
    let both = Outlook {
        ready: true,
        ..due(70)
    };
    assert_eq!(ports.outlook(None, 60).await, both, "due at exactly now");
    assert_eq!(ports.outlook(None, 70).await, READY);
}

/// What another pool waits for is not looked at.
pub async fn each_pool_has_its_own_outlook(ports: Ports) {
    ports.deploy().await;
    ports.submit(vec![pinned(1, "other")]).await;
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
    assert_eq!(ports.outlook(Some("other"), 10).await, READY);
    assert_eq!(
        ports.outlook(Some("gpu=a100"), 10).await,
        Outlook::default()
    );
}

/// Engines with labels see what requires some of them, and what requires none.
pub async fn labels_see_what_requires_them(ports: Ports) {
    let definition = NewDefinition {
        pools: vec!["gpu=a100".to_owned()],
        ..definition("wf", "1", "source")
    };
    ports.store.deploy(definition).await.expect("deploy");
    ports.submit(vec![pinned(1, "gpu=a100")]).await;
    assert_eq!(ports.outlook(None, 10).await, Outlook::default());
    assert_eq!(
        ports.outlook(Some("gpu=h100"), 10).await,
        Outlook::default()
    );
    let labels = Some("gpu=a100,zone=eu");
    assert_eq!(ports.outlook(labels, 10).await, READY);
    let owner = ports.engine(1).await;
    let claims = ports.claims_of(labels, owner, 10, 10).await;
    assert_eq!(claims.branches.len(), 1);
    assert_eq!(ports.outlook(labels, 10).await, Outlook::default());
    ports.submit(vec![run(2)]).await;
    assert_eq!(ports.outlook(labels, 10).await, READY);
}

/// Before its time and after it, until somebody fires it.
pub async fn the_next_schedule_is_in_sight(ports: Ports) {
    let schedule = NewSchedule {
        due_at: at(60),
        after: None,
    };
    let definition = NewDefinition {
        schedule: Some(schedule),
        ..definition("wf", "1", "source")
    };
    ports.store.deploy(definition).await.expect("deploy");
    let announced = Outlook {
        next_firing: Some(at(60)),
        ..Outlook::default()
    };
    for second in [10, 70] {
        assert_eq!(ports.outlook(None, second).await, announced);
    }
}

/// It may have a slot at any moment.
pub async fn what_a_throttle_holds_is_in_sight(ports: Ports) {
    ports.deploy().await;
    let owner = ports.engine(1).await;
    ports.throttle("ns/wf", Some(1), None).await;
    ports.submit(vec![run(1), run(2)]).await;
    assert_eq!(ports.claims(owner, 10, 10).await.branches.len(), 1);
    assert_eq!(ports.outlook(None, 10).await, READY);
}
