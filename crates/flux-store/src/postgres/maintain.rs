//! Looking at the database itself.

use diesel::sql_types::{BigInt, Text};

use super::address::Address;
use super::connect::connect;
use super::open::{self, OpenError, Schema};
use super::opener::{Opener, PostgresOptions};
use super::shared::queries::status::counts;
use crate::counts::Counts;
use crate::error::Fail;
use crate::sql::sql;

/// The server, and what is in our schema.
#[derive(Clone, Debug)]
pub struct Status {
    /// The server's version, such as `15.20`.
    pub server: String,
    /// Which database system, on which timeline.
    pub identity: String,
    /// Bytes of our tables and indexes.
    pub size: u64,
    /// Newest migration that was applied; `None` when there is none.
    pub schema: Option<String>,
    /// Migrations that the next engine applies.
    pub pending: Vec<String>,
    /// Sentences about settings of the server that may lose what was answered.
    pub warnings: Vec<String>,
    /// What is in it; `None` when the schema is not the one that this program knows.
    pub counts: Option<Counts>,
}

const VERSION: &str = "SELECT current_setting('server_version')";
const SIZE: &str = "\
    SELECT CAST(coalesce(sum(pg_total_relation_size(pg_class.oid)), 0) AS BIGINT) FROM pg_class \
    JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = ? AND relkind = 'r'";

/// Looks at a store without changing anything.
///
/// # Errors
/// See [`OpenError`].
pub async fn status(address: &Address) -> Result<Status, OpenError> {
    let opener = Opener::new(address, &PostgresOptions::default());
    let connected = connect(address, opener.session(), |_| Ok(())).await?;
    let (identity, warnings) = (connected.identity.to_string(), connected.warnings.clone());
    let mut conn = opener.wrap(connected);
    let name = address.schema();
    let found = conn
        .look(async |conn| {
            let schema = open::schema(conn, name).await?;
            let current = schema.unknown().is_none() && schema.pending.is_empty();
            let counts = match current {
                true => Some(counts(conn).await?),
                false => None,
            };
            let server: Vec<(String,)> = sql(VERSION).rows::<(Text,)>().load(conn).await?;
            let size: Vec<(i64,)> = sql(SIZE).text(name).rows::<(BigInt,)>().load(conn).await?;
            Ok((schema, counts, server, size))
        })
        .await;
    let (schema, counts, server, size) = found.map_err(|fail: Fail| OpenError::Migration {
        address: address.clone(),
        schema: name.to_owned(),
        reason: flux_core::ports::Error::from(fail).to_string(),
    })?;
    let Schema { applied, pending } = schema;
    Ok(Status {
        server: server.into_iter().map(|(version,)| version).collect(),
        identity,
        size: size.first().map_or(0, |(size,)| size.unsigned_abs()),
        schema: applied.into_iter().next_back(),
        pending: pending.into_iter().map(str::to_owned).collect(),
        warnings,
        counts,
    })
}

/// Removes a schema with everything in it.
///
/// # Errors
/// See [`OpenError`].
pub async fn drop_schema(address: &Address) -> Result<(), OpenError> {
    let opener = Opener::new(address, &PostgresOptions::default());
    let mut conn = opener.wrap(connect(address, opener.session(), |_| Ok(())).await?);
    let name = address.schema();
    let text = format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE");
    conn.batch(&text)
        .await
        .map_err(|fail| OpenError::Migration {
            address: address.clone(),
            schema: name.to_owned(),
            reason: flux_core::ports::Error::from(fail).to_string(),
        })
}
