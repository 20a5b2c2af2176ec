//! Bringing the schema up to date.
//!
//! The migrations are embedded and numbered. They run in one transaction under a lock: engines that
//! start together do not disturb each other, and one that fails leaves nothing behind.

use diesel::sql_types::{Integer, Text};

use super::address::Address;
use super::conn::Conn;
use super::connect::{ConnectError, connect};
use super::opener::Opener;
use crate::error::{Blame, Fail};
use crate::sql::sql;

/// Why a database could not be opened. The text says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The schema is from a later version of Flux.
    #[error(
        "schema \"{schema}\" of {address} has version {found}, and this program knows versions up \
         to {known}; use the Flux that wrote it, or a newer one"
    )]
    Newer {
        /// The database.
        address: Address,
        /// The schema.
        schema: String,
        /// Its version.
        found: String,
        /// The newest version that this program knows.
        known: &'static str,
    },
    /// The connection broke meanwhile; the schema is as it was before, or up to date.
    #[error("{address} did not answer while its schema was brought up to date: {reason}")]
    Interrupted {
        /// The database.
        address: Address,
        /// What went wrong.
        reason: String,
    },
    /// A migration failed; the schema is as it was before.
    #[error(
        "cannot bring schema \"{schema}\" of {address} up to date: {reason}; the role must own the \
         schema, or have CREATE on the database; or let somebody who may run `flux db migrate`"
    )]
    Migration {
        /// The database.
        address: Address,
        /// The schema.
        schema: String,
        /// What went wrong.
        reason: String,
    },
}

impl OpenError {
    /// Whether the same may succeed later without anybody changing something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_transient(),
            Self::Interrupted { .. } => true,
            Self::Newer { .. } | Self::Migration { .. } => false,
        }
    }
}

/// Version and text of every migration, oldest first.
const MIGRATIONS: [(&str, &str); 4] = [
    (
        "0001",
        include_str!("../../migrations/postgres/0001_first/up.sql"),
    ),
    (
        "0002",
        include_str!("../../migrations/postgres/0002_network/up.sql"),
    ),
    (
        "0003",
        include_str!("../../migrations/postgres/0003_throttles/up.sql"),
    ),
    (
        "0004",
        include_str!("../../migrations/postgres/0004_requirements/up.sql"),
    ),
];

/// How often the migrations are tried while others are in the way.
const TRIES: u32 = 5;

/// Locks out others that migrate the same schema.
const LOCK: &str = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtext('flux ' || ?))) AS locked";
const EXISTS: &str = "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'migration'";
const SCHEMA_EXISTS: &str = "SELECT 1 FROM pg_namespace WHERE nspname = ?";
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
    let applied: Vec<(String,)> = match exists(conn, EXISTS, name).await? {
        true => sql(APPLIED).rows::<(Text,)>().load(conn).await?,
        false => Vec::new(),
    };
    let applied: Vec<String> = applied.into_iter().map(|(version,)| version).collect();
    let pending = MIGRATIONS.iter().map(|(version, _)| *version);
    let pending = pending.filter(|version| !applied.iter().any(|done| done == version));
    Ok(Schema {
        pending: pending.collect(),
        applied,
    })
}

async fn exists(conn: &mut Conn, text: &'static str, name: &str) -> Result<bool, Fail> {
    let rows: Vec<(i32,)> = sql(text).text(name).rows::<(Integer,)>().load(conn).await?;
    Ok(!rows.is_empty())
}

/// Applies what is pending, in a transaction of its own, unless the schema is a newer one.
pub(super) async fn migrate(conn: &mut Conn, name: &str) -> Result<Schema, Fail> {
    conn.begin().await?;
    let _locked: Vec<(i32,)> = sql(LOCK).text(name).rows::<(Integer,)>().load(conn).await?;
    let found = schema(conn, name).await?;
    if found.unknown().is_some() || found.pending.is_empty() {
        conn.roll_back().await?;
        return Ok(found);
    }
    if found.applied.is_empty() {
        // Even with IF NOT EXISTS it needs a right that the owner of the schema may not have.
        if !exists(conn, SCHEMA_EXISTS, name).await? {
            conn.batch(&format!("CREATE SCHEMA \"{name}\"")).await?;
        }
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

/// Looks first, which must be answered in time; a migration of large tables may take what it takes.
async fn up_to_date(conn: &mut Conn, name: &str) -> Result<Schema, Fail> {
    let found = conn.look(async |conn| schema(conn, name).await).await?;
    match found.pending.is_empty() || found.unknown().is_some() {
        true => Ok(found),
        false => migrate_with_patience(conn, name).await,
    }
}

/// Others that start at the same moment, or a lock of somebody else, may be in the way for longer
/// than one statement waits.
async fn migrate_with_patience(conn: &mut Conn, name: &str) -> Result<Schema, Fail> {
    let mut tries = 0;
    loop {
        tries += 1;
        match migrate(conn, name).await {
            Err(fail) if fail.blame() == Blame::Busy && tries < TRIES => conn.roll_back().await?,
            result => return result,
        }
    }
}

fn failed(address: &Address, fail: Fail) -> OpenError {
    let interrupted = fail.blame() == Blame::Connection;
    let reason = flux_core::ports::Error::from(fail).to_string();
    let address = address.clone();
    if interrupted {
        return OpenError::Interrupted { address, reason };
    }
    let schema = address.schema().to_owned();
    OpenError::Migration {
        address,
        schema,
        reason,
    }
}

/// Connects once and migrates.
pub(super) async fn open(address: &Address, opener: &mut Opener) -> Result<(), OpenError> {
    let connected = connect(address, opener.session(), |_| Ok(())).await?;
    for warning in &connected.warnings {
        tracing::warn!("{address}: {warning}");
    }
    let mut conn = opener.wrap(connected);
    let name = address.schema();
    let found = up_to_date(&mut conn, name).await;
    let found = found.map_err(|fail| failed(address, fail))?;
    match found.unknown() {
        Some(unknown) => Err(OpenError::Newer {
            address: address.clone(),
            schema: name.to_owned(),
            found: unknown.to_owned(),
            known: Schema::newest_known(),
        }),
        None => Ok(()),
    }
}
