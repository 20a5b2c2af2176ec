//! What an engine tells those who watch it from within the same process.

use flux_core::chart::Fault;
use flux_core::ids::{BranchId, CommitNo, Incarnation, RunId};
use flux_core::ports::runs::Outcome;
use flux_core::walk::Happened;
use std::time::Duration;

/// Something happened in this engine; for progress displays, never for correctness.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// It joined the cluster as this incarnation.
    Joined(Incarnation),
    /// It lost its trust window and stopped what it ran.
    SteppedDown(Incarnation),
    /// It took a branch.
    Claimed {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
        /// Owners lost since the commit point.
        lost: u32,
    },
    /// An action began.
    ActionStarted {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
        /// Name of the task.
        task: String,
        /// JSON pointer of the task.
        node: String,
        /// From 1.
        attempt: u32,
    },
    /// An action ended.
    ActionEnded {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
        /// Name of the task.
        task: String,
        /// JSON pointer of the task.
        node: String,
        /// The error, if it failed.
        fault: Option<Fault>,
        /// How long it took.
        took: Duration,
    },
    /// A commit point was reached.
    Committed {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
        /// Its number.
        commit_no: CommitNo,
        /// JSON pointer of the node at which the branch goes on.
        node: String,
        /// What happened since the one before.
        history: Vec<Happened>,
    },
    /// A branch ended; the run as a whole ends with its first branch.
    BranchEnded {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
        /// How.
        outcome: Outcome,
    },
    /// A write was refused because the branch has another owner.
    Fenced {
        /// Run.
        run: RunId,
        /// Branch.
        branch: BranchId,
    },
}
