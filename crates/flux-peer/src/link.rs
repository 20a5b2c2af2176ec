//! One conversation, after both have proven who they are.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flux_core::host::within;
use flux_core::ids::Incarnation;
use flux_proto::peer::v1 as wire;
use futures_util::{Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tonic::Status;

use crate::network::{EVERY, Inner};

/// Whoever says nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(10);

/// What both sides say alike.
pub(crate) enum Said {
    Report(wire::LoadReport),
    Nudge(wire::Nudge),
}

/// Talks until one of them has gone, or a later conversation takes the place of this one.
pub(crate) async fn converse<T>(
    inner: Arc<Inner>,
    with: Incarnation,
    heard: impl Stream<Item = Result<Option<Said>, Status>>,
    say: mpsc::Sender<T>,
    word: impl Fn(Said) -> T,
) {
    let number = inner.begin(with);
    let listens = listen(&inner, with, number, heard);
    let speaks = speak(&inner, with, say, word);
    let (mut listens, mut speaks) = (pin!(listens), pin!(speaks));
    tokio::select! {
        biased;
        () = &mut listens => {}
        () = &mut speaks => {}
    }
    inner.end(with, number);
}

async fn listen(
    inner: &Inner,
    with: Incarnation,
    number: u64,
    heard: impl Stream<Item = Result<Option<Said>, Status>>,
) {
    let mut heard = pin!(heard);
    while inner.is_present(with, number) {
        let next = within(&*inner.host, SILENCE, heard.next()).await;
        match next.flatten() {
            Some(Ok(Some(Said::Report(report)))) => inner.heard(with, report),
            Some(Ok(Some(Said::Nudge(nudge)))) => inner.nudged(&nudge),
            // A word of a later version.
            Some(Ok(None)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

async fn speak<T>(
    inner: &Inner,
    with: Incarnation,
    say: mpsc::Sender<T>,
    word: impl Fn(Said) -> T,
) {
    let (mut own, mut nudges) = (inner.own.subscribe(), inner.nudges.subscribe());
    own.mark_changed();
    loop {
        let said = tokio::select! {
            biased;
            nudge = nudges.recv() => match nudge {
                Ok((takers, nudge)) if takers.contains(&with) => Said::Nudge(nudge),
                Ok(_) => continue,
                // Several are as good as one.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            changed = own.changed() => {
                if changed.is_err() {
                    return;
                }
                match own.borrow_and_update().clone() {
                    Some(report) => Said::Report(report),
                    None => continue,
                }
            }
        };
        // Who does not read for longer than a few reports is as good as gone.
        match within(&*inner.host, EVERY * 5, say.send(word(said))).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}
