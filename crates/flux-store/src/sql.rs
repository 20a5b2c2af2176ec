//! Hand-written statements for the hot path.
//!
//! diesel prepares its own updates and many inserts anew at each call; a statement of this type is
//! prepared once per connection. `?` stands for the next bound value in every dialect.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Nullable, Text};
use uuid::Uuid;

/// A statement with its values.
pub(crate) struct Sql<'a> {
    text: Cow<'static, str>,
    values: Vec<Value<'a>>,
}

enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Id(Option<[u8; 16]>),
}

/// A statement whose rows have the columns `ST`.
pub(crate) struct Rows<'a, ST> {
    sql: Sql<'a>,
    columns: std::marker::PhantomData<fn() -> ST>,
}

/// A connection that runs statements.
pub(crate) trait Execute {
    /// The number of rows changed.
    async fn execute(&mut self, sql: Sql<'_>) -> QueryResult<usize>;
}

/// A connection that reads rows with the columns `ST` as `Row`.
pub(crate) trait Load<ST, Row> {
    async fn load(&mut self, rows: Rows<'_, ST>) -> QueryResult<Vec<Row>>;
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
        self.value(Value::Id(Some(*value.as_bytes())))
    }

    pub(crate) fn maybe_id(self, value: Option<Uuid>) -> Self {
        self.value(Value::Id(value.map(|id| *id.as_bytes())))
    }

    /// Runs the statement; the number of rows changed.
    pub(crate) async fn execute(self, conn: &mut impl Execute) -> QueryResult<usize> {
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
    pub(crate) async fn load<Row>(self, conn: &mut impl Load<ST, Row>) -> QueryResult<Vec<Row>> {
        conn.load(self).await
    }
}

impl<DB> QueryFragment<DB> for Sql<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Binary>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    for<'c> Option<Cow<'c, str>>: ToSql<Nullable<Text>, DB>,
    Option<[u8; 16]>: ToSql<Nullable<Binary>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (position, part) in self.text.split('?').enumerate() {
            if position > 0 {
                match values.next() {
                    Some(Value::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Value::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                    Some(Value::Id(value)) => out.push_bind_param::<Nullable<Binary>, _>(value)?,
                    None => return Err(too_few(&self.text)),
                }
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

impl<DB: Backend, ST> QueryFragment<DB> for Rows<'_, ST>
where
    for<'c> Sql<'c>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.sql.walk_ast(out)
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
