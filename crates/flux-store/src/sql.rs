//! Hand-written statements for the hot path.
//!
//! diesel prepares its own updates and many inserts anew at each call; a statement of this type is
//! prepared once per connection. `?` stands for the next bound value in every dialect.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use uuid::Uuid;

use crate::error::Fail;

/// What ready branches are sorted by, as [`flux_core::throttle::urgency`] has it and as the indexes spell
/// it.
macro_rules! urgency {
    () => {
        "(due_at + CAST(60000000 AS BIGINT) * priority)"
    };
}
pub(crate) use urgency;

/// How many throttles hold a run. A count, which no planner turns into a join of all runs.
macro_rules! throttles_of {
    ($run:literal) => {
        concat!(
            "(SELECT count(*) FROM run JOIN throttle ON throttle.namespace = run.namespace \
                AND throttle.name IN ('', run.name) WHERE run.id = ",
            $run,
            ")"
        )
    };
}
pub(crate) use throttles_of;

/// The most urgent ready branches of a queue get an owner, while that one is alive; none that has lost
/// too many engines, if the owner has one of that kind already. `$first` and `$last` stand around the
/// choice of branches.
/// Values: owner, now, pool, those of the queue, too many, owner, too many, limit, owner.
macro_rules! claim {
    ($first:literal, $last:literal, $queue:expr) => {
        concat!(
            "UPDATE branch SET state = 1, owner = ?, epoch = epoch + 1, updated_at = ? WHERE ",
            $first,
            " SELECT id FROM branch WHERE pool = ? AND state = 0 AND ",
            $queue,
            " AND (lost < ? OR NOT EXISTS ( \
                    SELECT 1 FROM branch AS mine WHERE mine.owner = ? AND mine.lost >= ?)) \
                ORDER BY ",
            $crate::sql::urgency!(),
            " LIMIT ?",
            $last,
            " AND EXISTS (SELECT 1 FROM member WHERE incarnation = ? AND state = 0) \
            RETURNING id, run_id, epoch, commit_no, lost, memory, signals_after, join_ok, pool, ",
            $crate::sql::urgency!()
        )
    };
}
pub(crate) use claim;

/// Whether a member may take new runs of a pool: nothing is throttled, and nothing was ready before them.
/// `$last` follows. Values: member, pool, pool.
macro_rules! taker {
    ($last:literal) => {
        concat!(
            "SELECT incarnation FROM member WHERE incarnation = ? AND state = 0 \
             AND NOT EXISTS (SELECT 1 FROM throttle) \
             AND NOT EXISTS (SELECT 1 FROM branch WHERE pool = ? AND state = 0 AND lane IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM branch WHERE pool = ? AND state = 0 AND lane IS NOT NULL)",
            $last
        )
    };
}
pub(crate) use taker;

/// A statement with its values.
pub(crate) struct Sql<'a> {
    text: Cow<'static, str>,
    values: Vec<Value<'a>>,
}

/// A value, as the queries know it.
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Id(Option<Uuid>),
    /// Arrays: for databases that have them.
    Ids(Vec<Uuid>),
    Ints(Vec<i64>),
    Texts(Vec<Option<Cow<'a, str>>>),
}

/// A database that can be told such values.
pub(crate) trait Wire: Backend {
    /// Adds `value` as the next parameter of a statement.
    fn bind<'b>(out: &mut AstPass<'_, 'b, Self>, value: &'b Value<'_>) -> QueryResult<()>;
}

/// A statement whose rows have the columns `ST`.
pub(crate) struct Rows<'a, ST> {
    sql: Sql<'a>,
    columns: std::marker::PhantomData<fn() -> ST>,
}

/// A connection that runs statements.
pub(crate) trait Execute {
    /// The number of rows changed.
    async fn execute(&mut self, sql: Sql<'_>) -> Result<usize, Fail>;
}

/// A connection that reads rows with the columns `ST` as `Row`.
pub(crate) trait Load<ST, Row> {
    async fn load(&mut self, rows: Rows<'_, ST>) -> Result<Vec<Row>, Fail>;
}

/// The statement `text`, whose values follow in the order of its question marks.
pub(crate) fn sql<'a>(text: impl Into<Cow<'static, str>>) -> Sql<'a> {
    Sql {
        text: text.into(),
        values: Vec::with_capacity(8),
    }
}

impl<'a> Sql<'a> {
    fn value(mut self, value: Value<'a>) -> Self {
        self.values.push(value);
        self
    }

    pub(crate) fn int(self, value: impl Into<Option<i64>>) -> Self {
        self.value(Value::Int(value.into()))
    }

    pub(crate) fn text(self, value: &'a str) -> Self {
        self.value(Value::Text(Some(Cow::Borrowed(value))))
    }

    pub(crate) fn maybe_text(self, value: Option<&'a str>) -> Self {
        self.value(Value::Text(value.map(Cow::Borrowed)))
    }

    pub(crate) fn owned_text(self, value: String) -> Self {
        self.value(Value::Text(Some(Cow::Owned(value))))
    }

    pub(crate) fn id(self, value: Uuid) -> Self {
        self.value(Value::Id(Some(value)))
    }

    pub(crate) fn maybe_id(self, value: Option<Uuid>) -> Self {
        self.value(Value::Id(value))
    }

    pub(crate) fn ids(self, values: Vec<Uuid>) -> Self {
        self.value(Value::Ids(values))
    }

    pub(crate) fn ints(self, values: Vec<i64>) -> Self {
        self.value(Value::Ints(values))
    }

    pub(crate) fn texts(self, values: impl Iterator<Item = &'a str>) -> Self {
        self.maybe_texts(values.map(Some))
    }

    pub(crate) fn maybe_texts(self, values: impl Iterator<Item = Option<&'a str>>) -> Self {
        self.value(Value::Texts(
            values.map(|text| text.map(Cow::Borrowed)).collect(),
        ))
    }

    pub(crate) fn owned_texts(self, values: Vec<Option<String>>) -> Self {
        let owned = values.into_iter().map(|text| text.map(Cow::Owned));
        self.value(Value::Texts(owned.collect()))
    }

    /// Runs the statement; the number of rows changed.
    pub(crate) async fn execute(self, conn: &mut impl Execute) -> Result<usize, Fail> {
        conn.execute(self).await
    }

    /// The same statement, with the types of the columns that it returns.
    pub(crate) fn rows<ST>(self) -> Rows<'a, ST> {
        Rows {
            sql: self,
            columns: std::marker::PhantomData,
        }
    }
}

impl<ST> Rows<'_, ST> {
    /// All rows.
    pub(crate) async fn load<Row>(self, conn: &mut impl Load<ST, Row>) -> Result<Vec<Row>, Fail> {
        conn.load(self).await
    }
}

impl<DB: Wire> QueryFragment<DB> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (position, part) in self.text.split('?').enumerate() {
            if position > 0 {
                let value = values.next().ok_or_else(|| too_few(&self.text))?;
                DB::bind(&mut out, value)?;
            }
            out.push_sql(part);
        }
        Ok(())
    }
}

fn too_few(text: &str) -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError(format!("a value is missing: {text}").into())
}

// No static id: the text itself is the key under which the prepared statement is kept.
impl QueryId for Sql<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Conn> diesel::query_dsl::RunQueryDsl<Conn> for Sql<'_> {}

impl<DB: Wire, ST> QueryFragment<DB> for Rows<'_, ST> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        QueryFragment::<DB>::walk_ast(&self.sql, out)
    }
}

impl<ST> QueryId for Rows<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Conn, ST> diesel::query_dsl::RunQueryDsl<Conn> for Rows<'_, ST> {}

impl<ST> Query for Rows<'_, ST> {
    type SqlType = ST;
}
