//! Opening a file: refusing what would not be safe, and bringing the schema up to date.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::conn::{establish, patiently, set_up};
use crate::error::OpenError;

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// "FLUX", as the first migration writes it.
const APPLICATION: i32 = 1_179_407_704;

/// Version 3.51.3: earlier ones may corrupt a database that several processes write.
const OLDEST: (u32, u32, u32) = (3, 51, 3);

/// Tries to migrate while another process does the same.
const TRIES: u32 = 20;

/// Checks the file and its place, creates it when it is not there, migrates it.
pub(crate) fn open(path: &Path, busy: Duration) -> Result<(), OpenError> {
    check_library()?;
    check_place(path)?;
    let refused = |reason: String| OpenError::Refused {
        path: path.to_owned(),
        reason,
    };
    let mut conn = establish(path, busy).map_err(|error| refused(error.to_string()))?;
    // Before our settings, which would change another program's file.
    check_owner(path, &mut conn)?;
    set_up(&mut conn).map_err(|error| refused(error.to_string()))?;
    migrate(path, &mut conn)
}

fn check_library() -> Result<(), OpenError> {
    // Bundled, so that this can fail only when somebody links another library.
    let version = libsqlite3_sys::SQLITE_VERSION
        .to_string_lossy()
        .into_owned();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    match (next(), next(), next()) >= OLDEST {
        true => Ok(()),
        false => Err(OpenError::OldSqlite(version)),
    }
}

fn check_place(path: &Path) -> Result<(), OpenError> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(OpenError::NoFile(path.to_owned()));
    }
    if path.is_dir() {
        return Err(OpenError::Directory(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|source| OpenError::CreateDirectory {
        path: folder.to_owned(),
        source,
    })?;
    match rustix::fs::statfs(folder)
        .ok()
        .and_then(|system| network(system.f_type as u32))
    {
        Some(kind) => Err(OpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

/// File systems whose locks do not reach other machines (numbers of statfs(2)).
fn network(kind: u32) -> Option<&'static str> {
    match kind {
        0x6969 => Some("NFS"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        _ => None,
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn number(conn: &mut SqliteConnection, text: &str) -> Result<i64, diesel::result::Error> {
    patiently(|| diesel::sql_query(text).get_result::<Number>(conn)).map(|row| row.number)
}

pub(super) fn check_owner(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let mut read = |text: &str| {
        number(conn, text).map_err(|error| match error.to_string() {
            reason if reason.contains("not a database") => OpenError::NotADatabase(path.to_owned()),
            reason => OpenError::Refused {
                path: path.to_owned(),
                reason,
            },
        })
    };
    let tables = read("SELECT count(*) AS number FROM sqlite_schema")?;
    let application = read("SELECT application_id AS number FROM pragma_application_id")?;
    let ours = read(
        "SELECT count(*) AS number FROM sqlite_schema WHERE name = '__diesel_schema_migrations'",
    )?;
    match tables == 0 || application == i64::from(APPLICATION) || ours == 1 {
        true => Ok(()),
        false => Err(OpenError::Foreign(path.to_owned())),
    }
}

fn migrate(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |reason: String| OpenError::Migration {
        path: path.to_owned(),
        reason,
    };
    let mut last = String::new();
    for _ in 0..TRIES {
        // Another process may be migrating too: then ours fails, and there is nothing left to do.
        match conn.run_pending_migrations(MIGRATIONS) {
            Ok(_) => return check_version(path, conn),
            Err(error) => last = error.to_string(),
        }
        // An open transaction of a failed migration must not stay behind.
        let _nothing_open = conn.batch_execute("ROLLBACK");
    }
    Err(failed(last))
}

fn check_version(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |reason: String| OpenError::Migration {
        path: path.to_owned(),
        reason,
    };
    let applied = conn
        .applied_migrations()
        .map_err(|error| failed(error.to_string()))?;
    let known: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS
        .migrations()
        .map_err(|error| failed(error.to_string()))?;
    let newest = |versions: Vec<String>| versions.into_iter().max().unwrap_or_default();
    let found = newest(applied.iter().map(ToString::to_string).collect());
    let known = newest(
        known
            .iter()
            .map(|m| m.name().version().to_string())
            .collect(),
    );
    match found > known {
        true => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::Connection;

    #[test]
    fn a_file_of_another_program_is_refused_and_keeps_its_journal_mode() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("foreign.db");
        let text = path.to_str().expect("the path is text");
        let mut foreign = SqliteConnection::establish(text).expect("it opens");
        foreign
            .batch_execute("CREATE TABLE theirs (x); PRAGMA application_id = 7")
            .expect("it is made");
        let refused = open(&path, Duration::from_secs(1));
        assert!(matches!(refused, Err(OpenError::Foreign(_))), "{refused:?}");
        let wal = "SELECT journal_mode = 'wal' AS number FROM pragma_journal_mode";
        assert_eq!(number(&mut foreign, wal).expect("it is read"), 0);
    }
}
