//! Starting runs, looking at them, changing them.

use crate::rig::{ECHO, Rig, WAITS, deploy, submit, until};
use flux_proto::v1::*;
use std::sync::atomic::Ordering;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn a_run_goes_from_its_input_to_its_output() {
    let rig = Rig::new();
    let (mut client, _engine) = (rig.client().await, rig.engine().await);
    let workflow = deploy(&mut client, "echo", ECHO).await;
    let name = submit(&mut client, &workflow, "{\"amount\": 12345678901234567890}").await;
    let run = until(&mut client, &name, RunState::Completed).await;
    assert_eq!(
        run.output_json,
        "{\"got\":{\"amount\":12345678901234567890}}"
    );
    assert_eq!(run.workflow, workflow);
    assert!(run.create_time.is_some() && run.end_time.is_some());
    let request = ListCommitsRequest {
        parent: name.clone(),
    };
    let commits = client
        .list_commits(request)
        .await
        .unwrap()
        .into_inner()
        .commits;
    assert_eq!(commits.last().unwrap().engine, "worker");
    assert!(commits[0].branch.starts_with(&format!("{name}/branches/")));
    let reasons = client
        .explain_run(ExplainRunRequest { name })
        .await
        .unwrap();
    assert!(reasons.into_inner().reasons[0].text.contains("completed"));
}

#[tokio::test]
async fn a_request_id_starts_one_run_and_many_runs_start_together() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "echo", ECHO).await;
    let run = |request_id: &str| NewRun {
        workflow: workflow.clone(),
        request_id: request_id.to_owned(),
        traceparent: TRACE.to_owned(),
        ..NewRun::default()
    };
    let request = SubmitRunsRequest {
        runs: vec![run("a"), run("b"), run("")],
    };
    let first = client
        .submit_runs(request.clone())
        .await
        .unwrap()
        .into_inner()
        .runs;
    assert!(first.iter().all(|run| !run.already_submitted));
    assert_eq!(rig.beside.nudged.load(Ordering::SeqCst), 3);
    let again = client.submit_runs(request).await.unwrap().into_inner().runs;
    let already: Vec<bool> = again.iter().map(|run| run.already_submitted).collect();
    assert_eq!(already, [true, true, false]);
    assert_eq!(
        (&again[0].name, &again[1].name),
        (&first[0].name, &first[1].name)
    );
    assert_eq!(rig.beside.nudged.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn runs_are_listed_in_pages_newest_first_and_filtered() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "echo", ECHO).await;
    let other = deploy(&mut client, "other", ECHO).await;
    let mut expected = Vec::new();
    for index in 0..7 {
        expected.push(submit(&mut client, &workflow, &index.to_string()).await);
    }
    submit(&mut client, &other, "").await;
    expected.reverse();
    let filter = RunFilter {
        states: vec![RunState::Pending.into()],
        namespace: "test".to_owned(),
        workflow: "echo".to_owned(),
        since: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        }),
    };
    let (mut names, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (page_size, filter) = (3, Some(filter.clone()));
        let request = ListRunsRequest {
            page_size,
            page_token,
            filter,
        };
        let page = client.list_runs(request).await.unwrap().into_inner();
        names.extend(page.runs.into_iter().map(|run| run.name));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((names, pages), (expected, 3));
    let all = client.list_runs(ListRunsRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().runs.len(), 8);
}

#[tokio::test]
async fn an_event_wakes_a_run_once() {
    let rig = Rig::new();
    let (mut client, _engine) = (rig.client().await, rig.engine().await);
    let workflow = deploy(&mut client, "waits", WAITS).await;
    let name = submit(&mut client, &workflow, "").await;
    until(&mut client, &name, RunState::Waiting).await;
    let explained = client.explain_run(ExplainRunRequest { name: name.clone() });
    let reasons = explained.await.unwrap().into_inner().reasons;
    assert!(
        reasons[0].text.contains("waits for an event"),
        "{reasons:?}"
    );
    let request = ListBranchesRequest {
        parent: name.clone(),
    };
    let branches = client
        .list_branches(request)
        .await
        .unwrap()
        .into_inner()
        .branches;
    assert_eq!(branches.len(), 1);
    assert!(branches[0].awaits_events);
    let event = |r#type: &str| SignalRunRequest {
        name: name.clone(),
        r#type: r#type.to_owned(),
        id: "1".to_owned(),
        ..SignalRunRequest::default()
    };
    let go = client
        .signal_run(event("com.example.go"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((go.id.as_str(), go.already_delivered), ("1", false));
    until(&mut client, &name, RunState::Completed).await;
}

#[tokio::test]
async fn the_same_event_again_is_delivered_once() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "waits", WAITS).await;
    let name = submit(&mut client, &workflow, "").await;
    let event = SignalRunRequest {
        name,
        r#type: "com.example.go".to_owned(),
        data_json: "{\"ok\": true}".to_owned(),
        id: "1".to_owned(),
        ..SignalRunRequest::default()
    };
    let first = client.signal_run(event.clone()).await.unwrap().into_inner();
    let second = client.signal_run(event).await.unwrap().into_inner();
    assert_eq!(
        (first.already_delivered, second.already_delivered),
        (false, true)
    );
}

#[tokio::test]
async fn an_operator_holds_a_run_back_ends_it_and_removes_it() {
    let rig = Rig::new();
    let (mut client, _engine) = (rig.client().await, rig.engine().await);
    let workflow = deploy(&mut client, "waits", WAITS).await;
    let name = submit(&mut client, &workflow, "").await;
    until(&mut client, &name, RunState::Waiting).await;
    let paused = client
        .pause_run(PauseRunRequest { name: name.clone() })
        .await;
    let paused = paused.unwrap().into_inner().run.unwrap();
    assert_eq!(paused.state(), RunState::Suspended);
    let resumed = client
        .resume_run(ResumeRunRequest { name: name.clone() })
        .await;
    assert_ne!(
        resumed.unwrap().into_inner().run.unwrap().state(),
        RunState::Suspended
    );
    client
        .expedite_run(ExpediteRunRequest { name: name.clone() })
        .await
        .unwrap();
    let ended = client
        .cancel_run(CancelRunRequest { name: name.clone() })
        .await;
    assert_eq!(
        ended.unwrap().into_inner().run.unwrap().state(),
        RunState::Cancelled
    );
    client
        .remove_run(RemoveRunRequest { name: name.clone() })
        .await
        .unwrap();
    let gone = client.get_run(GetRunRequest { name }).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_faulted_run_goes_on_when_it_is_recovered() {
    let rig = Rig::new();
    let (mut client, _engine) = (rig.client().await, rig.engine().await);
    let tasks = "  - fail: { raise: { error: { type: https://example.com/no, status: 400 } } }\n";
    let workflow = deploy(&mut client, "fails", tasks).await;
    let name = submit(&mut client, &workflow, "").await;
    let run = until(&mut client, &name, RunState::Faulted).await;
    assert_eq!(run.fault.unwrap().r#type, "https://example.com/no");
    let recovered = client
        .recover_run(RecoverRunRequest { name: name.clone() })
        .await;
    assert!(recovered.unwrap().into_inner().run.is_some());
    until(&mut client, &name, RunState::Faulted).await;
    let request = ListCommitsRequest { parent: name };
    let commits = client
        .list_commits(request)
        .await
        .unwrap()
        .into_inner()
        .commits;
    assert!(
        commits
            .iter()
            .any(|commit| commit.events_json.contains("recovered"))
    );
}

#[tokio::test]
async fn heavy_runs_make_short_pages() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "echo", ECHO).await;
    let heavy = format!("\"{}\"", "x".repeat(1_000_000));
    for _ in 0..5 {
        submit(&mut client, &workflow, &heavy).await;
    }
    let page = client
        .list_runs(ListRunsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.runs.len(), 3);
    let (page_size, page_token) = (50, page.next_page_token);
    let request = ListRunsRequest {
        page_size,
        page_token,
        filter: None,
    };
    let rest = client.list_runs(request).await.unwrap().into_inner();
    assert_eq!((rest.runs.len(), rest.next_page_token.as_str()), (2, ""));
}
