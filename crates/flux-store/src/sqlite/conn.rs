//! Connections.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, ConnectionError, SqliteConnection};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::dialect;

/// A connection as the queries see it.
pub(crate) type Conn = SyncConnectionWrapper<SqliteConnection, Inline>;

/// Runs each statement at once on the calling thread, which exists for nothing else: a hop to
/// another thread for each statement costs more than the statement.
pub(crate) struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn StdError + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        Box::pin(ready(Ok(task())))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Runs the queries of one of our threads to their end.
pub(crate) fn block_on<T>(queries: impl Future<Output = T>) -> T {
    queries
        .now_or_never()
        .expect("statements run inline, so no query ever waits")
}

/// Opens a connection with our settings.
pub(crate) fn connect(path: &Path, busy: Duration) -> Result<SqliteConnection, ConnectionError> {
    let mut conn = establish(path, busy)?;
    set_up(&mut conn)?;
    Ok(conn)
}

/// Opens a connection that has changed nothing in the file yet.
pub(crate) fn establish(path: &Path, busy: Duration) -> Result<SqliteConnection, ConnectionError> {
    let text = path.to_str().ok_or_else(|| {
        ConnectionError::InvalidConnectionUrl("the path is not valid UTF-8".to_owned())
    })?;
    // A leading `./` keeps a name such as `file:x` from being read as a URI.
    let mut conn = match path.is_absolute() {
        true => SqliteConnection::establish(text)?,
        false => SqliteConnection::establish(&format!("./{text}"))?,
    };
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", busy.as_millis()))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Our settings; the first one is written to the file.
pub(crate) fn set_up(conn: &mut SqliteConnection) -> Result<(), ConnectionError> {
    for pragma in dialect::PRAGMAS {
        conn.batch_execute(pragma)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(())
}
