//! Looking at the file itself, and copying it while it is in use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection};
use futures_util::FutureExt;

use super::conn::{Conn, establish};
use super::open::{MIGRATIONS, check_owner};
use super::shared::queries::status::counts;
use crate::counts::Counts;
use crate::error::{Fail, OpenError};
use crate::stats::Statements;

/// How long to wait for another process to release the lock.
const BUSY: Duration = Duration::from_secs(5);

/// The file, and what is in it.
#[derive(Clone, Debug)]
pub struct Status {
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the write-ahead log beside it.
    pub log_size: u64,
    /// Newest migration that was applied; `None` for an empty file.
    pub schema: Option<String>,
    /// Migrations that the next program which opens it for work applies.
    pub pending: Vec<String>,
    /// SQLite's journal mode: `wal` once an engine or client has opened it for work.
    pub journal_mode: String,
    /// What is in it; `None` when the schema is not the one that this program knows.
    pub counts: Option<Counts>,
}

/// Looks at a store without changing anything. `None`: there is no such file.
///
/// # Errors
/// See [`OpenError`].
pub fn status(path: &Path) -> Result<Option<Status>, OpenError> {
    if !path.exists() {
        return Ok(None);
    }
    let refused = |reason: String| refused(path, reason);
    let mut conn = establish(path, BUSY).map_err(|error| refused(error.to_string()))?;
    conn.batch_execute("PRAGMA query_only = ON")
        .map_err(|error| refused(error.to_string()))?;
    check_owner(path, &mut conn)?;
    let applied = applied(&mut conn).map_err(|error| refused(error.to_string()))?;
    let known = known().map_err(refused)?;
    let journal_mode = texts(
        &mut conn,
        "SELECT journal_mode AS text FROM pragma_journal_mode",
    )
    .map_err(|error| refused(error.to_string()))?;
    let current = applied == known;
    let pending = known.into_iter().filter(|name| !applied.contains(name));
    let pending: Vec<String> = pending.collect();
    let mut conn = Conn::new(conn, Statements::default());
    let counts = match current {
        true => {
            // Statements run inline: this never waits, also within somebody's runtime.
            let counted = counts(&mut conn)
                .now_or_never()
                .unwrap_or_else(|| Err(Fail::Lost("the count waits for something".to_owned())));
            let counted = counted.map_err(|fail| {
                let error = flux_core::ports::Error::from(fail);
                refused(error.to_string())
            })?;
            Some(counted)
        }
        false => None,
    };
    Ok(Some(Status {
        size: length(path),
        log_size: length(&beside(path, "-wal")),
        schema: applied.into_iter().next_back(),
        pending,
        journal_mode: journal_mode.into_iter().next().unwrap_or_default(),
        counts,
    }))
}

/// Writes a consistent copy to `to`, which must not exist or be empty, and waits until it is on
/// the disk. Engines and clients may go on meanwhile; what they commit after the start is not in it.
///
/// # Errors
/// See [`OpenError`].
pub fn backup(from: &Path, to: &Path) -> Result<(), OpenError> {
    let mut conn = establish(from, BUSY).map_err(|error| refused(from, error.to_string()))?;
    check_owner(from, &mut conn)?;
    // An absolute name is never read as a URI.
    let absolute = std::path::absolute(to).map_err(|error| refused(to, error.to_string()))?;
    let Some(name) = absolute.to_str() else {
        return Err(refused(to, "the path is not valid UTF-8".to_owned()));
    };
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(name)
        .execute(&mut conn)
        .map_err(|error| refused(to, error.to_string()))?;
    // SQLite leaves the copy to the system's cache.
    std::fs::File::open(&absolute)
        .and_then(|copy| copy.sync_all())
        .map_err(|error| refused(to, error.to_string()))
}

fn refused(path: &Path, reason: String) -> OpenError {
    OpenError::Refused {
        path: path.to_owned(),
        reason,
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn texts(conn: &mut SqliteConnection, text: &str) -> Result<Vec<String>, diesel::result::Error> {
    let lines: Vec<Line> = diesel::sql_query(text).get_results(conn)?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}

/// Oldest first; diesel's own look at this table would create it.
fn applied(conn: &mut SqliteConnection) -> Result<Vec<String>, diesel::result::Error> {
    let table = "SELECT name AS text FROM sqlite_schema WHERE name = '__diesel_schema_migrations'";
    if texts(conn, table)?.is_empty() {
        return Ok(Vec::new());
    }
    texts(
        conn,
        "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version",
    )
}

fn known() -> Result<Vec<String>, String> {
    let all: Vec<Box<dyn Migration<Sqlite>>> =
        MIGRATIONS.migrations().map_err(|error| error.to_string())?;
    let mut names: Vec<String> = all.iter().map(|m| m.name().version().to_string()).collect();
    names.sort();
    Ok(names)
}
