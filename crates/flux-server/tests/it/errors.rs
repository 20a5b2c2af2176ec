//! Refusals: the code, the reason, and what is wrong with each field.

use crate::rig::{ECHO, Rig, deploy, submit};
use flux_proto::v1::*;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const NOBODY: &str = "runs/0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f";

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every refusal has a reason");
    assert_eq!(info.domain, "flux");
    info.reason.clone()
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request().expect("it says what is wrong");
    let fields = bad.field_violations.iter();
    fields.map(|violation| violation.field.clone()).collect()
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_with_an_example() {
    let mut client = Rig::new().client().await;
    let runs = vec![
        NewRun {
            workflow: "order".to_owned(),
            input_json: "{".to_owned(),
            request_id: "x".repeat(201),
            traceparent: "00-1".to_owned(),
            priority: Some(1_000_001),
        },
        NewRun {
            workflow: "namespaces/a/workflows/b/versions/1.0.0".to_owned(),
            request_id: "x".repeat(200),
            ..NewRun::default()
        },
    ];
    let refused = client
        .submit_runs(SubmitRunsRequest { runs })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(reason(&refused), "INVALID_FIELD");
    let wrong = [
        "workflow",
        "input_json",
        "request_id",
        "traceparent",
        "priority",
    ];
    assert_eq!(
        fields(&refused),
        wrong.map(|field| format!("runs[0].{field}"))
    );
    let details = refused.get_error_details();
    let about = &details.error_info().unwrap().metadata;
    assert_eq!(
        (about["field"].as_str(), about["value"].as_str()),
        ("runs[0].workflow", "order")
    );
    assert!(about["example"].starts_with("namespaces/"));
    assert!(
        refused.message().contains("and 4 more"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let mut client = Rig::new().client().await;
    let runs = vec![NewRun {
        workflow: "namespaces/a/workflows/b/versions/1.0.0".to_owned(),
        ..NewRun::default()
    }];
    let refused = client
        .submit_runs(SubmitRunsRequest { runs })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::NotFound, "WORKFLOW_NOT_FOUND")
    );
    let name = NOBODY.to_owned();
    let refused = [
        client
            .get_run(GetRunRequest { name: name.clone() })
            .await
            .unwrap_err(),
        client
            .pause_run(PauseRunRequest { name: name.clone() })
            .await
            .unwrap_err(),
        client
            .recover_run(RecoverRunRequest { name: name.clone() })
            .await
            .unwrap_err(),
        client
            .watch_run(WatchRunRequest {
                name: name.clone(),
                ..Default::default()
            })
            .await
            .unwrap_err(),
        client
            .list_branches(ListBranchesRequest {
                parent: name.clone(),
            })
            .await
            .unwrap_err(),
        client
            .list_commits(ListCommitsRequest { parent: name })
            .await
            .unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, "RUN_NOT_FOUND")
        );
    }
    let name = NOBODY.replace("runs", "engines");
    let refused = client
        .drain_engine(DrainEngineRequest { name })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::NotFound, "ENGINE_NOT_FOUND")
    );
}

#[tokio::test]
async fn the_wrong_state_is_a_failed_precondition() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    let workflow = deploy(&mut client, "echo", ECHO).await;
    let name = submit(&mut client, &workflow, "").await;
    let early = client
        .remove_run(RemoveRunRequest { name: name.clone() })
        .await
        .unwrap_err();
    client
        .cancel_run(CancelRunRequest { name: name.clone() })
        .await
        .unwrap();
    let event = SignalRunRequest {
        name: name.clone(),
        r#type: "a".to_owned(),
        ..SignalRunRequest::default()
    };
    let late = client.signal_run(event).await.unwrap_err();
    let unfaulted = client
        .recover_run(RecoverRunRequest { name })
        .await
        .unwrap_err();
    for refused in [early, late, unfaulted] {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert_eq!(reason(&refused), "WRONG_STATE");
    }
}

#[tokio::test]
async fn a_definition_that_is_wrong_comes_back_with_the_report() {
    let mut client = Rig::new().client().await;
    let request = DeployWorkflowRequest {
        source: "document: { dsl: '1.0.3' }\ndo: []\n".to_owned(),
        ..DeployWorkflowRequest::default()
    };
    let refused = client.deploy_workflow(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "WORKFLOW_INVALID")
    );
    assert_eq!(fields(&refused), ["source"]);
    let details = refused.get_error_details();
    let report = &details.bad_request().unwrap().field_violations[0].description;
    assert!(report.contains("namespace"), "{report}");
}

#[tokio::test]
async fn tokens_and_filters_that_this_interface_does_not_know_are_refused() {
    let mut client = Rig::new().client().await;
    let request = ListRunsRequest {
        page_size: -1,
        page_token: "nonsense".to_owned(),
        filter: Some(RunFilter {
            states: vec![0, 99],
            namespace: "a b".to_owned(),
            workflow: "-".to_owned(),
            since: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }),
        }),
    };
    let refused = client.list_runs(request).await.unwrap_err();
    let expected = [
        "page_size",
        "page_token",
        "filter.states",
        "filter.states",
        "filter.namespace",
        "filter.workflow",
        "filter.since",
    ];
    assert_eq!(fields(&refused), expected);
    let request = WatchRunRequest {
        name: "run".to_owned(),
        resume_token: "AQ".to_owned(),
    };
    let refused = client.watch_run(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["name", "resume_token"]);
    let request = SignalRunRequest {
        r#type: "a\nb".to_owned(),
        ..SignalRunRequest::default()
    };
    let refused = client.signal_run(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["name", "type"]);
}

#[tokio::test]
async fn a_deadline_that_is_too_short_is_kept() {
    let mut client = Rig::new().client().await;
    let mut request = tonic::Request::new(ListRunsRequest::default());
    request.set_timeout(Duration::from_nanos(1));
    let refused = client.list_runs(request).await.unwrap_err();
    let codes = [Code::DeadlineExceeded, Code::Cancelled];
    assert!(codes.contains(&refused.code()), "{refused}");
}
