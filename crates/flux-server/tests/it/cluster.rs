//! Engines: who is there, and who is to drain.

use crate::rig::{PATIENCE, Rig};
use flux_core::balance::{Load, Score};
use flux_core::clock::Clock;
use flux_core::ports::members::MemberState;
use flux_failover::SystemClock;
use flux_proto::v1::*;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn engines_are_listed_with_what_is_known_of_their_load() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let first = rig.member("first").await;
    rig.member("second").await;
    let engines = client.list_engines(ListEnginesRequest {}).await.unwrap();
    let engines = engines.into_inner().engines;
    assert_eq!(engines[0].name, format!("engines/{first}"));
    assert_eq!(
        (engines[0].display_name.as_str(), engines[0].pid),
        ("first", 7)
    );
    assert_eq!(engines[0].state(), EngineState::Alive);
    assert_eq!((engines.len(), engines[0].load), (2, None));
    let score = Some(Score {
        available: 0.5,
        claimed: 0,
    });
    let load = Load {
        running: 2,
        concurrency: 3,
        score,
    };
    *rig.beside.load.lock().unwrap() = Some((load, Duration::from_secs(1)));
    let engines = client.list_engines(ListEnginesRequest {}).await.unwrap();
    let load = engines.into_inner().engines[0].load.unwrap();
    assert_eq!((load.running, load.resources), (2, Some(0.5)));
}

#[tokio::test]
async fn an_engine_drains_itself_and_marks_another_one() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let other = rig.member("other").await;
    let name = format!("engines/{other}");
    client
        .drain_engine(DrainEngineRequest { name })
        .await
        .unwrap();
    let members = rig.members.members().await.unwrap();
    assert_eq!(members[0].state, MemberState::Draining);
    assert!(!rig.beside.drained.load(Ordering::SeqCst));
    let own = format!("engines/{}", rig.beside.incarnation);
    for name in ["engines/-".to_owned(), own] {
        rig.beside.drained.store(false, Ordering::SeqCst);
        client
            .drain_engine(DrainEngineRequest { name })
            .await
            .unwrap();
        assert!(rig.beside.drained.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn failovers_are_listed_newest_first() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let (judge, now) = (rig.member("judge").await, SystemClock.now());
    for name in ["a", "b"] {
        let dead = rig.member(name).await;
        let seen = rig.members.members().await.unwrap();
        let seq = seen
            .iter()
            .find(|m| m.incarnation == dead)
            .unwrap()
            .heartbeat_seq;
        let convicted = rig.members.convict(dead, seq, judge, "silence", now).await;
        assert!(convicted.unwrap());
    }
    let request = ListFailoversRequest { page_size: 0 };
    let all = client
        .list_failovers(request)
        .await
        .unwrap()
        .into_inner()
        .failovers;
    let names: Vec<&str> = all
        .iter()
        .map(|failover| failover.display_name.as_str())
        .collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(all[0].convicted_by_display_name, "judge");
    assert_eq!(all[0].evidence, "silence");
}

#[tokio::test]
async fn a_throttle_is_set_listed_and_removed() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let name = "namespaces/sales/workflows/order/throttle".to_owned();
    let limits = SetThrottleRequest {
        name: name.clone(),
        cluster_limit: Some(3),
        engine_limit: None,
    };
    client.set_throttle(limits).await.unwrap();
    let list = async || {
        let mut client = rig.client().await;
        let answer = client.list_throttles(ListThrottlesRequest {}).await;
        answer.unwrap().into_inner().throttles
    };
    let expected = Throttle {
        name: name.clone(),
        cluster_limit: Some(3),
        ..Throttle::default()
    };
    assert_eq!(list().await, [expected]);
    let removed = SetThrottleRequest {
        name,
        ..SetThrottleRequest::default()
    };
    client.set_throttle(removed).await.unwrap();
    assert_eq!(list().await, []);
    let wrong = SetThrottleRequest {
        name: "namespaces/sales/throttles/1".to_owned(),
        ..SetThrottleRequest::default()
    };
    let refused = client.set_throttle(wrong).await.unwrap_err();
    assert!(
        refused.message().contains("namespaces/sales/workflows"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_cluster_is_told_when_it_changes() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    rig.member("first").await;
    let mut news = client
        .watch_cluster(WatchClusterRequest {})
        .await
        .unwrap()
        .into_inner();
    let engines = news.message().await.unwrap().unwrap().engines;
    assert_eq!(engines.len(), 1);
    rig.member("second").await;
    let engines = timeout(PATIENCE, news.message()).await.unwrap();
    assert_eq!(engines.unwrap().unwrap().engines.len(), 2);
}
