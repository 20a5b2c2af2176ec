//! What may go wrong, and what it means for the caller.

use std::path::PathBuf;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use flux_core::ports::Error;

/// Why a database file could not be opened. The text says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path names a directory.
    #[error("{0} is a directory; name a file in it, such as {0}/flux.db")]
    Directory(PathBuf),
    /// `:memory:` and the empty path name no file.
    #[error("`{0}` is no file: what Flux keeps must outlive the process; name a file")]
    NoFile(PathBuf),
    /// The directory of the file could not be made.
    #[error("cannot create the directory {path}; create it, or name a file elsewhere")]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is on a file system whose locks cannot be trusted.
    #[error(
        "{path} is on a network file system ({kind}), whose locks do not protect the database; \
         move it to a local disk, or use PostgreSQL"
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// Name of the file system.
        kind: &'static str,
    },
    /// The file has another content.
    #[error("{0} is not a SQLite database; name another file, or move this one away")]
    NotADatabase(PathBuf),
    /// A SQLite database that another program made.
    #[error("{0} is a SQLite database of another program; name another file")]
    Foreign(PathBuf),
    /// The file is from a later version of Flux.
    #[error(
        "{path} has schema version {found}, and this program knows versions up to {known}; \
         use the Flux that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The newest version that this program knows.
        known: String,
    },
    /// The SQLite library has a bug that destroys databases like ours.
    #[error("SQLite {0} may corrupt a database that several processes use; 3.51.3 is needed")]
    OldSqlite(String),
    /// The system refused to open or read the file.
    #[error("cannot open {path}: {reason}; check that the file and its directory can be written")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system said.
        reason: String,
    },
    /// A migration failed; the file is as it was before.
    #[error("cannot bring {path} up to date: {reason}")]
    Migration {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// Why a query did not do what it should.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The database said no.
    Db(Blame, DieselError),
    /// The query itself said no.
    Port(Error),
    /// The connection does not answer any more.
    Lost(String),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Port(error)
    }
}

/// What a failure says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// This request alone is at fault.
    Request,
    /// Others were in the way: the same may succeed at once.
    Busy,
    /// The connection or the disk cannot be trusted any more.
    Connection,
}

/// Blames whoever every database blames alike; an error that says more in its text is left to `by_text`.
pub(crate) fn blame(
    error: &DieselError,
    by_text: impl FnOnce(&DatabaseErrorKind, &str) -> Blame,
) -> Blame {
    let DieselError::DatabaseError(kind, info) = error else {
        return match error {
            DieselError::BrokenTransactionManager => Blame::Connection,
            _ => Blame::Request,
        };
    };
    match kind {
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation => Blame::Request,
        _ => by_text(kind, info.message()),
    }
}

impl Fail {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Port(_) => Blame::Request,
            Self::Db(blame, _) => *blame,
            Self::Lost(_) => Blame::Connection,
        }
    }
}

impl From<Fail> for Error {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Port(error) => error,
            Fail::Lost(reason) => Self::Unavailable(reason),
            Fail::Db(blame, error) => match blame {
                Blame::Busy | Blame::Connection => Self::Unavailable(error.to_string()),
                Blame::Request if is_malformed(&error) => Self::Corrupt(error.to_string()),
                Blame::Request => Self::Internal(error.to_string()),
            },
        }
    }
}

fn is_malformed(error: &DieselError) -> bool {
    matches!(error, DieselError::DeserializationError(_))
}
