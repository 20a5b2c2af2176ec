//! Streams: how they go on and end.

use super::Api;
use crate::refusal::{exhausted, unavailable};
use flux_core::host::Host;
use futures_util::stream;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Streams at a time.
pub(super) const WATCHERS: usize = 1_000;

/// After this a client is sent away, to watch perhaps at another engine.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What a client follows.
pub(super) type Stream<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

/// Something that changes.
pub(super) trait Watched: Send + 'static {
    /// What is told of it.
    type News: Send;

    /// What is new since the last call, after waiting as long as it takes; `None` at the end.
    fn news(&mut self) -> impl Future<Output = Result<Option<Self::News>, Status>> + Send;
}

/// A stream on its way.
struct Watching<W> {
    watched: W,
    host: Arc<dyn Host>,
    end: CancellationToken,
    until: flux_core::clock::BootTime,
    _place: OwnedSemaphorePermit,
}

impl Api {
    /// Tells a client what is new of `watched`.
    pub(super) fn watch<W: Watched>(&self, watched: W) -> Result<Stream<W::News>, Status> {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let place = place.map_err(|_| {
            let text = "too many clients watch something at this engine; ask another one";
            exhausted("TOO_MANY_WATCHERS", text)
        })?;
        let host = self.host();
        let watching = Watching {
            watched,
            until: host.boot().plus(LONGEST),
            host,
            end: self.end(),
            _place: place,
        };
        // Nothing follows a refusal.
        Ok(Box::pin(stream::unfold(
            Some(watching),
            |watching| async move {
                let mut watching = watching?;
                match watching.next().await {
                    Ok(Some(news)) => Some((Ok(news), Some(watching))),
                    Ok(None) => None,
                    Err(status) => Some((Err(status), None)),
                }
            },
        )))
    }
}

impl<W: Watched> Watching<W> {
    async fn next(&mut self) -> Result<Option<W::News>, Status> {
        let left = self.until.since(self.host.boot());
        tokio::select! {
            biased;
            () = self.end.cancelled() => {
                Err(unavailable("ENGINE_ENDS", "the engine ends; go on at another one"))
            }
            () = self.host.sleep(left) => {
                Err(unavailable("STREAM_TOO_OLD", "an hour has passed; connect again"))
            }
            news = self.watched.news() => news,
        }
    }
}
