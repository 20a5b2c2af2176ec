//! What is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_core::branch::{BranchEvent, BranchState};
use flux_core::chart::{ChartId, Fault, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::branches::{Arrival, Fence, JoinWake};
use flux_core::ports::members::{Member, Takeover};
use flux_core::ports::runs::{FailoverRecord, HistoryRecord, NewRun, Outcome, Signal};
use flux_core::throttle::{Limits, Scope};

/// All of it.
#[derive(Default)]
pub(super) struct State {
    pub(super) members: BTreeMap<Incarnation, Member>,
    /// Oldest first.
    pub(super) failovers: Vec<FailoverRecord>,
    /// Oldest first, with the epoch that the branch was freed with and its lost engines.
    pub(super) takeovers: Vec<(Takeover, Epoch, u32)>,
    /// In the order of their deployment.
    pub(super) definitions: Vec<Definition>,
    /// By namespace and name.
    pub(super) schedules: BTreeMap<(String, String), Schedule>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) requests: BTreeMap<String, RunId>,
    /// Branches that have not ended.
    pub(super) branches: BTreeMap<BranchId, Branch>,
    pub(super) ended: BTreeMap<BranchId, Ended>,
    pub(super) history: Vec<(RunId, HistoryRecord)>,
    /// By sequence number, with the run they are kept for.
    pub(super) signals: BTreeMap<u64, (RunId, Signal)>,
    /// A consumed signal's number never comes again.
    pub(super) last_signal: u64,
    /// Source and id of the events that a run has had.
    pub(super) inbox: BTreeSet<(RunId, String, String)>,
    /// Who listens to which type; `None` is every type.
    pub(super) subscriptions: BTreeSet<(RunId, Option<String>)>,
    /// By the waiting branch and the index.
    pub(super) arrivals: BTreeMap<(BranchId, u32), Arrival>,
    pub(super) throttles: BTreeMap<Scope, Limits>,
    /// Counts runs and branches in the order they were made.
    made: u64,
}

pub(super) struct Definition {
    pub(super) chart: ChartId,
    pub(super) name: WorkflowName,
    pub(super) source: String,
    pub(super) at: Timestamp,
}

pub(super) struct Schedule {
    pub(super) chart: ChartId,
    pub(super) name: WorkflowName,
    pub(super) due_at: Option<Timestamp>,
    pub(super) after: Option<Duration>,
    pub(super) last_run: Option<RunId>,
}

pub(super) struct Run {
    /// As it was submitted.
    pub(super) new: NewRun,
    pub(super) number: u64,
    /// The branch that waits for it, until that one cuts it loose.
    pub(super) parent: Option<BranchId>,
    /// How it ended, and when.
    pub(super) ended: Option<(Outcome, Timestamp)>,
}

/// A branch that has not ended.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) id: BranchId,
    pub(super) run: RunId,
    pub(super) number: u64,
    pub(super) parent: Option<BranchId>,
    pub(super) index: u32,
    pub(super) root: bool,
    pub(super) state: BranchState,
    pub(super) owner: Option<Incarnation>,
    pub(super) epoch: Epoch,
    pub(super) commit_no: CommitNo,
    pub(super) lost: u32,
    pub(super) priority: i32,
    pub(super) pool: Option<String>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) signals_after: Option<u64>,
    pub(super) join: Option<JoinWake>,
    pub(super) node: String,
    pub(super) memory: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// Tells the last commit from every other.
    pub(super) last_commit: Option<String>,
}

/// A branch that has ended, as it was then.
pub(super) struct Ended {
    pub(super) branch: Branch,
    pub(super) fault: Option<Fault>,
}

impl Branch {
    /// Makes a step in the table of states; the caller has checked that the table has it.
    pub(super) fn step(&mut self, event: BranchEvent) {
        self.state = self.state.after(event).expect("the table has this step");
    }

    /// Whether the writer is the owner and knows the last commit point.
    pub(super) fn obeys(&self, fence: Fence) -> bool {
        self.owner == Some(fence.owner)
            && self.epoch == fence.epoch
            && self.commit_no == fence.commit_no
    }
}

impl State {
    /// The next number, for a run or a branch.
    pub(super) fn make(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// The branches that pass, the oldest first.
    pub(super) fn branches_where(&self, passes: impl Fn(&Branch) -> bool) -> Vec<BranchId> {
        let mut found: Vec<_> = self.branches.values().filter(|b| passes(b)).collect();
        found.sort_by_key(|branch| branch.number);
        found.into_iter().map(|branch| branch.id).collect()
    }

    /// A branch that the caller has found before.
    pub(super) fn branch(&mut self, id: BranchId) -> &mut Branch {
        self.branches.get_mut(&id).expect("it was found before")
    }

    pub(super) fn engine_name(&self, who: Incarnation) -> String {
        let member = self.members.get(&who);
        member.map(|member| member.name.clone()).unwrap_or_default()
    }
}
