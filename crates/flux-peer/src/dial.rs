//! The side that calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flux_core::clock::BootTime;
use flux_core::host::within;
use flux_core::ids::Incarnation;
use flux_proto::peer::v1 as wire;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use wire::exchange_request::Message as Asked;
use wire::exchange_response::Message as Answered;
use wire::peer_service_client::PeerServiceClient;

use crate::link::{Said, converse};
use crate::network::Inner;
use crate::proof::{Meeting, Side, nonce};
use crate::service::{STEP, parse};

/// How often to look for members without a link.
const EVERY: Duration = Duration::from_secs(1);
/// The newer engine calls the older one; the other way round only if it has not done so by then.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest pause after tries in vain.
const LONGEST: Duration = Duration::from_secs(30);

/// With pauses of this length that an engine cannot be reached is worth a word.
const TELL_FROM: Duration = Duration::from_secs(4);

/// What became of calling one engine.
#[derive(Clone, Copy)]
struct Calls {
    /// Nobody calls it before this.
    not_before: BootTime,
    pause: Duration,
    calling: bool,
    /// That it cannot be reached was told.
    told: bool,
}

type AllCalls = Arc<Mutex<BTreeMap<Incarnation, Calls>>>;

/// Calls every member that this engine has no conversation with, again and again.
pub(crate) async fn run(inner: Arc<Inner>) {
    let all = AllCalls::default();
    loop {
        for (who, address) in due(&inner, &all) {
            let (inner, all) = (Arc::clone(&inner), Arc::clone(&all));
            let network = Arc::clone(&inner);
            network.spawn(async move {
                let result = call(&inner, who, &address).await;
                called(&inner, &all, who, &address, result);
            });
        }
        tokio::select! {
            biased;
            () = inner.dial.notified() => {}
            () = inner.host.sleep(EVERY) => {}
        }
    }
}

/// Whom to call now.
fn due(inner: &Inner, all: &AllCalls) -> Vec<(Incarnation, String)> {
    let table = inner.table();
    let Some(me) = table.me.as_ref().map(|(me, _)| *me) else {
        return Vec::new();
    };
    let now = inner.host.boot();
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|who, _| table.addresses.contains_key(who));
    let mut due = Vec::new();
    for (who, address) in &table.addresses {
        let calls = all.entry(*who).or_insert(Calls {
            not_before: if me > *who { now } else { now.plus(PATIENCE) },
            pause: EVERY,
            calling: false,
            told: false,
        });
        if !table.links.contains_key(who) && !calls.calling && now >= calls.not_before {
            calls.calling = true;
            due.push((*who, address.clone()));
        }
    }
    due
}

/// What is to be remembered of a call that has ended.
fn called(
    inner: &Inner,
    all: &AllCalls,
    who: Incarnation,
    address: &str,
    result: Result<(), Status>,
) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(calls) = all.get_mut(&who) else {
        return;
    };
    calls.calling = false;
    calls.pause = match &result {
        Ok(()) => EVERY,
        Err(_) => (calls.pause * 2).min(LONGEST),
    };
    calls.not_before = inner.host.boot().plus(calls.pause);
    // One that has just left fails once or twice, too.
    let is_lasting = result.is_err() && calls.pause >= TELL_FROM;
    let told = std::mem::replace(&mut calls.told, is_lasting);
    if let (Err(status), true, false) = (result, is_lasting, told) {
        tracing::warn!(
            member.id = %who, address,
            "cannot talk to another engine, so work is spread without it: {}", status.message()
        );
    }
}

async fn call(inner: &Arc<Inner>, who: Incarnation, address: &str) -> Result<(), Status> {
    let mut client = connect(inner, address).await?;
    let me = inner.table().me.as_ref().map(|(me, _)| *me);
    let me = me.ok_or_else(|| Status::unavailable("this engine has not joined yet"))?;
    let caller_nonce = nonce();
    let hello = wire::Hello {
        cluster_id: inner.config.cluster.id.to_string(),
        incarnation: me.to_string(),
        nonce: caller_nonce.to_vec(),
    };
    let (say, asks) = mpsc::channel(4);
    let gone = |_| Status::cancelled("the other engine has gone");
    say.send(ask(Asked::Hello(hello))).await.map_err(gone)?;
    let asks = futures_util::stream::unfold(asks, |mut asks| async move {
        let next = asks.recv().await?;
        Some((next, asks))
    });
    let late = || Status::deadline_exceeded("no answer in time");
    let answered = within(&*inner.host, STEP, client.exchange(Request::new(asks))).await;
    let mut answers = answered.ok_or_else(late)??.into_inner();
    let first = within(&*inner.host, STEP, answers.message()).await;
    let first = first.ok_or_else(late)??.and_then(|answer| answer.message);
    let Some(Answered::Welcome(welcome)) = first else {
        return Err(Status::internal("it did not begin with a welcome"));
    };
    let (answerer, answerer_nonce) = parse(&welcome.incarnation, &welcome.nonce)
        .ok_or_else(|| Status::internal("its welcome cannot be read"))?;
    if answerer != who {
        return Err(Status::not_found(format!(
            "engine {answerer} answers there"
        )));
    }
    let meeting = Meeting {
        caller: me,
        answerer,
        caller_nonce,
        answerer_nonce,
    };
    let key = &inner.config.cluster.key;
    if !meeting.is_proof(key, Side::Answerer, &welcome.proof) {
        return Err(Status::unauthenticated(
            "it does not know the cluster's key",
        ));
    }
    let proof = meeting.proof(key, Side::Caller);
    say.send(ask(Asked::Proof(wire::Proof { proof })))
        .await
        .map_err(gone)?;
    let heard = answers.map(|answer| answer.map(|answer| answer.message.and_then(said)));
    let word = |said| {
        ask(match said {
            Said::Report(report) => Asked::Report(report),
            Said::Nudge(nudge) => Asked::Nudge(nudge),
        })
    };
    converse(Arc::clone(inner), who, heard, say, word).await;
    Ok(())
}

async fn connect(
    inner: &Inner,
    address: &str,
) -> Result<PeerServiceClient<tonic::transport::Channel>, Status> {
    let wrong = |error: tonic::transport::Error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Status::unavailable(text)
    };
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(wrong)?
        .connect_timeout(STEP)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    if address.starts_with("https:") {
        let tls = match &inner.config.ca_pem {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        endpoint = endpoint.tls_config(tls).map_err(wrong)?;
    }
    let channel = endpoint.connect().await.map_err(wrong)?;
    Ok(PeerServiceClient::new(channel))
}

fn ask(message: Asked) -> wire::ExchangeRequest {
    wire::ExchangeRequest {
        message: Some(message),
    }
}

fn said(answered: Answered) -> Option<Said> {
    match answered {
        Answered::Report(report) => Some(Said::Report(report)),
        Answered::Nudge(nudge) => Some(Said::Nudge(nudge)),
        Answered::Welcome(_) => None,
    }
}
