//! Connections.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::query_builder::AstPass;
use diesel::query_dsl::methods::LoadQuery;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;
use diesel::{Connection, ConnectionError, RunQueryDsl, SqliteConnection};

use super::blame::blame;
use super::dialect;
use crate::error::{Blame, Fail};
use crate::sql::{Execute, Load, Rows, Sql, Value, Wire};
use crate::stats::Statements;

/// How long a new connection waits for others that create the file, and between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A connection as the queries see it. Each statement runs at once on the calling thread, which
/// exists for nothing else: a hop to another thread costs more than the statement.
pub(crate) struct Conn {
    conn: SqliteConnection,
    statements: Statements,
}

impl Conn {
    pub(crate) fn new(conn: SqliteConnection, statements: Statements) -> Conn {
        Conn { conn, statements }
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&mut self) -> Result<(), Fail> {
        self.batch(dialect::BEGIN_WRITE)
    }

    /// What comes next is one statement that only reads.
    pub(crate) fn begin_alone(&mut self) {}

    /// What stands before the name of a table.
    pub(crate) fn schema(&self) -> String {
        String::new()
    }

    pub(crate) async fn commit(&mut self) -> Result<(), Fail> {
        self.batch("COMMIT")
    }

    /// After some errors SQLite has rolled back already, and says so here.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Fail> {
        let _rolled_back = self.batch("ROLLBACK");
        Ok(())
    }

    /// Runs a query that only reads.
    pub(crate) async fn look<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        query(self).await
    }

    /// Statements end by themselves.
    pub(crate) async fn within_deadline<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        work(self).await
    }

    fn batch(&mut self, text: &str) -> Result<(), Fail> {
        self.counted().batch_execute(text).map_err(failed)
    }

    /// The connection, for one more statement.
    fn counted(&mut self) -> &mut SqliteConnection {
        self.statements.one_more();
        &mut self.conn
    }
}

fn failed(error: DieselError) -> Fail {
    Fail::Db(blame(&error), error)
}

impl Wire for Sqlite {
    fn bind<'b>(out: &mut AstPass<'_, 'b, Self>, value: &'b Value<'_>) -> QueryResult<()> {
        match value {
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Id(None) => out.push_bind_param::<Nullable<Binary>, Option<[u8; 16]>>(&None),
            Value::Id(Some(id)) => out.push_bind_param::<Binary, [u8; 16]>(id.as_bytes()),
            Value::Ids(_) | Value::Ints(_) | Value::Texts(_) => Err(
                DieselError::QueryBuilderError("SQLite has no arrays".into()),
            ),
        }
    }
}

impl Execute for Conn {
    async fn execute(&mut self, sql: Sql<'_>) -> Result<usize, Fail> {
        RunQueryDsl::execute(sql, self.counted()).map_err(failed)
    }
}

impl<ST, Row> Load<ST, Row> for Conn
where
    ST: 'static,
    for<'a> Rows<'a, ST>: LoadQuery<'a, SqliteConnection, Row>,
{
    async fn load(&mut self, rows: Rows<'_, ST>) -> Result<Vec<Row>, Fail> {
        RunQueryDsl::load(rows, self.counted()).map_err(failed)
    }
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
