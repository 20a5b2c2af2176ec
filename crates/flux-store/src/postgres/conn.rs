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

/// A connection as the queries see it.
pub(crate) struct Conn {
    conn: AsyncPgConnection,
    /// What every transaction begins with.
    prologue: Arc<str>,
    /// How long a transaction may take before the connection is given up.
    deadline: Duration,
    /// The server has told that a commit did not reach its replicas.
    not_replicated: Arc<AtomicBool>,
    /// Ends the connection without a word when it is dropped.
    driver: AbortHandle,
}

impl Conn {
    pub(super) fn new(connected: Connected, prologue: Arc<str>, deadline: Duration) -> Conn {
        Conn {
            conn: connected.conn,
            prologue,
            deadline,
            not_replicated: connected.commit_not_replicated,
            driver: connected.driver,
        }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<(), Fail> {
        let prologue = Arc::clone(&self.prologue);
        self.batch(&prologue).await
    }

    /// What the server did after an error, or with a warning that its replicas do not have it, is
    /// not known: then the connection is lost, and the same commit on another one tells.
    pub(crate) async fn commit(&mut self) -> Result<(), Fail> {
        self.batch("COMMIT").await.map_err(in_doubt)?;
        match self.not_replicated.swap(false, Ordering::AcqRel) {
            true => Err(Fail::Lost(
                "the commit was not confirmed by the synchronous standby".to_owned(),
            )),
            false => Ok(()),
        }
    }

    pub(crate) async fn roll_back(&mut self) -> Result<(), Fail> {
        self.batch("ROLLBACK").await.map_err(in_doubt)
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
        self.conn.batch_execute(text).await.map_err(failed)
    }

    /// Runs a statement that joins arrays with each other. Their lengths are not known when it is planned,
    /// and joined row by row a thousand ends would compare a million pairs.
    pub(super) async fn with_hash_joins<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut Conn) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        self.batch("SET LOCAL enable_nestloop = off").await?;
        let found = statement(self).await?;
        self.batch("SET LOCAL enable_nestloop = on").await?;
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
        RunQueryDsl::execute(sql, &mut self.conn)
            .await
            .map_err(failed)
    }
}

impl<ST, Row> Load<ST, Row> for Conn
where
    ST: 'static,
    Row: Send,
    for<'a> Rows<'a, ST>: LoadQuery<'a, AsyncPgConnection, Row>,
{
    async fn load(&mut self, rows: Rows<'_, ST>) -> Result<Vec<Row>, Fail> {
        RunQueryDsl::load(rows, &mut self.conn)
            .await
            .map_err(failed)
    }
}
