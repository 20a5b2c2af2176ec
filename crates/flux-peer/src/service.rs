//! The side that is called.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flux_core::host::within;
use flux_core::ids::Incarnation;
use flux_proto::peer::v1 as wire;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;
use wire::exchange_request::Message as Asked;
use wire::exchange_response::Message as Answered;

use crate::link::{Said, converse};
use crate::network::Inner;
use crate::proof::{Meeting, Side, nonce, parse_nonce};

/// How long the other side may take for each step of the proof.
pub(crate) const STEP: Duration = Duration::from_secs(5);

pub(crate) struct Service {
    pub inner: Arc<Inner>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<wire::ExchangeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl wire::peer_service_server::PeerService for Service {
    type ExchangeStream = Answers;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::ExchangeRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut asked = request.into_inner();
        let inner = Arc::clone(&self.inner);
        let meeting = hello(&inner, next(&inner, &mut asked).await?)?;
        let (say, answers) = mpsc::channel(4);
        self.inner.spawn(async move {
            if let Err(refused) = talk(inner, meeting, asked, &say).await {
                let _gone = say.send(Err(refused)).await;
            }
        });
        let answers = futures_util::stream::unfold(answers, |mut answers| async move {
            let next = answers.recv().await?;
            Some((next, answers))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

async fn next(
    inner: &Inner,
    asked: &mut Streaming<wire::ExchangeRequest>,
) -> Result<Asked, Status> {
    let late = || Status::deadline_exceeded("nothing came in time");
    let next = within(&*inner.host, STEP, asked.message()).await;
    let message = next.ok_or_else(late)??;
    message
        .and_then(|message| message.message)
        .ok_or_else(|| Status::invalid_argument("`hello` first, then `proof`"))
}

/// Who calls, if it is of this cluster.
fn hello(inner: &Inner, first: Asked) -> Result<Meeting, Status> {
    let Asked::Hello(hello) = first else {
        return Err(Status::invalid_argument(
            "the first message must be `hello`",
        ));
    };
    if hello.cluster_id != inner.config.cluster.id.to_string() {
        return Err(Status::permission_denied("an engine of another cluster"));
    }
    let (caller, caller_nonce) = parse(&hello.incarnation, &hello.nonce)
        .ok_or_else(|| Status::invalid_argument("`incarnation` is a UUID, `nonce` 16 bytes"))?;
    let me = inner.table().me.as_ref().map(|(me, _)| *me);
    let answerer = me.ok_or_else(|| Status::unavailable("this engine has not joined yet"))?;
    Ok(Meeting {
        caller,
        answerer,
        caller_nonce,
        answerer_nonce: nonce(),
    })
}

/// Who an engine says it is.
pub(crate) fn parse(incarnation: &str, nonce: &[u8]) -> Option<(Incarnation, [u8; 16])> {
    let incarnation = Uuid::parse_str(incarnation).ok()?;
    Some((Incarnation::new(incarnation), parse_nonce(nonce)?))
}

async fn talk(
    inner: Arc<Inner>,
    meeting: Meeting,
    mut asked: Streaming<wire::ExchangeRequest>,
    say: &mpsc::Sender<Result<wire::ExchangeResponse, Status>>,
) -> Result<(), Status> {
    let key = &inner.config.cluster.key;
    let welcome = wire::Welcome {
        incarnation: meeting.answerer.to_string(),
        nonce: meeting.answerer_nonce.to_vec(),
        proof: meeting.proof(key, Side::Answerer),
    };
    let gone = |_| Status::cancelled("the caller has gone");
    say.send(Ok(answer(Answered::Welcome(welcome))))
        .await
        .map_err(gone)?;
    let is_proven = match next(&inner, &mut asked).await? {
        Asked::Proof(proof) => meeting.is_proof(key, Side::Caller, &proof.proof),
        _ => false,
    };
    if !is_proven {
        return Err(Status::unauthenticated(
            "the caller does not know the cluster's key",
        ));
    }
    let heard = asked.map(|asked| asked.map(|asked| asked.message.and_then(said)));
    let word = |said| {
        Ok(answer(match said {
            Said::Report(report) => Answered::Report(report),
            Said::Nudge(nudge) => Answered::Nudge(nudge),
        }))
    };
    converse(Arc::clone(&inner), meeting.caller, heard, say.clone(), word).await;
    Ok(())
}

fn answer(message: Answered) -> wire::ExchangeResponse {
    wire::ExchangeResponse {
        message: Some(message),
    }
}

fn said(asked: Asked) -> Option<Said> {
    match asked {
        Asked::Report(report) => Some(Said::Report(report)),
        Asked::Nudge(nudge) => Some(Said::Nudge(nudge)),
        Asked::Hello(_) | Asked::Proof(_) => None,
    }
}
