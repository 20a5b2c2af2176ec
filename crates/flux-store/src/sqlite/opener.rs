//! Connections for the threads of a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flux_core::ports::Error;

use super::conn::{Conn, connect};
use crate::stats::Statements;

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a statement waits for another process to release the lock.
    pub busy_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// Opens connections to one file.
#[derive(Clone)]
pub(crate) struct Opener {
    path: PathBuf,
    busy: Duration,
    statements: Statements,
}

impl Opener {
    pub(super) fn new(path: &Path, options: Options) -> Opener {
        Opener {
            path: path.to_owned(),
            busy: options.busy_timeout,
            statements: Statements::default(),
        }
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    /// The connections of the members port are like all others.
    pub(crate) fn for_members(&self) -> Opener {
        self.clone()
    }

    /// The file is never away, and never goes back: nothing is counted.
    pub(crate) fn openings(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// A connection that may write.
    pub(crate) async fn open(&mut self) -> Result<Conn, Error> {
        let opened = connect(&self.path, self.busy).map_err(unavailable)?;
        Ok(Conn::new(opened, self.statements.clone()))
    }

    /// A connection that cannot write.
    pub(crate) async fn open_to_read(&mut self) -> Result<Conn, Error> {
        let mut opened = connect(&self.path, self.busy).map_err(unavailable)?;
        opened
            .batch_execute("PRAGMA query_only = ON")
            .map_err(unavailable)?;
        Ok(Conn::new(opened, self.statements.clone()))
    }
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}
