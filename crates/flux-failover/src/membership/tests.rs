#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::SystemHost;
use crate::memory::{Memory, eventually, new_member};
use flux_core::clock::{Clock, Timestamp};
use flux_core::ownership::Trust;
use flux_core::ports::members::{Joined, MemberState};

fn config(window_ms: u64) -> Config {
    Config {
        name: "engine".to_owned(),
        window: Duration::from_millis(window_ms),
        host: "host".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
        max_cluster_size: 35,
        poison_limit: 5,
    }
}

fn factory(store: &Arc<Memory>) -> Factory {
    let store = store.clone();
    Arc::new(move || store.clone())
}

async fn start(store: &Arc<Memory>, window_ms: u64) -> Membership {
    let clock = Arc::new(SystemHost);
    let started = Membership::start(config(window_ms), factory(store), clock).await;
    started.unwrap()
}

async fn trusted(membership: &Membership) {
    eventually("it is trusted", || {
        membership.trust().state() == Trust::Full
    })
    .await;
}

async fn stepping_down(membership: &Membership) -> Loss {
    let mut status = membership.status();
    let reached = status.wait_for(|status| matches!(status, Status::SteppingDown { .. }));
    match *reached.await.unwrap() {
        Status::SteppingDown { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_engine_joins_is_trusted_and_leaves() {
    let store = Memory::new();
    let membership = start(&store, 900).await;
    let me = membership.incarnation();
    assert_eq!(*membership.status().borrow(), Status::Joined(me));
    trusted(&membership).await;
    membership.drain().await.unwrap();
    membership.leave().await.unwrap();
    assert_eq!(*membership.status().borrow(), Status::Left);
    assert_eq!(store.get(me), None);
    assert_eq!(membership.rejoin().await, None);
}

#[tokio::test]
async fn the_one_too_many_is_told_the_limit() {
    let store = Memory::new();
    let mut members = Vec::new();
    for _ in 0..35 {
        members.push(start(&store, 3_000).await);
    }
    let clock = Arc::new(SystemHost);
    let refused = Membership::start(config(3_000), factory(&store), clock).await;
    let error = refused.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the cluster has 35 engines already, its limit; MAX_CLUSTER_SIZE raises it"
    );
    members.pop().unwrap().leave().await.unwrap();
    start(&store, 3_000).await;
}

#[tokio::test]
async fn a_cluster_full_of_dead_engines_lets_a_new_one_in() {
    let store = Memory::new();
    for _ in 0..35 {
        // Joined, but never heard of again.
        let joined = store.join(
            new_member(Duration::from_millis(300)),
            35,
            Timestamp::default(),
        );
        assert_eq!(joined.await.unwrap(), Joined::Yes);
    }
    let newcomer = start(&store, 300).await;
    assert!(store.get(newcomer.incarnation()).is_some());
    assert!(!store.convictions().is_empty());
}

/// Nobody could wait for such a window to pass.
#[tokio::test]
async fn a_full_cluster_is_told_at_once_where_failover_is_disabled() {
    const TEN_YEARS: Duration = Duration::from_secs(315_360_000);
    let store = Memory::new();
    for _ in 0..35 {
        let joined = store.join(new_member(TEN_YEARS), 35, Timestamp::default());
        assert_eq!(joined.await.unwrap(), Joined::Yes);
    }
    let window_ms = u64::try_from(TEN_YEARS.as_millis()).unwrap();
    let clock = Arc::new(SystemHost);
    let refused = Membership::start(config(window_ms), factory(&store), clock).await;
    assert!(matches!(
        refused.err(),
        Some(StartError::ClusterFull { limit: 35 })
    ));
}

#[tokio::test]
async fn an_engine_waits_for_a_store_that_is_away() {
    let store = Memory::new();
    store.set_away(true);
    let starting = {
        let store = store.clone();
        tokio::spawn(async move { start(&store, 900).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!starting.is_finished());
    store.set_away(false);
    trusted(&starting.await.unwrap()).await;
}

#[tokio::test]
async fn after_an_outage_an_engine_steps_down_and_comes_back_as_another() {
    let store = Memory::new();
    let membership = start(&store, 900).await;
    let old = membership.incarnation();
    trusted(&membership).await;
    store.give(old, &[0, 0, 0]);
    store.set_away(true);
    assert_eq!(stepping_down(&membership).await, Loss::Silent);

    let rejoining = {
        let membership = membership.clone();
        tokio::spawn(async move { membership.rejoin().await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!rejoining.is_finished());
    store.set_away(false);
    let new = rejoining.await.unwrap().unwrap();
    assert_ne!(old, new);
    assert_eq!(membership.incarnation(), new);
    assert_eq!(*membership.status().borrow(), Status::Joined(new));
    let (who, by, _) = store.convictions().remove(0);
    assert_eq!((who, by), (old, old));

    // Its own old branches are free again without a window of waiting.
    let mut reports = membership.reports();
    let freed = reports.wait_for(|report| report.taken_over.len() == 3);
    freed.await.unwrap();
    trusted(&membership).await;
}

/// It has stopped what it ran when its trust was about to end, and then a heartbeat succeeded.
#[tokio::test]
async fn an_engine_that_steps_down_does_so_whatever_trust_has_come_back() {
    let store = Memory::new();
    let membership = start(&store, 900).await;
    let old = membership.incarnation();
    trusted(&membership).await;
    store.give(old, &[0]);
    let trust = membership.trust();
    let new = membership.rejoin().await.unwrap();
    assert_ne!(old, new);
    assert_eq!(trust.state(), Trust::Lost);
    assert_eq!(store.get(old).unwrap().state, MemberState::Dead);
    trusted(&membership).await;
}

#[tokio::test]
async fn an_engine_that_was_convicted_falsely_steps_down() {
    let store = Memory::new();
    let membership = start(&store, 900).await;
    let old = membership.incarnation();
    trusted(&membership).await;
    while !store
        .convict(
            old,
            store.get(old).unwrap().heartbeat_seq,
            old,
            "test",
            SystemHost.now(),
        )
        .await
        .unwrap()
    {}
    assert_eq!(stepping_down(&membership).await, Loss::Convicted);
    assert_ne!(membership.rejoin().await, Some(old));
    trusted(&membership).await;
}

#[tokio::test]
async fn an_engine_that_was_draining_does_not_come_back() {
    let store = Memory::new();
    let membership = start(&store, 900).await;
    trusted(&membership).await;
    membership.drain().await.unwrap();
    store.set_away(true);
    stepping_down(&membership).await;
    store.set_away(false);
    assert_eq!(membership.rejoin().await, None);
    assert_eq!(store.get(membership.incarnation()), None);
}

#[tokio::test]
async fn an_engine_takes_over_from_one_that_died() {
    let store = Memory::new();
    let (survivor, victim) = (start(&store, 1_500).await, start(&store, 1_500).await);
    trusted(&survivor).await;
    trusted(&victim).await;
    let dead = victim.incarnation();
    store.give(dead, &[0; 10]);
    // Nobody says goodbye: the threads end, the row stays.
    drop(victim);
    let mut reports = survivor.reports();
    let report = reports.wait_for(|report| !report.taken_over.is_empty());
    let report = report.await.unwrap().clone();
    assert_eq!(report.convicted[0].who, dead);
    assert_eq!(report.taken_over.len(), 10);
    assert!(report.convicted[0].silent >= Duration::from_millis(1_500));
    assert_eq!(survivor.trust().state(), Trust::Full);
}
