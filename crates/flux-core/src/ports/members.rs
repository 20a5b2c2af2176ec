//! The engines of the cluster, as the shared store knows them.

use std::time::Duration;

use async_trait::async_trait;

use super::Error;
use crate::clock::{ClockOffset, Timestamp};
use crate::ids::{BranchId, CommitNo, Incarnation, RunId};

/// How the cluster regards one incarnation of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// Beating, and may claim branches.
    Alive,
    /// Beating and ending what it runs, but claims nothing any more.
    Draining,
    /// Convicted by another engine: it is fenced for ever, and its branches are to be taken over.
    Dead,
}

/// One incarnation of an engine, as its row in the store tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which start of the engine this is.
    pub incarnation: Incarnation,
    /// The configured name: a label, not unique.
    pub name: String,
    /// Its own failover time window: it is judged by this one, not by the observer's.
    pub window: Duration,
    /// Raised by every heartbeat: what the observers watch.
    pub heartbeat_seq: u64,
    /// How the cluster regards it.
    pub state: MemberState,
    /// When it last beat by its own calendar clock: to show, never to judge by.
    pub heartbeat_at: Timestamp,
    /// How long ago that was by the clock of the database: to show, never to judge by.
    pub heartbeat_age: Duration,
    /// How far its calendar clock was from the database's then: to show, never to judge by.
    pub clock_offset: ClockOffset,
    /// When it joined by its own calendar clock: to show.
    pub started_at: Timestamp,
    /// The machine it runs on.
    pub host: String,
    /// Its process on that machine.
    pub pid: u32,
    /// The version of the engine's program.
    pub version: String,
    /// The pool whose branches it claims; `None` is the common one.
    pub pool: Option<String>,
    /// How many branches it runs at a time, at most.
    pub concurrency: u32,
    /// Where the others reach it, such as `http://10.0.0.7:7520`; `None` without networking.
    pub address: Option<String>,
    /// How many branches it owns.
    pub running: u64,
    /// How long ago the engine that tells of it has heard of its load over the network; `None` when it has
    /// not, or when the database tells: to show, never to judge by.
    pub heard: Option<Duration>,
}

/// What an engine says about itself when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// A fresh identifier: never one that was used before.
    pub incarnation: Incarnation,
    /// The configured name: a label, not unique.
    pub name: String,
    /// Its failover time window.
    pub window: Duration,
    /// The machine it runs on.
    pub host: String,
    /// Its process on that machine.
    pub pid: u32,
    /// The version of the engine's program.
    pub version: String,
    /// The pool whose branches it claims; `None` is the common one.
    pub pool: Option<String>,
    /// How many branches it runs at a time, at most.
    pub concurrency: u32,
    /// Where the others reach it, such as `http://10.0.0.7:7520`; `None` without networking.
    pub address: Option<String>,
}

/// The answer to an engine that wants to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is a member now.
    Yes,
    /// The cluster has `limit` members that are alive or draining, and takes no more.
    Full {
        /// The limit that was asked for.
        limit: u32,
    },
}

/// One branch that was freed from a dead engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The branch.
    pub branch: BranchId,
    /// The run it belongs to.
    pub run: RunId,
    /// The dead engine that owned it.
    pub from: Incarnation,
    /// The commit point it goes on from.
    pub commit_no: CommitNo,
    /// The node of that commit point.
    pub node: String,
    /// Whether it has lost its engine too often, and has failed instead of becoming ready.
    pub poisoned: bool,
    /// When it was freed.
    pub at: Timestamp,
}

/// The membership of the cluster in the shared store.
///
/// Every method may fail with [`Error::Unavailable`]; the caller then does not know whether the
/// change was made, and each method is safe to call again. `now` is the caller's calendar time,
/// kept to be shown and never compared.
#[async_trait]
pub trait Members: Send + Sync {
    /// Makes `m` a member, unless `limit` others are alive or draining. Joining again with the
    /// same incarnation answers [`Joined::Yes`].
    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error>;

    /// Raises the caller's heartbeat number. `false`: it was convicted, or its row is gone; it
    /// is fenced and must end everything it runs.
    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error>;

    /// How often the store was reached anew. Another number than before means that it may have been
    /// away, or gone back to an older state: what was observed until then counts no more.
    fn openings(&self) -> u64 {
        0
    }

    /// All members that are alive or draining, and the dead ones that still own branches.
    async fn members(&self) -> Result<Vec<Member>, Error>;

    /// Declares `who` dead if its heartbeat number is still `seen_seq` and it is not dead yet, in
    /// one step, and records the failover with its `evidence`, its last heartbeat and the name of
    /// the member `by`. `true`: this call did it.
    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        now: Timestamp,
    ) -> Result<bool, Error>;

    /// Frees at most `limit` running branches of `dead`, which must have been convicted: each
    /// becomes ready without an owner, its epoch and its count of lost engines raised. One whose
    /// count reaches `poison_limit` fails instead. Empty: nothing is left.
    async fn take_over(
        &self,
        dead: Incarnation,
        by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error>;

    /// From now on the caller claims nothing.
    async fn set_draining(&self, me: Incarnation) -> Result<(), Error>;

    /// A clean end: removes the caller's row if it owns nothing. An engine that still owns
    /// something stays until the others convict it.
    async fn leave(&self, me: Incarnation) -> Result<(), Error>;
}
