//! Readers: a few threads with connections of their own, so that looking never waits for writing.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flux_core::ports::Error;
use tokio::sync::oneshot;

use super::conn::{Conn, connect};
use crate::error::{Blame, Fail};

const THREADS: usize = 2;

type Look = Box<dyn FnOnce(Result<&mut Conn, Error>) -> bool + Send>;

/// A handle; the threads end with the last one.
#[derive(Clone)]
pub(crate) struct Readers(Sender<Look>);

impl Readers {
    pub(crate) fn start(path: &std::path::Path, busy: Duration) -> Readers {
        let (looks, receiver) = channel::<Look>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..THREADS {
            let (path, receiver) = (path.to_owned(), Arc::clone(&receiver));
            let started = std::thread::Builder::new()
                .name(format!("flux-reader-{number}"))
                .spawn(move || run(path, busy, &receiver));
            if let Err(error) = started {
                tracing::error!("cannot start a reader of the store: {error}");
            }
        }
        Readers(looks)
    }

    /// Runs a query on a reader.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Conn) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |conn| {
            let result = match conn {
                Ok(conn) => query(conn),
                Err(error) => Err(error.into()),
            };
            let broken = matches!(&result, Err(fail) if fail.blame() == Blame::Connection);
            let _asker = answer.send(result.map_err(Error::from));
            broken
        });
        let gone = || Error::Unavailable("the store's readers have ended".to_owned());
        self.0.send(look).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn run(path: PathBuf, busy: Duration, looks: &Mutex<Receiver<Look>>) {
    let mut conn: Option<Conn> = None;
    loop {
        let look = looks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(look) = look else { return };
        if conn.is_none() {
            match open(&path, busy) {
                Ok(opened) => conn = Some(opened),
                Err(error) => {
                    look(Err(error));
                    continue;
                }
            }
        }
        if let Some(open) = conn.as_mut()
            && look(Ok(open))
        {
            conn = None;
        }
    }
}

fn open(path: &std::path::Path, busy: Duration) -> Result<Conn, Error> {
    let unavailable = |error: String| Error::Unavailable(error);
    let mut conn = connect(path, busy).map_err(|error| unavailable(error.to_string()))?;
    conn.batch_execute("PRAGMA query_only = ON")
        .map_err(|error| unavailable(error.to_string()))?;
    Ok(Conn::new(conn))
}
