//! What clients need of the store: start runs, signal them, look at them.

use super::Error;
use crate::branch::{BranchState, RunState};
use crate::chart::{ChartId, Fault, WorkflowName};
use crate::clock::Timestamp;
use crate::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId, SignalId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A run to start.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Chosen by the caller.
    pub id: RunId,
    /// Its first branch.
    pub branch: BranchId,
    /// Definition, which must be stored already.
    pub chart: ChartId,
    /// What the definition is called.
    pub name: WorkflowName,
    /// Input as JSON.
    pub input: String,
    /// What the first branch knows, as JSON.
    pub memory: String,
    /// Lower runs first.
    pub priority: i32,
    /// Only engines of this pool take its branches; `None` is the common pool.
    pub pool: Option<String>,
    /// The same value again returns the first run instead of starting another.
    pub request_id: Option<String>,
    /// Event types to keep for the run: those that its definition listens to.
    pub listens: Vec<Option<String>>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// When it was submitted.
    pub at: Timestamp,
}

/// An engine that takes new runs at once, as if it had claimed them in the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Its incarnation; gets nothing unless it is alive in the members table.
    pub owner: Incarnation,
    /// At most so many, the most urgent ones.
    pub limit: u32,
    /// `None` for the common pool, or the private pool of the engine: it takes only what is for this one.
    pub pool: Option<String>,
}

impl Taker {
    /// For each of `runs`, whether it takes that one.
    #[must_use]
    pub fn choose(&self, runs: &[NewRun]) -> Vec<bool> {
        let mut places: Vec<usize> = (0..runs.len()).collect();
        places.retain(|place| runs[*place].pool == self.pool);
        places.sort_by_key(|place| runs[*place].priority);
        let mut chosen = vec![false; runs.len()];
        for place in places.into_iter().take(self.limit as usize) {
            chosen[place] = true;
        }
        chosen
    }
}

/// Answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The run.
    pub run: RunId,
    /// False when `request_id` had started it before.
    pub new: bool,
    /// Whether the taker owns its first branch now, in its first epoch. Otherwise it is ready.
    pub taken: bool,
}

/// How a branch or a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Outcome {
    /// Well.
    Completed {
        /// Output as JSON.
        output: String,
    },
    /// By an error that nobody caught.
    Faulted {
        /// The error.
        fault: Fault,
    },
    /// Cancelled.
    Cancelled,
}

/// A CloudEvent on its way to whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// CloudEvents `id`, unique together with `source`.
    pub id: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `type`.
    pub kind: String,
    /// The whole event as a JSON object.
    pub json: String,
}

impl Event {
    /// What `id`, `source` and `type` must be, for messages.
    pub const ATTRIBUTE: &str = "text of 1 to 1000 bytes without control characters";

    /// Whether this can be an `id`, a `source` or a `type`. CloudEvents allows no control
    /// characters; databases look events up by these, and keys have limits.
    #[must_use]
    pub fn is_attribute(text: &str) -> bool {
        (1..=1000).contains(&text.len()) && !text.contains(char::is_control)
    }
}

/// An event kept for a run until a listener consumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its row.
    pub id: SignalId,
    /// Order of arrival, unique in the cluster, growing.
    pub seq: u64,
    /// CloudEvents `type`.
    pub kind: String,
    /// The whole event as a JSON object.
    pub json: String,
}

/// Answer to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// Kept, or handed to a waiting branch.
    Accepted,
    /// The same event (source and id) came before; nothing changed.
    Duplicate,
    /// No such run.
    NotFound,
    /// The run has ended.
    Ended(RunState),
}

/// A run as it can be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The run.
    pub id: RunId,
    /// Its definition's name.
    pub name: WorkflowName,
    /// Its definition.
    pub chart: ChartId,
    /// As of the last commit.
    pub state: RunState,
    /// Input as JSON.
    pub input: String,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it was submitted.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The branch that waits for it, for a child run.
    pub parent: Option<BranchId>,
    /// Pool.
    pub pool: Option<String>,
    /// Priority.
    pub priority: i32,
}

/// A branch as it can be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchRecord {
    /// The branch.
    pub id: BranchId,
    /// Its run.
    pub run: RunId,
    /// The branch that split it off.
    pub parent: Option<BranchId>,
    /// Index in its fork.
    pub index: u32,
    /// State as of the last commit.
    pub state: BranchState,
    /// Who runs it.
    pub owner: Option<Incarnation>,
    /// Name of the engine that runs it.
    pub engine: Option<String>,
    /// Raised by every claim and takeover.
    pub epoch: Epoch,
    /// Last commit point.
    pub commit_no: CommitNo,
    /// JSON pointer of the node at its commit point.
    pub node: String,
    /// When it becomes due, or became; none while it runs.
    pub due_at: Option<Timestamp>,
    /// Whether it waits for signals.
    pub awaits_signals: bool,
    /// Whether it waits for branches or a child run.
    pub awaits_join: bool,
    /// Owners lost since the commit point.
    pub lost: u32,
    /// The pool it is in ([`crate::labels`]), as long as it has not ended; `None` is the common one.
    pub pool: Option<String>,
    /// Why it failed.
    pub fault: Option<Fault>,
    /// Last change.
    pub updated_at: Timestamp,
}

/// One commit point, or one takeover, of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRecord {
    /// The branch.
    pub branch: BranchId,
    /// Number of the commit point.
    pub commit_no: CommitNo,
    /// Epoch of its owner.
    pub epoch: Epoch,
    /// Name of the engine that committed.
    pub engine: String,
    /// When.
    pub at: Timestamp,
    /// Node at which the branch goes on.
    pub node: String,
    /// What happened since the commit point before: a JSON array.
    pub events: String,
}

/// Which runs to list; newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only these states; all when empty.
    pub states: Vec<RunState>,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only this workflow name.
    pub name: Option<String>,
    /// Only runs submitted at or after this.
    pub since: Option<Timestamp>,
    /// At most this many.
    pub limit: u32,
    /// Only runs older than this one.
    pub before: Option<RunId>,
}

/// An engine that was declared dead, as it can be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct FailoverRecord {
    /// The engine that died.
    pub from: Incarnation,
    /// Its name.
    pub from_name: String,
    /// Number of its last heartbeat.
    pub heartbeat_seq: u64,
    /// When that was, by the calendar clock of the engine that died.
    pub heartbeat_at: Timestamp,
    /// Who declared it dead.
    pub by: Incarnation,
    /// Its name; empty when it was no member, because it only wanted to join.
    pub by_name: String,
    /// When, by the calendar clock of the one that declared it dead.
    pub at: Timestamp,
    /// On what evidence.
    pub evidence: String,
    /// Branches freed.
    pub branches: u64,
}

/// A branch that was freed from a dead engine, as it can be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeoverRecord {
    /// The branch.
    pub branch: BranchId,
    /// Its run.
    pub run: RunId,
    /// The epoch that it was freed with.
    pub epoch: Epoch,
    /// The commit point that it went back to.
    pub commit_no: CommitNo,
    /// The node of that commit point.
    pub node: String,
    /// How many engines it had lost since that commit point.
    pub lost: u32,
    /// Whether that was once too often, and it failed.
    pub poisoned: bool,
    /// When it was freed.
    pub at: Timestamp,
    /// Where it went on.
    pub resumed: Resumed,
}

/// Where a branch went on after a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// An engine reached the next commit point, or runs it now.
    By {
        /// Name of the engine.
        engine: String,
        /// When it reached that commit point, or claimed the branch.
        at: Timestamp,
    },
    /// No engine has claimed it yet.
    NotYet,
    /// It has ended where it was: it failed, or was cancelled.
    Never,
}

/// The clients' side of the store.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Starts runs, all or none, for whoever claims their branches.
    async fn submit(&self, runs: Vec<NewRun>) -> Result<Vec<Submitted>, Error> {
        self.submit_and_take(runs, None).await
    }

    /// Starts runs, all or none. `taker` owns its part of them from their first moment, unless there is
    /// something ready that was there before, or something is throttled.
    async fn submit_and_take(
        &self,
        runs: Vec<NewRun>,
        taker: Option<Taker>,
    ) -> Result<Vec<Submitted>, Error>;

    /// Delivers an event to one run.
    async fn signal(&self, run: RunId, event: Event, now: Timestamp) -> Result<Signalled, Error>;

    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error>;

    /// Many runs.
    async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error>;

    /// The branches of a run, oldest first.
    async fn branches(&self, run: RunId) -> Result<Vec<BranchRecord>, Error>;

    /// The commit points and takeovers of a run, oldest first.
    async fn history(&self, run: RunId) -> Result<Vec<HistoryRecord>, Error>;

    /// The engines that were declared dead, newest first.
    async fn failovers(&self, limit: u32) -> Result<Vec<FailoverRecord>, Error>;

    /// The branches that were freed from this dead engine, those that were freed first first.
    async fn takeovers(&self, from: Incarnation, limit: u32) -> Result<Vec<TakeoverRecord>, Error>;
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn an_attribute_of_an_event_is_short_text_without_control_characters() {
        for right in ["a", "com.example.order/v1", &"x".repeat(1000)] {
            assert!(Event::is_attribute(right), "{right}");
        }
        for wrong in ["", "a\0b", "a\nb", &"x".repeat(1001)] {
            assert!(!Event::is_attribute(wrong), "{wrong:?}");
        }
    }
}
