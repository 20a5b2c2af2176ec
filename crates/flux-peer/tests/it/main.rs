//! Engines that talk over real connections of this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flux_core::balance::{Load, Score};
use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::Incarnation;
use flux_core::ports::identity::Cluster;
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::peers::{Local, Peers};
use flux_failover::SystemHost;
use flux_peer::{Config, Network};
use flux_proto::peer::v1 as wire;
use flux_testkit::{PATIENCE, wait_until, wait_until_async};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use uuid::Uuid;
use wire::exchange_request::Message;
use wire::peer_service_client::PeerServiceClient;

/// An engine as the network sees it.
#[derive(Default)]
struct Engine {
    running: AtomicU32,
    nudged: AtomicU32,
}

impl Local for Engine {
    fn load(&self) -> Load {
        Load {
            running: self.running.load(Ordering::SeqCst),
            concurrency: 10,
            score: Some(Score {
                available: 0.5,
                claimed: 3,
            }),
        }
    }

    fn nudged(&self) {
        self.nudged.fetch_add(1, Ordering::SeqCst);
    }
}

struct Peer {
    who: Incarnation,
    engine: Arc<Engine>,
    network: Network,
    address: String,
}

fn cluster(key: &str) -> Cluster {
    Cluster {
        id: Uuid::from_u128(7),
        key: key.to_owned(),
    }
}

/// The engine of this number, on a port of its own.
async fn peer(number: u128, cluster: Cluster, pool: Option<&str>) -> Peer {
    let config = Config {
        cluster,
        host_name: "here".to_owned(),
        pool: pool.map(str::to_owned),
        version: "1".to_owned(),
        ca_pem: None,
    };
    let network = Network::start(config, Arc::new(SystemHost));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("it has one"));
    let server = tonic::transport::Server::builder().add_service(network.service());
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let (who, engine) = (Incarnation::new(Uuid::from_u128(number)), Arc::default());
    let local: Arc<Engine> = Arc::clone(&engine);
    network.serve(who, local);
    Peer {
        who,
        engine,
        network,
        address,
    }
}

fn member(peer: &Peer, address: Option<String>) -> Member {
    Member {
        incarnation: peer.who,
        name: "engine".to_owned(),
        window: Duration::from_secs(180),
        heartbeat_seq: 1,
        state: MemberState::Alive,
        heartbeat_at: Timestamp::default(),
        heartbeat_age: Duration::ZERO,
        clock_offset: ClockOffset::default(),
        started_at: Timestamp::default(),
        host: "here".to_owned(),
        pid: 1,
        version: "1".to_owned(),
        pool: None,
        concurrency: 10,
        address,
        running: 0,
        heard: None,
    }
}

fn meet(peers: &[&Peer]) {
    let members: Vec<_> = peers
        .iter()
        .map(|peer| member(peer, Some(peer.address.clone())))
        .collect();
    for peer in peers {
        peer.network.meet(&members);
    }
}

/// What `of` has heard `from` last.
fn running(of: &Peer, from: &Peer) -> Option<u32> {
    let reports = of.network.reports();
    let report = reports
        .iter()
        .find(|report| report.report.from == from.who)?;
    Some(report.report.load.running)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hears_the_load_of_all_others() {
    let mut peers = Vec::new();
    for number in 1..=4 {
        peers.push(peer(number, cluster("key"), None).await);
    }
    let all: Vec<&Peer> = peers.iter().collect();
    meet(&all);
    for (number, peer) in (5..).zip(&peers) {
        peer.engine.running.store(number, Ordering::SeqCst);
        peer.network.changed();
    }
    wait_until("all have heard of all", PATIENCE, || {
        let heard = |of: &Peer| {
            let mut others = (5..).zip(&peers).filter(|(_, from)| from.who != of.who);
            others.all(|(number, from)| running(of, from) == Some(number))
        };
        peers.iter().all(heard)
    });
    let report = peers[0].network.reports()[0];
    assert_eq!(report.report.load.concurrency, 10);
    assert_eq!(
        report
            .report
            .load
            .score
            .map(|score| (score.available, score.claimed)),
        Some((0.5, 3))
    );
    let (load, age) = peers[0]
        .network
        .load_of(peers[1].who)
        .expect("it was heard");
    assert_eq!(load.running, 6);
    assert!(age < PATIENCE);
    peers[2].network.nudge(50);
    wait_until("all others are nudged", PATIENCE, || {
        let nudged = |peer: &Peer| peer.engine.nudged.load(Ordering::SeqCst) > 0;
        peers
            .iter()
            .all(|peer| nudged(peer) != (peer.who == peers[2].who))
    });
}

/// A firewall lets connections through in one direction only.
#[tokio::test(flavor = "multi_thread")]
async fn one_way_is_enough() {
    let (old, new) = (
        peer(1, cluster("key"), None).await,
        peer(2, cluster("key"), None).await,
    );
    // The newer one, which calls first, cannot reach the older one.
    let members = [member(&old, None), member(&new, Some(new.address.clone()))];
    old.network.meet(&members);
    new.network.meet(&members);
    wait_until("both have heard", PATIENCE, || {
        running(&old, &new).is_some() && running(&new, &old).is_some()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_gone_is_forgotten_and_who_comes_back_is_heard() {
    let (stays, goes) = (
        peer(1, cluster("key"), None).await,
        peer(2, cluster("key"), None).await,
    );
    meet(&[&stays, &goes]);
    wait_until("it is heard", PATIENCE, || running(&stays, &goes).is_some());
    drop(goes);
    wait_until("it is forgotten", PATIENCE, || {
        stays.network.reports().is_empty()
    });
    let back = peer(3, cluster("key"), None).await;
    meet(&[&stays, &back]);
    wait_until("the new one is heard", PATIENCE, || {
        running(&stays, &back).is_some()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_of_another_pool_or_cluster_share_nothing() {
    let one = peer(1, cluster("key"), None).await;
    let pooled = peer(2, cluster("key"), Some("other")).await;
    let mut strange = cluster("key");
    strange.id = Uuid::from_u128(8);
    let stranger = peer(3, strange, None).await;
    let forger = peer(4, cluster("guessed"), None).await;
    meet(&[&one, &pooled, &stranger, &forger]);
    wait_until("the same cluster is heard", PATIENCE, || {
        one.network.load_of(pooled.who).is_some()
    });
    assert_eq!(one.network.reports(), []);
    for other in [&stranger, &forger] {
        assert!(one.network.load_of(other.who).is_none());
        assert!(other.network.load_of(one.who).is_none());
    }
}

/// Whoever cannot prove that it knows the key is told nothing and heard by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_it_is_heard() {
    let one = peer(1, cluster("key"), None).await;
    let hello = |cluster: u128| wire::Hello {
        cluster_id: Uuid::from_u128(cluster).to_string(),
        incarnation: Uuid::from_u128(9).to_string(),
        nonce: vec![0; 16],
    };
    let report = wire::LoadReport::default();
    let proof = wire::Proof { proof: vec![0; 32] };
    let short = wire::Hello {
        nonce: vec![0; 3],
        ..hello(7)
    };
    let cases = [
        (
            vec![Message::Hello(hello(8))],
            tonic::Code::PermissionDenied,
        ),
        (vec![Message::Hello(short)], tonic::Code::InvalidArgument),
        (
            vec![Message::Report(report.clone())],
            tonic::Code::InvalidArgument,
        ),
        (
            vec![Message::Hello(hello(7)), Message::Proof(proof)],
            tonic::Code::Unauthenticated,
        ),
        (
            vec![Message::Hello(hello(7)), Message::Report(report)],
            tonic::Code::Unauthenticated,
        ),
    ];
    for (messages, code) in cases {
        let channel = tonic::transport::Endpoint::from_shared(one.address.clone());
        let channel = channel
            .expect("an address")
            .connect()
            .await
            .expect("it connects");
        let asks = messages.into_iter().map(|message| wire::ExchangeRequest {
            message: Some(message),
        });
        let asks = tokio_stream::iter(asks.collect::<Vec<_>>());
        let answered = PeerServiceClient::new(channel).exchange(asks).await;
        let refused = match answered {
            Err(status) => status,
            Ok(answers) => {
                let mut answers = answers.into_inner();
                loop {
                    match answers.message().await {
                        Ok(Some(_)) => {}
                        Ok(None) => panic!("it ended without a word"),
                        Err(status) => break status,
                    }
                }
            }
        };
        assert_eq!(refused.code(), code, "{refused}");
    }
    wait_until_async("nothing was heard", PATIENCE, async || {
        one.network
            .load_of(Incarnation::new(Uuid::from_u128(9)))
            .is_none()
    })
    .await;
}
