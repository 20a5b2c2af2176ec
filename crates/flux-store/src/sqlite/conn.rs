//! Connections.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::query_dsl::methods::LoadQuery;
use diesel::result::QueryResult;
use diesel::{Connection, ConnectionError, RunQueryDsl, SqliteConnection};
use futures_util::FutureExt;

use super::dialect;
use crate::error::{Blame, blame};
use crate::sql::{Execute, Load, Rows, Sql};

/// How long a new connection waits for others that create the file, and between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A connection as the queries see it. Each statement runs at once on the calling thread, which
/// exists for nothing else: a hop to another thread costs more than the statement.
pub(crate) struct Conn(SqliteConnection);

impl Conn {
    pub(crate) fn new(conn: SqliteConnection) -> Conn {
        Conn(conn)
    }

    /// Statements without values and rows.
    pub(crate) fn batch(&mut self, text: &str) -> QueryResult<()> {
        self.0.batch_execute(text)
    }
}

impl Execute for Conn {
    async fn execute(&mut self, sql: Sql<'_>) -> QueryResult<usize> {
        RunQueryDsl::execute(sql, &mut self.0)
    }
}

impl<ST, Row> Load<ST, Row> for Conn
where
    ST: 'static,
    for<'a> Rows<'a, ST>: LoadQuery<'a, SqliteConnection, Row>,
{
    async fn load(&mut self, rows: Rows<'_, ST>) -> QueryResult<Vec<Row>> {
        RunQueryDsl::load(rows, &mut self.0)
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
        patiently(|| conn.batch_execute(pragma))
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(())
}

/// Tries again while the file is locked. SQLite itself does not wait where two processes that
/// create the file switch it to its write-ahead log at the same time.
pub(crate) fn patiently<T>(mut statement: impl FnMut() -> QueryResult<T>) -> QueryResult<T> {
    let begin = Instant::now();
    loop {
        match statement() {
            Err(error) if begin.elapsed() < PATIENCE && blame(&error) == Blame::Busy => {
                std::thread::park_timeout(PAUSE);
            }
            result => return result,
        }
    }
}
