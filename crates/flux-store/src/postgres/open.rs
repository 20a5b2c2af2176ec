//! Bringing the schema up to date.
//!
//! The migrations are embedded and numbered. They run in one transaction under a lock: engines that
//! start together do not disturb each other, and one that fails leaves nothing behind.

use diesel::sql_types::{Integer, Text};

use super::conn::Conn;
use crate::error::Fail;
use crate::sql::sql;

/// Version and text of every migration, oldest first.
const MIGRATIONS: [(&str, &str); 1] = [(
    "0001",
    include_str!("../../migrations/postgres/0001_first/up.sql"),
)];

/// Locks out others that migrate the same schema.
const LOCK: &str = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtext('flux ' || ?))) AS locked";
const EXISTS: &str = "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'migration'";
const APPLIED: &str = "SELECT version FROM migration ORDER BY version";
const CREATE: &str = "CREATE TABLE migration (\
    version TEXT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())";
const INSERT: &str = "INSERT INTO migration (version) VALUES (?)";

/// What is in the database, compared with what this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schema {
    /// Versions that were applied, oldest first.
    pub(super) applied: Vec<String>,
    /// Versions that this program would apply.
    pub(super) pending: Vec<&'static str>,
}

impl Schema {
    /// The newest version in the database, if this program does not know it.
    pub(super) fn unknown(&self) -> Option<&str> {
        let newest = self.applied.last()?;
        let known = MIGRATIONS.iter().any(|(version, _)| version == newest);
        (!known).then_some(newest.as_str())
    }

    /// The newest version that this program knows.
    pub(super) fn newest_known() -> &'static str {
        MIGRATIONS[MIGRATIONS.len() - 1].0
    }
}

/// What is applied and what is not.
pub(super) async fn schema(conn: &mut Conn, name: &str) -> Result<Schema, Fail> {
    let exists: Vec<(i32,)> = sql(EXISTS)
        .text(name)
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    let applied: Vec<(String,)> = match exists.is_empty() {
        true => Vec::new(),
        false => sql(APPLIED).rows::<(Text,)>().load(conn).await?,
    };
    let applied: Vec<String> = applied.into_iter().map(|(version,)| version).collect();
    let pending = MIGRATIONS.iter().map(|(version, _)| *version);
    let pending = pending.filter(|version| !applied.iter().any(|done| done == version));
    Ok(Schema {
        pending: pending.collect(),
        applied,
    })
}

/// Applies what is pending, in a transaction of its own, unless the schema is a newer one.
pub(super) async fn migrate(conn: &mut Conn, name: &str) -> Result<Schema, Fail> {
    conn.begin().await?;
    let _locked: Vec<(i32,)> = sql(LOCK).text(name).rows::<(Integer,)>().load(conn).await?;
    let found = schema(conn, name).await?;
    if found.unknown().is_some() {
        conn.roll_back().await?;
        return Ok(found);
    }
    if found.applied.is_empty() {
        conn.batch(&format!("CREATE SCHEMA IF NOT EXISTS \"{name}\""))
            .await?;
        conn.batch(CREATE).await?;
    }
    for (version, text) in MIGRATIONS {
        if found.pending.contains(&version) {
            conn.batch(text).await?;
            sql(INSERT).text(version).execute(conn).await?;
        }
    }
    conn.commit().await?;
    Ok(found)
}
