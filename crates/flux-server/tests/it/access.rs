//! The locks: certificates and tokens.

use crate::rig::{Rig, local};
use flux_proto::v1::flux_service_client::FluxServiceClient;
use flux_proto::v1::*;
use flux_server::{BindError, Listen, Locked, Server, Tls};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::transport::{Certificate, ClientTlsConfig};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

const TOKEN: &str = "a-token-of-the-tests";

fn certificate() -> Tls {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Tls {
        cert_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    }
}

fn with_token() -> Listen {
    Listen {
        token: Some(TOKEN.to_owned()),
        ..local()
    }
}

#[tokio::test]
async fn every_call_needs_the_token_and_health_does_not() {
    let serving = Rig::new().serve_as(with_token()).await;
    let set = FileDescriptorSet::decode(flux_proto::DESCRIPTORS).unwrap();
    let services = set.file.iter().filter(|file| file.package() == "flux.v1");
    let services = services.flat_map(|file| &file.service);
    let methods: Vec<String> = services
        .flat_map(|service| {
            let path = |method: &str| format!("/flux.v1.{}/{method}", service.name());
            service.method.iter().map(move |method| path(method.name()))
        })
        .chain(["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned()])
        .collect();
    assert!(methods.len() > 20, "{methods:?}");
    for method in methods {
        let mut grpc = tonic::client::Grpc::new(serving.channel().await);
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::new();
        let path = method.parse().unwrap();
        let refused = grpc.unary(Request::new(()), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{method}: {refused}");
        let details = refused.get_error_details();
        assert_eq!(
            details.error_info().unwrap().reason,
            "TOKEN_MISSING",
            "{method}"
        );
    }
    let mut health = HealthClient::new(serving.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_token_opens_and_another_one_does_not() {
    let serving = Rig::new().serve_as(with_token()).await;
    let mut client = serving.client().await;
    for (said, expected) in [
        (TOKEN, None),
        ("a-token-of-the-tesT", Some(Code::Unauthenticated)),
    ] {
        let mut request = Request::new(ListRunsRequest::default());
        let value = format!("Bearer {said}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        let answer = client.list_runs(request).await;
        assert_eq!(answer.err().map(|status| status.code()), expected);
    }
}

#[tokio::test]
async fn an_open_address_needs_all_locks_or_a_word() {
    let (tls, token) = (Some(certificate()), Some(TOKEN.to_owned()));
    for (tls, token, insecure, opens) in [
        (None, None, false, false),
        (tls.clone(), None, false, false),
        (None, token.clone(), false, false),
        (tls, token, false, true),
        (None, None, true, true),
    ] {
        let address = "0.0.0.0:0".parse().unwrap();
        let listen = Listen {
            address,
            tls,
            token,
            insecure,
        };
        let text = format!("{listen:?}");
        match Server::bind(listen).await {
            Ok(_) => assert!(opens, "{text}"),
            Err(BindError::Locked(Locked::Open { .. })) => assert!(!opens, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[tokio::test]
async fn tls_is_spoken_with_whoever_trusts_the_certificate() {
    let tls = certificate();
    let trusted = Certificate::from_pem(&tls.cert_pem);
    let listen = Listen {
        tls: Some(tls),
        ..local()
    };
    let serving = Rig::new().serve_as(listen).await;
    let channel = |ca: Certificate| {
        let tls = ClientTlsConfig::new()
            .ca_certificate(ca)
            .domain_name("localhost");
        let url = format!("https://{}", serving.address);
        let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap();
        endpoint.tls_config(tls).unwrap()
    };
    let mut client = FluxServiceClient::new(channel(trusted).connect().await.unwrap());
    client.list_runs(ListRunsRequest::default()).await.unwrap();
    let stranger = Certificate::from_pem(certificate().cert_pem);
    assert!(channel(stranger).connect().await.is_err());
    let plain = serving.endpoint().connect().await;
    let answer = match plain {
        Ok(channel) => {
            FluxServiceClient::new(channel)
                .list_runs(ListRunsRequest::default())
                .await
        }
        Err(_) => return,
    };
    assert!(answer.is_err());
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_before_the_port_opens() {
    let tls = Some(Tls {
        cert_pem: "no".to_owned(),
        key_pem: "no".to_owned(),
    });
    let refused = Server::bind(Listen { tls, ..local() }).await;
    assert!(matches!(refused, Err(BindError::Tls(_))));
}

#[tokio::test]
async fn a_taken_port_is_said_to_be_taken() {
    let serving = Rig::new().serve().await;
    let listen = Listen {
        address: serving.address,
        ..local()
    };
    let Err(BindError::Address { address, error }) = Server::bind(listen).await else {
        panic!("the port was had twice");
    };
    assert_eq!(address, serving.address);
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
