//! What the walk asks of the engine, and what the engine tells the walk.

use crate::chart::{ActionKind, Fault, Rest};
use crate::clock::Timestamp;
use crate::ids::{BranchId, RunId, SignalId};
use crate::ports::branches::{Arrival, Then, Wait};
use crate::ports::runs::{Event as Published, NewRun, Signal};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happened outside.
#[derive(Debug)]
pub enum Event {
    /// The branch was claimed, with what arrived for it.
    Claimed {
        /// Signals of the run that it has not seen.
        signals: Vec<Signal>,
        /// Results of the branches or child run it waits for.
        arrivals: Vec<Arrival>,
    },
    /// The commit asked for is stored, and the branch is still ours.
    Saved,
    /// The action is done with this result.
    Done(Value),
    /// The action, the look or the start of a child run failed.
    Failed(Fault),
    /// The deadline passed; what was in progress has been stopped.
    TimedOut,
    /// The file trigger looked.
    Looked(Option<Value>),
    /// The child run that was asked for can be started.
    Prepared(Box<NewRun>),
}

/// What to do next. After `Perform`, `Look`, `Prepare` and a `Commit` that goes on, call
/// [`super::Walk::next`] with the event; everything else ends the walk.
#[derive(Debug)]
pub enum Step {
    /// Do this action; no database transaction is open meanwhile.
    Perform(Perform),
    /// Look whether a file that matches is there.
    Look(Look),
    /// Look up a definition and prepare a run of it.
    Prepare(Child),
    /// Store this. With [`Then::Run`] the walk goes on afterwards.
    Commit(Box<Draft>),
    /// Nothing happened: give the branch back to wait on.
    Release(Wait),
}

/// An action to perform.
#[derive(Debug)]
pub struct Perform {
    /// Which action.
    pub kind: ActionKind,
    /// Its evaluated parameters.
    pub with: Value,
    /// Name of the task.
    pub task: String,
    /// JSON pointer of the task.
    pub node: String,
    /// The same for every attempt of this firing.
    pub key: String,
    /// Attempt of the innermost `try` around it, from 1.
    pub attempt: u32,
    /// To be stopped at this time.
    pub deadline: Option<Timestamp>,
}

/// A look for a file.
#[derive(Debug)]
pub struct Look {
    /// Path with wildcards.
    pub pattern: String,
    /// How long it must have been unchanged.
    pub stable: Duration,
}

/// A child run to prepare.
#[derive(Debug)]
pub struct Child {
    /// Namespace of its definition.
    pub namespace: String,
    /// Name of its definition.
    pub name: String,
    /// Version, or `latest`.
    pub version: String,
    /// Its input.
    pub input: Value,
    /// Its id, the same when the step is repeated.
    pub run: RunId,
    /// Its first branch.
    pub branch: BranchId,
}

/// Everything the commit shall store, except what only the engine knows.
#[derive(Debug)]
pub struct Draft {
    /// Memory as JSON.
    pub memory: String,
    /// JSON pointer of the node at which the branch goes on.
    pub node: String,
    /// State afterwards.
    pub then: Then,
    /// What happened since the last commit point, as a JSON array of [`Happened`].
    pub history: String,
    /// Signals consumed.
    pub consumed: Vec<SignalId>,
    /// Events to publish.
    pub published: Vec<Published>,
    /// The join that is over.
    pub join_over: Option<Rest>,
    /// Runs to start without waiting for them.
    pub spawned: Vec<NewRun>,
}

/// One line of a branch's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Happened {
    /// A task that is no composite ended well.
    Completed {
        /// Its name.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// When it began.
        started: Timestamp,
        /// When it ended.
        ended: Timestamp,
    },
    /// A task raised an error.
    Failed {
        /// Its name.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// The error.
        fault: Fault,
        /// When.
        at: Timestamp,
    },
    /// A `try` will attempt its block again.
    Retry {
        /// Name of the `try`.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// Attempt that comes, from 2.
        attempt: u32,
        /// When it comes.
        due: Timestamp,
    },
    /// A `try` caught the error.
    Caught {
        /// Name of the `try`.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// When.
        at: Timestamp,
    },
    /// A task's `if` did not hold.
    Skipped {
        /// Its name.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// When.
        at: Timestamp,
    },
    /// Branches were split off, a child run was started, or a trigger waits.
    Waiting {
        /// Name of the task.
        task: String,
        /// Its JSON pointer.
        node: String,
        /// Since when.
        at: Timestamp,
    },
    /// More tasks ended than the history keeps between two commit points.
    Omitted {
        /// How many.
        count: u64,
    },
}
