//! Readers: a few threads with connections of their own, so that looking never waits for writing.

use std::sync::Arc;

use flux_core::ports::Error;
use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, oneshot};

use super::{Conn, Opener, thread, within_patience};
use crate::error::{Blame, Fail};

const THREADS: usize = 2;

/// A query that answers by itself; whether its connection can be used again.
type Look = Box<dyn for<'c> FnOnce(Result<&'c mut Conn, Error>) -> LocalBoxFuture<'c, bool> + Send>;

/// A handle; the threads end with the last one.
#[derive(Clone)]
pub(crate) struct Readers(UnboundedSender<Look>);

impl Readers {
    pub(crate) fn start(opener: &Opener) -> Readers {
        let (looks, receiver) = unbounded_channel::<Look>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..THREADS {
            let (opener, receiver) = (opener.clone(), Arc::clone(&receiver));
            thread::start(format!("flux-reader-{number}"), move || {
                run(opener, receiver)
            });
        }
        Readers(looks)
    }

    /// Runs a query on a reader.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |conn| {
            Box::pin(async move {
                let result = match conn {
                    Ok(conn) => conn.look(query).await,
                    Err(error) => Err(error.into()),
                };
                let usable = !matches!(&result, Err(fail) if fail.blame() != Blame::Request);
                let _asker = answer.send(result.map_err(Error::from));
                usable
            })
        });
        let gone = || Error::Unavailable("the store's readers have ended".to_owned());
        self.0.send(look).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn run(mut opener: Opener, looks: Arc<Mutex<UnboundedReceiver<Look>>>) {
    let mut conn: Option<Conn> = None;
    loop {
        let next = async { looks.lock().await.recv().await };
        let look = match &conn {
            Some(_) => within_patience(next).await,
            None => Some(next.await),
        };
        let Some(look) = look else {
            conn = None;
            continue;
        };
        let Some(look) = look else { return };
        if conn.is_none() {
            match opener.open_to_read().await {
                Ok(opened) => conn = Some(opened),
                Err(error) => {
                    look(Err(error)).await;
                    continue;
                }
            }
        }
        if let Some(open) = conn.as_mut()
            && !look(Ok(open)).await
        {
            conn = None;
        }
    }
}
