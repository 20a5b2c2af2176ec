//! Following a run from engine to engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Status, Streaming};

use crate::channels::{Channels, is_elsewhere_better};
use crate::{Error, Service, v1};

/// News of one run: see [`Client::watch_run`](crate::Client::watch_run).
pub struct Watch {
    channels: Arc<Channels>,
    name: String,
    resume_token: String,
    stream: Option<Streaming<v1::WatchRunResponse>>,
    over: bool,
    /// Since when nothing was received.
    silent: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(channels: Arc<Channels>, name: String) -> Watch {
        Watch {
            channels,
            name,
            resume_token: String::new(),
            stream: None,
            over: false,
            silent: None,
        }
    }

    /// The next news; `None` after the end of the run was told.
    ///
    /// # Errors
    /// What the engine says, or that none could be reached in time.
    pub async fn next(&mut self) -> Result<Option<v1::WatchRunResponse>, Error> {
        while !self.over {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.ask().await?,
            };
            match stream.message().await {
                Ok(Some(news)) => {
                    self.stream = Some(stream);
                    self.silent = None;
                    self.resume_token.clone_from(&news.resume_token);
                    let run = news.run.as_ref();
                    self.over = run.is_some_and(|run| run.end_time.is_some());
                    return Ok(Some(news));
                }
                // The engine has ended the stream, and knows nothing of an end of the run.
                Ok(None) => self.again(None).await?,
                Err(status) if is_elsewhere_better(&status) => self.again(Some(status)).await?,
                Err(status) => return Err(Error::Refused(Box::new(status))),
            }
        }
        Ok(None)
    }

    /// Begins where the last answer ended.
    async fn ask(&self) -> Result<Streaming<v1::WatchRunResponse>, Error> {
        let request = v1::WatchRunRequest {
            name: self.name.clone(),
            resume_token: self.resume_token.clone(),
        };
        self.channels
            .call(|mut service: Service| {
                let request = request.clone();
                async move { service.watch_run(request).await }
            })
            .await
    }

    /// Prepares for another try, unless there were too many.
    async fn again(&mut self, status: Option<Status>) -> Result<(), Error> {
        let since = *self.silent.get_or_insert_with(Instant::now);
        if since.elapsed() > self.channels.patience() {
            return Err(self.channels.unreachable(status.as_ref()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
}
