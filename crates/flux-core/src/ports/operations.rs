//! What operators need of the store: end runs, send them back, remove old ones.

use super::Error;
use crate::branch::RunState;
use crate::clock::Timestamp;
use crate::ids::RunId;
use async_trait::async_trait;

/// Sends a faulted run back to its last commit point.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The run.
    pub run: RunId,
    /// Event types to keep for it from now on: those that its definition listens to.
    pub listens: Vec<Option<String>>,
    /// When.
    pub at: Timestamp,
}

/// Answer to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operated {
    /// It is done.
    Done,
    /// No such run.
    NotFound,
    /// Not possible in this state.
    Illegal(RunState),
    /// A sub-workflow: the run that waited for it was told how it ended, and has gone on.
    Child,
}

/// The operators' side of the store. None of these needs the owner of a branch: whoever runs it is
/// fenced, and notices soon.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Cancels a run with everything that it started and waits for.
    async fn cancel(&self, run: RunId, now: Timestamp) -> Result<Operated, Error>;

    /// Sends a faulted run back to its last commit point.
    async fn recover(&self, recovery: Recovery) -> Result<Operated, Error>;

    /// Removes at most `limit` runs that ended before `before`, with their history; never one that
    /// an unfinished run started and waits or waited for. Zero: there are no more.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
