//! Several engines on one store in this process: takeover, fences, drain.

use crate::harness::{House, PATIENCE, output, workflow};
use async_trait::async_trait;
use flux_core::branch::RunState;
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::runs::Runs;
use flux_store::{SqliteStore, Store};
use flux_testkit::wait_until_async;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LONG: &str = "do:\n  - long: { run: { shell: { command: 'sleep 1; echo done' } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_gives_branches_back_at_once() {
    let house = House::new();
    let body = r#"
do:
  - one: { run: { shell: { command: 'sleep 0.5' } } }
  - two: { run: { shell: { command: 'sleep 0.5; echo two' } } }
"#;
    let run = house.submit(&workflow("drained", body), "null").await;
    let first = house.engine("first").await;
    house
        .until(run, "it runs", |state| state == RunState::Running)
        .await;
    first.drain().await;
    let branch = house.store.branches(run).await.unwrap().remove(0);
    assert_eq!(branch.owner, None, "released without waiting for a window");
    assert_eq!(branch.lost, 0, "a drain is no failover");
    let second = house.engine("second").await;
    assert_eq!(output(&house.ended(run).await), json!("two"));
    assert!(house.store.failovers(10).await.unwrap().is_empty());
    second.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_share_the_work_and_each_run_ends_once() {
    let house = House::new();
    let mut config = house.config("a");
    config.concurrency = 2;
    let a = house.engine_with(config.clone()).await;
    config.name = "b".to_owned();
    let b = house.engine_with(config).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(house.submit(&workflow("long", LONG), "null").await);
    }
    let mut engines = std::collections::BTreeSet::new();
    for run in runs {
        assert_eq!(output(&house.ended(run).await), json!("done"));
        for record in house.store.history(run).await.unwrap() {
            engines.insert(record.engine);
        }
    }
    assert_eq!(engines.len(), 2, "both took part: {engines:?}");
    a.drain().await;
    b.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_keep_their_work_to_themselves() {
    let house = House::new();
    let mut config = house.config("pooled");
    config.pool = Some("other".to_owned());
    let pooled = house.engine_with(config).await;
    let run = house.submit(&workflow("long", LONG), "null").await;
    // The pooled engine polls every 50 ms; the common one then takes the run at once.
    let common = house.engine("common").await;
    house.ended(run).await;
    let history = house.store.history(run).await.unwrap();
    assert!(history.iter().all(|record| record.engine == "common"));
    wait_until_async("both are members", PATIENCE, async || {
        house.store.members().members().await.unwrap().len() == 2
    })
    .await;
    pooled.drain().await;
    common.drain().await;
}

/// A store whose first commit panics, as a mistake in the engine would.
struct Panicking {
    inner: Arc<SqliteStore>,
    left: AtomicBool,
}

#[async_trait]
impl Branches for Panicking {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        self.inner.outlook(pool, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        self.inner.claim(request).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        assert!(self.left.swap(true, Ordering::SeqCst), "a mistake");
        self.inner.commit(commit).await
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        self.inner.release(release).await
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        self.inner.owned(owner).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_run_and_the_engine_goes_on() {
    let house = House::new();
    let body = "do:\n  - one: { run: { shell: { command: 'echo one' } } }\n";
    let run = house.submit(&workflow("panic", body), "null").await;
    let branches = Panicking {
        inner: Arc::clone(&house.store),
        left: AtomicBool::new(false),
    };
    let mut stores = house.stores();
    stores.branches = Arc::new(branches);
    let engine = house.engine_on(house.config("one"), stores).await;
    let record = house.ended(run).await;
    assert_eq!(record.state, RunState::Faulted);
    let outcome = format!("{:?}", record.outcome);
    assert!(
        outcome.contains("the engine panicked: a mistake"),
        "{outcome}"
    );
    let next = house.submit(&workflow("panic", body), "null").await;
    assert_eq!(output(&house.ended(next).await), json!("one"));
    engine.drain().await;
}
