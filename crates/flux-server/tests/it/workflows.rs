//! Definitions and schedules.

use crate::rig::{ECHO, Rig, deploy, source};
use flux_proto::v1::*;

#[tokio::test]
async fn a_deployed_definition_is_found_by_name_and_as_the_latest() {
    let mut client = Rig::new().client().await;
    let name = deploy(&mut client, "echo", ECHO).await;
    assert_eq!(name, "namespaces/test/workflows/echo/versions/1.0.0");
    for asked in [
        name.as_str(),
        "namespaces/test/workflows/echo/versions/latest",
    ] {
        let request = GetWorkflowRequest {
            name: asked.to_owned(),
        };
        let found = client.get_workflow(request).await.unwrap().into_inner();
        let found = found.workflow.unwrap();
        assert_eq!(
            (found.name, found.source),
            (name.clone(), source("echo", ECHO))
        );
        assert!(found.create_time.is_some());
    }
}

#[tokio::test]
async fn a_definition_that_is_only_checked_is_not_stored() {
    let mut client = Rig::new().client().await;
    let request = DeployWorkflowRequest {
        source: source("echo", ECHO),
        validate_only: true,
        activate_schedule: false,
    };
    let checked = client.deploy_workflow(request).await.unwrap().into_inner();
    assert!(checked.workflow.unwrap().create_time.is_none());
    let all = client.list_workflows(ListWorkflowsRequest::default()).await;
    assert_eq!(all.unwrap().into_inner().workflows, []);
}

#[tokio::test]
async fn workflows_are_listed_in_pages_each_once() {
    let mut client = Rig::new().client().await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        expected.push(deploy(&mut client, name, ECHO).await);
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListWorkflowsRequest {
            page_size: 2,
            page_token,
        };
        let page = client.list_workflows(request).await.unwrap().into_inner();
        names.extend(page.workflows.into_iter().map(|workflow| workflow.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_active_schedule_is_listed_with_its_next_time() {
    let mut client = Rig::new().client().await;
    let source = "document: { dsl: '1.0.3', namespace: test, name: nightly, version: '1.0.0' }\n\
                  schedule: { every: { hours: 1 } }\ndo:\n  - a: { set: { b: 1 } }\n";
    let request = DeployWorkflowRequest {
        source: source.to_owned(),
        validate_only: false,
        activate_schedule: true,
    };
    client.deploy_workflow(request).await.unwrap();
    let all = client
        .list_schedules(ListSchedulesRequest {})
        .await
        .unwrap();
    let all = all.into_inner().schedules;
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].workflow,
        "namespaces/test/workflows/nightly/versions/1.0.0"
    );
    assert!(all[0].due_time.is_some());
    assert_eq!(all[0].last_run, "");
}
