//! What an engine tells those who watch it from within the same process.

use flux_core::chart::Fault;
use flux_core::ids::{BranchId, CommitNo, Incarnation, RunId};
use flux_core::ports::runs::Outcome;
use flux_core::walk::Happened;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::broadcast;

/// Events kept for a slow listener.
const KEPT: usize = 65_536;

/// The events of one engine. Room for them is made when somebody listens first: it is megabytes.
#[derive(Default)]
pub(crate) struct Events(OnceLock<broadcast::Sender<EngineEvent>>);

impl Events {
    /// Makes the room now, which takes a while, so that nothing is missed by who comes soon.
    pub fn make_room(&self) {
        self.room();
    }

    fn room(&self) -> &broadcast::Sender<EngineEvent> {
        self.0.get_or_init(|| broadcast::channel(KEPT).0)
    }

    /// From now on.
    pub fn subscribe(&self) -> broadcast::Receiver<EngineEvent> {
        self.room().subscribe()
    }

    /// Whether somebody listens.
    pub fn are_heard(&self) -> bool {
        self.0
            .get()
            .is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Tells whoever listens.
    pub fn tell(&self, event: EngineEvent) {
        if let Some(sender) = self.0.get() {
            let _listeners = sender.send(event);
        }
    }
}

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
