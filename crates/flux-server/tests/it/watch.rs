//! Following a run.

use crate::rig::{PATIENCE, Rig, WAITS, deploy, submit, until};
use flux_proto::v1::*;
use tokio::time::timeout;
use tonic::{Code, Streaming};

/// Two commits, one event, two more.
const STEPS: &str =
    "  - one: { wait: { milliseconds: 1 } }\n  - two: { wait: { milliseconds: 1 } }\n";

fn request(name: &str, resume_token: &str) -> WatchRunRequest {
    WatchRunRequest {
        name: name.to_owned(),
        resume_token: resume_token.to_owned(),
    }
}

/// All that comes until the end of the stream.
async fn rest(mut stream: Streaming<WatchRunResponse>) -> Vec<WatchRunResponse> {
    let mut all = Vec::new();
    while let Some(news) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        all.push(news);
    }
    all
}

fn numbers(all: &[WatchRunResponse]) -> Vec<u64> {
    let commits = all.iter().flat_map(|news| &news.commits);
    commits.map(|commit| commit.commit_no).collect()
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_with_each_commit_once() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "steps", &format!("{STEPS}{WAITS}")).await;
    let name = submit(&mut client, &workflow, "").await;
    let stream = client
        .watch_run(request(&name, ""))
        .await
        .unwrap()
        .into_inner();
    let watching = tokio::spawn(rest(stream));
    let _engine = rig.engine().await;
    until(&mut client, &name, RunState::Waiting).await;
    let event = SignalRunRequest {
        name: name.clone(),
        r#type: "com.example.go".to_owned(),
        ..SignalRunRequest::default()
    };
    client.signal_run(event).await.unwrap();
    let all = watching.await.unwrap();
    let last = all.last().unwrap();
    assert_eq!(last.run.as_ref().unwrap().state(), RunState::Completed);
    let told = numbers(&all);
    let history = client
        .list_commits(ListCommitsRequest {
            parent: name.clone(),
        })
        .await;
    let history = history.unwrap().into_inner().commits;
    let expected: Vec<u64> = history.iter().map(|commit| commit.commit_no).collect();
    assert_eq!(told, expected);
    let again = client
        .watch_run(request(&name, &last.resume_token))
        .await
        .unwrap();
    let again = rest(again.into_inner()).await;
    assert_eq!(
        (again.len(), numbers(&again)),
        (1, vec![]),
        "nothing is told twice"
    );
}

#[tokio::test]
async fn whoever_comes_back_to_another_engine_misses_nothing() {
    let rig = Rig::new();
    let (first, second) = (rig.serve().await, rig.serve().await);
    let mut client = first.client().await;
    let workflow = deploy(&mut client, "steps", &format!("{WAITS}{STEPS}")).await;
    let name = submit(&mut client, &workflow, "").await;
    let engine = rig.engine().await;
    until(&mut client, &name, RunState::Waiting).await;
    let mut stream = client
        .watch_run(request(&name, ""))
        .await
        .unwrap()
        .into_inner();
    let before = stream.message().await.unwrap().unwrap();
    first.end.cancel();
    let ended = timeout(PATIENCE, stream.message())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    timeout(PATIENCE, first.task).await.unwrap().unwrap();
    let mut client = second.client().await;
    let event = SignalRunRequest {
        name: name.clone(),
        r#type: "com.example.go".to_owned(),
        ..SignalRunRequest::default()
    };
    client.signal_run(event).await.unwrap();
    until(&mut client, &name, RunState::Completed).await;
    let after = client
        .watch_run(request(&name, &before.resume_token))
        .await
        .unwrap();
    let mut told = numbers(std::slice::from_ref(&before));
    told.extend(numbers(&rest(after.into_inner()).await));
    let history = client
        .list_commits(ListCommitsRequest { parent: name })
        .await;
    let history = history.unwrap().into_inner().commits;
    let expected: Vec<u64> = history.iter().map(|commit| commit.commit_no).collect();
    assert!(!expected.is_empty());
    assert_eq!(told, expected);
    engine.drain().await;
}
