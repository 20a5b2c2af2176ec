//! What operators need of the store: hold runs back, end them, send them back, remove old ones.

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

/// What is to be done with a run. Doing it again changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// End it, with everything that it started and waits for.
    Cancel,
    /// Hold it back: what is ready or waits stays, what runs stops at its next commit point. Child
    /// runs go on.
    Pause,
    /// Let it go on after a pause.
    Resume,
    /// Make due now what waits for a time.
    Expedite,
    /// Forget it and its history, once it has ended.
    Remove,
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
    /// A sub-workflow: the run that waits for it was told how it ended, or is to be.
    Child,
}

/// The operators' side of the store. None of these needs the owner of a branch: whoever runs it is
/// fenced, and notices soon.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Changes a run. [`Operated::Child`]: an open run waits for the end of this one, or did.
    async fn change(&self, run: RunId, change: Change, now: Timestamp) -> Result<Operated, Error>;

    /// Sends a faulted run back to its last commit point.
    async fn recover(&self, recovery: Recovery) -> Result<Operated, Error>;

    /// Removes at most `limit` runs that ended before `before`, with their history; never one that
    /// an unfinished run started and waits or waited for. Zero: there are no more.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;
}
