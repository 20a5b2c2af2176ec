//! Connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::task::AbortHandle;

use super::blame::blame;
use super::connect::Connected;
use crate::error::{Blame, Fail};
use crate::sql::{Execute, Load, Rows, Sql, Value, Wire};
use crate::stats::Statements;

/// A connection as the queries see it.
pub(crate) struct Conn {
    conn: AsyncPgConnection,
    schema: Arc<str>,
    /// What every transaction begins with.
    prologue: Arc<str>,
    /// Statements without answers that go to the server together with the next one, so that nobody waits
    /// for them alone. The end of the transaction makes them void.
    before: String,
    /// Whether the server knows of the transaction.
    begun: bool,
    /// How long a transaction may take before the connection is given up.
    deadline: Duration,
    /// The server has told that a commit did not reach its replicas.
    not_replicated: Arc<AtomicBool>,
    statements: Statements,
    /// Ends the connection without a word when it is dropped.
    driver: AbortHandle,
}

impl Conn {
    pub(super) fn new(
        connected: Connected,
        schema: &str,
        prologue: Arc<str>,
        deadline: Duration,
        statements: Statements,
    ) -> Conn {
        Conn {
            conn: connected.conn,
            schema: schema.into(),
            prologue,
            before: String::new(),
            begun: false,
            deadline,
            not_replicated: connected.commit_not_replicated,
            statements,
            driver: connected.driver,
        }
    }

    /// Begins a transaction, with its first statement.
    #[expect(clippy::unused_async, reason = "other databases are told at once")]
    pub(crate) async fn begin(&mut self) -> Result<(), Fail> {
        self.before = self.prologue.to_string();
        self.begun = false;
        Ok(())
    }

    /// What comes next is one statement that only reads: a transaction by itself, without any settings.
    pub(crate) fn begin_alone(&mut self) {
        self.before.clear();
    }

    /// What stands before the name of a table.
    pub(crate) fn schema(&self) -> String {
        format!("\"{}\".", self.schema)
    }

    /// What the server did after an error, or with a warning that its replicas do not have it, is
    /// not known: then the connection is lost, and the same commit on another one tells.
    pub(crate) async fn commit(&mut self) -> Result<(), Fail> {
        self.end("COMMIT").await?;
        match self.not_replicated.swap(false, Ordering::AcqRel) {
            true => Err(Fail::Lost(
                "the commit was not confirmed by the synchronous standby".to_owned(),
            )),
            false => Ok(()),
        }
    }

    pub(crate) async fn roll_back(&mut self) -> Result<(), Fail> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, text: &str) -> Result<(), Fail> {
        self.before.clear();
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        self.statements.one_more();
        let ended = self.conn.batch_execute(text).await;
        ended.map_err(|error| in_doubt(failed(error)))
    }

    /// Runs a query that only reads.
    pub(crate) async fn look<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        self.within_deadline(async |conn| {
            conn.begin().await?;
            let found = query(conn).await;
            match &found {
                Err(fail) if fail.blame() == Blame::Connection => {}
                _ => conn.roll_back().await?,
            }
            found
        })
        .await
    }

    /// Whoever is not answered in time asks on another connection. Nothing is sent to end what the
    /// server still does: a commit that is cancelled may have happened all the same.
    pub(crate) async fn within_deadline<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        let deadline = self.deadline;
        let done = tokio::time::timeout(deadline, work(self)).await;
        done.unwrap_or_else(|_| {
            let text = format!(
                "the database has not answered for {} s",
                deadline.as_secs_f64()
            );
            Err(Fail::Lost(text))
        })
    }

    /// Statements without values and rows.
    pub(super) async fn batch(&mut self, text: &str) -> Result<(), Fail> {
        let before = self.before_next();
        let all = format!("{before}{text}");
        self.statements.one_more();
        self.conn.batch_execute(&all).await.map_err(failed)
    }

    /// What is to be sent before the next statement, from now on as good as sent.
    fn before_next(&mut self) -> String {
        self.begun = true;
        std::mem::take(&mut self.before)
    }

    /// Counts a statement, and what is sent before it.
    fn count(&self, before: &str) {
        if !before.is_empty() {
            self.statements.one_more();
        }
        self.statements.one_more();
    }

    /// Runs a statement that joins arrays with each other. Their lengths are not known when it is planned,
    /// and joined row by row a thousand ends would compare a million pairs.
    pub(super) async fn with_hash_joins<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        self.before += "SET LOCAL enable_nestloop = off; ";
        let found = statement(self).await?;
        self.before += "SET LOCAL enable_nestloop = on; ";
        Ok(found)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn failed(error: DieselError) -> Fail {
    Fail::Db(blame(&error), error)
}

fn in_doubt(fail: Fail) -> Fail {
    match fail {
        Fail::Db(_, error) => Fail::Lost(error.to_string()),
        other => other,
    }
}

impl Wire for Pg {
    fn bind<'b>(out: &mut AstPass<'_, 'b, Self>, value: &'b Value<'_>) -> QueryResult<()> {
        match value {
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Id(value) => out.push_bind_param::<Nullable<SqlUuid>, _>(value),
            Value::Ids(values) => out.push_bind_param::<Array<SqlUuid>, _>(values),
            Value::Ints(values) => out.push_bind_param::<Array<BigInt>, _>(values),
            Value::Texts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
        }
    }
}

impl Execute for Conn {
    async fn execute(&mut self, sql: Sql<'_>) -> Result<usize, Fail> {
        let before = self.before_next();
        self.count(&before);
        let conn = &self.conn;
        after(conn, &before, RunQueryDsl::execute(sql, &mut &*conn)).await
    }
}

impl<ST, Row> Load<ST, Row> for Conn
where
    ST: 'static,
    Row: Send,
    for<'a, 'c> Rows<'a, ST>: LoadQuery<'a, &'c AsyncPgConnection, Row>,
{
    async fn load(&mut self, rows: Rows<'_, ST>) -> Result<Vec<Row>, Fail> {
        let before = self.before_next();
        self.count(&before);
        let conn = &self.conn;
        after(conn, &before, RunQueryDsl::load(rows, &mut &*conn)).await
    }
}

/// Sends `before` and then the statement, without waiting in between. Where the first fails, the server
/// refuses the second, because the transaction has failed.
async fn after<T>(
    mut conn: &AsyncPgConnection,
    before: &str,
    statement: impl Future<Output = QueryResult<T>>,
) -> Result<T, Fail> {
    if before.is_empty() {
        return statement.await.map_err(failed);
    }
    let (sent, answer) = tokio::join!(biased; conn.batch_execute(before), statement);
    sent.map_err(failed)?;
    answer.map_err(failed)
}
