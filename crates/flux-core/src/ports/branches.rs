//! What an engine's workers need of the store: take branches, commit them, give them back.

use super::Error;
use super::runs::{Event, NewRun, Outcome, Signal};
use crate::chart::ChartId;
use crate::clock::Timestamp;
use crate::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId, SignalId};
use async_trait::async_trait;

/// What an engine is willing to take.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The claiming incarnation; gets nothing unless it is alive in the members table.
    pub owner: Incarnation,
    /// At most this many; none, to look only.
    pub limit: u32,
    /// The claimer's pool: it takes the branches of all pools that it serves ([`crate::labels`]).
    pub pool: Option<String>,
    /// Waiting branches that are due at or before this are taken, too; ready ones always are, so
    /// that nobody waits for the calendar of the engine that made them ready.
    pub now: Timestamp,
    /// Of the branches that lost this many engines in a row, an engine takes one at a time: the one
    /// that kills its engines then fails alone, without those that only happened to be there.
    pub alone_from: u32,
    /// How far to count what is ready and not taken: 0 for an engine that shares with nobody.
    pub count: u32,
}

/// What there may be to do, whoever may do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Whether a branch is ready or due; perhaps it waits for a slot of a throttle.
    pub ready: bool,
    /// Earliest due time among the waiting branches that are not due yet.
    pub next_due: Option<Timestamp>,
    /// Earliest due time among the schedules; it may have passed.
    pub next_firing: Option<Timestamp>,
}

/// Branches taken, and what is left.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The branches, most urgent first.
    pub branches: Vec<Claimed>,
    /// Ready branches that were not taken, as far as they were to be counted; without those that have
    /// to wait for a slot of a throttle.
    pub ready: Ready,
    /// What throttles hold back.
    pub throttled: Throttled,
}

/// Ready branches by who may take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Every engine, or those of the claimer's private pool.
    pub common: u32,
    /// Only engines with labels that the claimer has.
    pub pinned: u32,
}

/// Ready branches that a throttle holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Whether there are any.
    pub waiting: bool,
    /// So many of them could have been taken: there are slots for them.
    pub startable: u32,
    /// Whether another engine was taking slots at that moment, so that none could be had.
    pub busy: bool,
}

/// A branch, now owned by the claimer, as of its commit point.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The branch.
    pub branch: BranchId,
    /// Its run.
    pub run: RunId,
    /// Definition that the run started with.
    pub chart: ChartId,
    /// What guards every write of the owner.
    pub fence: Fence,
    /// How often the branch lost its owner since this commit point.
    pub lost: u32,
    /// What the branch knows, as JSON: written by [`crate::walk`].
    pub memory: String,
    /// Input of the run, as JSON.
    pub run_input: String,
    /// When the run was submitted.
    pub run_started_at: Timestamp,
    /// W3C trace context that the run was submitted with.
    pub traceparent: Option<String>,
    /// The pool that it was taken from: what it requires of its engine.
    pub pool: Option<String>,
    /// Signals of the run with a sequence number above the one the branch waits after, oldest
    /// first, at most 100; empty unless the branch was waiting for signals.
    pub signals: Vec<Signal>,
    /// Results of the branches (or of the child run) that this branch waits for, by index.
    pub arrivals: Vec<Arrival>,
}

impl Claimed {
    /// The first branch of a new run that `owner` has taken with its submission.
    #[must_use]
    pub fn at_submission(run: NewRun, owner: Incarnation) -> Claimed {
        Claimed {
            branch: run.branch,
            run: run.id,
            chart: run.chart,
            fence: Fence {
                owner,
                epoch: Epoch(1),
                commit_no: CommitNo(0),
            },
            lost: 0,
            memory: run.memory,
            run_input: run.input,
            run_started_at: run.at,
            traceparent: run.traceparent,
            pool: run.pool,
            signals: Vec::new(),
            arrivals: Vec::new(),
        }
    }
}

/// The full fence: a write with it succeeds only while the row still says exactly this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The owning incarnation.
    pub owner: Incarnation,
    /// Epoch of its claim.
    pub epoch: Epoch,
    /// Number of the last commit point.
    pub commit_no: CommitNo,
}

/// The result of one branch of a split, or of a child run.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Index of the branch in its fork; 0 for a child run.
    pub index: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The branch's `$context` at its end, as JSON.
    pub context: Option<String>,
}

/// Everything that one transaction break stores. All or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The branch.
    pub branch: BranchId,
    /// Its run.
    pub run: RunId,
    /// Must still hold.
    pub fence: Fence,
    /// Time of the commit.
    pub now: Timestamp,
    /// What the branch knows now, as JSON.
    pub memory: String,
    /// JSON pointer of the node at which the branch restarts from here.
    pub node: String,
    /// What happens next.
    pub then: Then,
    /// What happened since the last commit point, as a JSON array; `[]` writes a history row too,
    /// so that every commit point has one.
    pub history: String,
    /// Signals that were consumed; removed.
    pub consumed: Vec<SignalId>,
    /// Events to publish to the runs that listen to their type.
    pub published: Vec<Event>,
    /// Whether the join this branch waited for is over: arrivals are removed, and branches or the
    /// child run that have not ended are cancelled (`Cancel`) or cut loose (`Leave`).
    pub join_over: Option<crate::chart::Rest>,
    /// Runs to start without waiting for them.
    pub spawned: Vec<NewRun>,
}

/// State of the branch after a commit.
#[derive(Clone, Debug)]
pub enum Then {
    /// Goes on with the same owner.
    Run,
    /// Waits on a trigger; owned by nobody.
    Wait(Wait),
    /// The branch is done; its outcome goes to the fork or run it belongs to.
    End {
        /// How it ended.
        outcome: Outcome,
        /// `$context` at the end, as JSON.
        context: Option<String>,
        /// `then: end`: the whole run ends with this outcome, other branches are cancelled.
        run: bool,
    },
}

/// What a branch waits for.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// The pool to go on in at once, empty for the common one; `None`: where it is.
    pub pool: Option<String>,
    /// Wake at this time at the latest.
    pub due_at: Option<Timestamp>,
    /// Wake when the run has a signal with a greater sequence number; at once if it has one.
    pub signals_after: Option<u64>,
    /// Wake when this many branches (or the child run) succeeded or faulted; at once if so.
    pub join: Option<JoinWake>,
    /// Branches to create: their index is the position.
    pub branches: Vec<NewBranch>,
    /// A child run to start, whose end arrives as index 0.
    pub child: Option<NewRun>,
}

/// When arrivals wake a waiting branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWake {
    /// Successes needed.
    pub ok: u32,
    /// Faults (or cancellations) that suffice.
    pub fault: u32,
}

/// A branch of a split.
#[derive(Clone, Debug)]
pub struct NewBranch {
    /// Chosen by the engine, the same when the commit is tried again.
    pub id: BranchId,
    /// What it knows at its start, as JSON.
    pub memory: String,
    /// JSON pointer of its first node.
    pub node: String,
}

/// Answer to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Stored.
    Yes {
        /// Number of the new commit point.
        commit_no: CommitNo,
        /// Something became ready for some engine.
        woke: bool,
        /// Branches cancelled with it, which some engine may be running.
        cancelled: Vec<BranchId>,
        /// The run is paused: the branch is to be given back now.
        paused: bool,
    },
    /// Another owner, epoch or commit point: stop, discard, tell nobody.
    Fenced,
}

/// Give a branch back at its commit point, unchanged.
#[derive(Clone, Debug)]
pub struct Release {
    /// The branch.
    pub branch: BranchId,
    /// Must still hold.
    pub fence: Fence,
    /// Time of the release.
    pub now: Timestamp,
    /// Back to waiting, or ready at once.
    pub to: ReleaseTo,
}

/// Where a released branch goes.
#[derive(Clone, Debug)]
pub enum ReleaseTo {
    /// Any engine may take it now.
    Ready,
    /// It waits again (its trigger looked and found nothing); `branches` and `child` are empty.
    Wait(Wait),
}

/// The workers' side of the store. Writes of many callers travel in one transaction (group
/// commit), each judged on its own.
#[async_trait]
pub trait Branches: Send + Sync {
    /// What there may be to do in the pools that an engine of `pool` serves: the one question of an engine
    /// that has nothing to do, so it must cost next to nothing, whatever is stored.
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error>;

    /// Takes due branches: sets the owner, raises the epoch.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error>;

    /// Stores a transaction break. Idempotent for the same commit: when the answer was lost, the
    /// same call again tells what happened.
    async fn commit(&self, commit: Commit) -> Result<Committed, Error>;

    /// Gives a branch back; false when fenced.
    async fn release(&self, release: Release) -> Result<bool, Error>;

    /// Branches that the incarnation owns, with what guards them: to notice what was cancelled or
    /// taken over, and what a claim has taken whose answer was lost.
    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error>;
}
