//! Health, and what tools ask a server that they do not know.

use crate::rig::{PATIENCE, Rig, Serving};
use flux_proto::v1::DrainEngineRequest;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const READY: [&str; 3] = ["", "flux.v1.FluxService", "readiness"];

async fn status(serving: &Serving, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(serving.channel().await);
    let service = service.to_owned();
    let answer = client.check(HealthCheckRequest { service }).await.unwrap();
    answer.into_inner().status()
}

async fn until(serving: &Serving, service: &str, expected: ServingStatus) {
    let start = Instant::now();
    while status(serving, service).await != expected {
        assert!(
            start.elapsed() < PATIENCE,
            "{service} never was {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn readiness_falls_on_a_drain_and_liveness_does_not() {
    let rig = Rig::new();
    let serving = rig.serve().await;
    for service in READY {
        until(&serving, service, ServingStatus::Serving).await;
    }
    let request = DrainEngineRequest {
        name: "engines/-".to_owned(),
    };
    serving.client().await.drain_engine(request).await.unwrap();
    for service in READY {
        until(&serving, service, ServingStatus::NotServing).await;
    }
    assert_eq!(status(&serving, "liveness").await, ServingStatus::Serving);
}

#[tokio::test]
async fn an_engine_that_drains_by_itself_is_not_ready() {
    let rig = Rig::new();
    let serving = rig.serve().await;
    until(&serving, "readiness", ServingStatus::Serving).await;
    serving.handle.draining();
    until(&serving, "readiness", ServingStatus::NotServing).await;
}

#[tokio::test]
async fn an_engine_that_another_one_was_asked_to_drain_is_not_ready() {
    let rig = Rig::new();
    rig.join(rig.beside.incarnation, "own").await;
    let serving = rig.serve().await;
    until(&serving, "readiness", ServingStatus::Serving).await;
    rig.members
        .set_draining(rig.beside.incarnation)
        .await
        .unwrap();
    until(&serving, "readiness", ServingStatus::NotServing).await;
}

#[tokio::test]
async fn readiness_falls_with_the_store_and_comes_back() {
    let rig = Rig::new();
    let serving = rig.serve().await;
    until(&serving, "readiness", ServingStatus::Serving).await;
    rig.identity.away.store(true, Ordering::SeqCst);
    until(&serving, "readiness", ServingStatus::NotServing).await;
    assert_eq!(status(&serving, "liveness").await, ServingStatus::Serving);
    rig.identity.away.store(false, Ordering::SeqCst);
    until(&serving, "readiness", ServingStatus::Serving).await;
}

#[tokio::test]
async fn reflection_lists_the_services_and_knows_their_files() {
    let serving = Rig::new().serve().await;
    let mut client = ServerReflectionClient::new(serving.channel().await);
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let symbol = |name: &str| MessageRequest::FileContainingSymbol(name.to_owned());
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(symbol("flux.v1.FluxService")),
        ask(symbol("grpc.health.v1.Health")),
    ];
    let asked = futures_util::stream::iter(asked);
    let mut answers = client
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let mut next = async || {
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    };
    let MessageResponse::ListServicesResponse(services) = next().await else {
        panic!("no list of services");
    };
    let names: Vec<&str> = services
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for expected in [
        "flux.v1.FluxService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(names.contains(&expected), "{expected} in {names:?}");
    }
    for _ in 0..2 {
        let answer = next().await;
        assert!(
            matches!(answer, MessageResponse::FileDescriptorResponse(_)),
            "{answer:?}"
        );
    }
}
