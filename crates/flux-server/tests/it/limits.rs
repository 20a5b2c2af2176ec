//! What is too large, too much, or too silent.

use crate::rig::Rig;
use flux_proto::v1::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_connection_goes_on() {
    let mut client = Rig::new().client().await;
    let request = DeployWorkflowRequest {
        source: "x".repeat(5 << 20),
        ..DeployWorkflowRequest::default()
    };
    let refused = client.deploy_workflow(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    let request = DeployWorkflowRequest {
        source: "x".repeat((1 << 20) + 1),
        ..DeployWorkflowRequest::default()
    };
    let refused = client.deploy_workflow(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    client.list_runs(ListRunsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_submission_has_one_to_a_thousand_runs() {
    let mut client = Rig::new().client().await;
    for count in [0, 1_001] {
        let runs = vec![NewRun::default(); count];
        let refused = client
            .submit_runs(SubmitRunsRequest { runs })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("1 to 1000"), "{refused}");
    }
}

/// The first frame that the server sends: its settings, as numbers by number.
#[tokio::test]
async fn the_server_announces_its_limits() {
    let serving = Rig::new().serve().await;
    let mut stream = tokio::net::TcpStream::connect(serving.address)
        .await
        .unwrap();
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(hello).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "a frame of settings");
    let mut body = vec![0; usize::from(head[2])];
    stream.read_exact(&mut body).await.unwrap();
    let settings: Vec<(u16, u32)> = body
        .chunks(6)
        .map(|entry| {
            let (name, value) = entry.split_at(2);
            let name = u16::from_be_bytes(name.try_into().unwrap());
            (name, u32::from_be_bytes(value.try_into().unwrap()))
        })
        .collect();
    let (streams, frame, headers) = ((3, 128), (5, 16 << 10), (6, 16 << 10));
    for expected in [streams, frame, headers] {
        assert!(settings.contains(&expected), "{expected:?} in {settings:?}");
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let serving = Rig::new().serve().await;
    let mut stream = tokio::net::TcpStream::connect(serving.address)
        .await
        .unwrap();
    let start = Instant::now();
    let mut all = Vec::new();
    let _closed_or_reset = stream.read_to_end(&mut all).await;
    let silence = start.elapsed();
    assert!(silence > Duration::from_secs(9), "{silence:?}");
    assert!(silence < Duration::from_secs(30), "{silence:?}");
}
