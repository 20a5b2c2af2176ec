//! The shared database: one branch, the members, and the statements of `flux-store` on them.
//!
//! Each method is one statement, so one step. What `flux-store` says in SQL stands here once more,
//! guard by guard, because each guard must be removable.

use std::time::Duration;

use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::Incarnation;
use flux_core::ports::members::{Member, MemberState};
use uuid::Uuid;

use crate::variant::{Guard, Protocol, STEPS};

/// One start of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    pub engine: u8,
    pub life: u8,
}

impl Who {
    /// The identifier under which the real rules know it.
    pub fn incarnation(self) -> Incarnation {
        Incarnation::new(Uuid::from_u128(
            u128::from(self.engine) << 8 | u128::from(self.life),
        ))
    }

    pub fn of(incarnation: Incarnation) -> Self {
        let [.., engine, life] = incarnation.uuid().into_bytes();
        Self { engine, life }
    }
}

/// What guards a write of the owner, and here also tells one commit from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    pub owner: Who,
    pub epoch: u8,
    pub commit_no: u8,
}

/// A member's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub who: Who,
    pub seq: u8,
    pub dead: bool,
    /// When it last beat by its own calendar clock. Stored only where somebody judges by it.
    pub stamp: u8,
}

/// The branch's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    pub owner: Option<Who>,
    pub epoch: u8,
    pub commit_no: u8,
    pub ended: bool,
    last_commit: Option<Fence>,
}

/// One row of the history: what a commit wrote, by the fence it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub number: u8,
    pub epoch: u8,
    pub who: Who,
}

/// The answer to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Committed {
    Yes,
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    pub members: Vec<Row>,
    pub branch: Branch,
    pub history: Vec<Entry>,
}

impl Database {
    /// Nobody has joined; one branch is ready.
    pub fn new() -> Self {
        let branch = Branch {
            owner: None,
            epoch: 0,
            commit_no: 0,
            ended: false,
            last_commit: None,
        };
        Self {
            members: Vec::new(),
            branch,
            history: Vec::new(),
        }
    }

    pub fn row(&self, who: Who) -> Option<&Row> {
        self.members.iter().find(|row| row.who == who)
    }

    pub fn alive(&self, who: Who) -> bool {
        self.row(who).is_some_and(|row| !row.dead)
    }

    /// `members::PURGE` and `members::INSERT`.
    pub fn join(&mut self, who: Who, stamp: u8) {
        let owner = self.branch.owner;
        self.members
            .retain(|row| !row.dead || owner == Some(row.who));
        self.members.push(Row {
            who,
            seq: 0,
            dead: false,
            stamp,
        });
        self.members.sort_by_key(|row| row.who);
    }

    /// `members::HEARTBEAT`.
    pub fn beat(&mut self, who: Who, now: u8, protocol: &Protocol) -> bool {
        let Some(row) = self
            .members
            .iter_mut()
            .find(|row| row.who == who && !row.dead)
        else {
            return false;
        };
        row.seq = protocol.next_seq(row.seq, now);
        row.stamp = protocol.calendar(who.engine, now);
        true
    }

    /// `members::CONVICT`.
    pub fn convict(&mut self, who: Who, seen_seq: u8, protocol: &Protocol) -> bool {
        let compare = protocol.keeps(Guard::ConvictionCompares);
        let row = self
            .members
            .iter_mut()
            .find(|row| row.who == who && !row.dead && (!compare || row.seq == seen_seq));
        row.map(|row| row.dead = true).is_some()
    }

    /// `takeover::FREE`.
    pub fn free(&mut self, dead: Who) {
        let convicted = self.row(dead).is_some_and(|row| row.dead);
        if convicted && self.branch.owner == Some(dead) {
            self.branch.owner = None;
            self.branch.epoch += 1;
        }
    }

    /// `claim::ALIVE` and `dialect::CLAIM_READY`.
    pub fn claim(&mut self, who: Who, protocol: &Protocol) -> Option<Fence> {
        let may = self.alive(who) || !protocol.keeps(Guard::ClaimerIsAlive);
        if !may || !self.ready() {
            return None;
        }
        self.branch.owner = Some(who);
        self.branch.epoch += 1;
        self.fence()
    }

    pub fn ready(&self) -> bool {
        self.branch.owner.is_none() && !self.branch.ended
    }

    /// The fence of the present owner.
    pub fn fence(&self) -> Option<Fence> {
        self.branch.owner.map(|owner| Fence {
            owner,
            epoch: self.branch.epoch,
            commit_no: self.branch.commit_no,
        })
    }

    /// `commit::GUARD` or `GUARD_END`, then `INSERT_HISTORY`; `answer_again` when refused.
    pub fn commit(&mut self, fence: Fence, protocol: &Protocol) -> Committed {
        let number = fence.commit_no + 1;
        if !self.admits(fence, protocol) {
            let stored = self.branch.last_commit == Some(fence) && self.branch.commit_no == number;
            return if stored {
                Committed::Yes
            } else {
                Committed::Fenced
            };
        }
        let ended = number >= STEPS;
        self.branch.commit_no += 1;
        self.branch.last_commit = Some(fence);
        self.branch.ended = ended;
        self.branch.owner = (!ended).then_some(fence.owner);
        self.history.push(Entry {
            number,
            epoch: fence.epoch,
            who: fence.owner,
        });
        Committed::Yes
    }

    /// Whether the guard of a commit finds the branch's row.
    pub fn admits(&self, fence: Fence, protocol: &Protocol) -> bool {
        let row = &self.branch;
        let whole = protocol.keeps(Guard::Fence);
        let rights = whole && protocol.keeps(Guard::OwnerAndEpoch);
        let owner = rights && protocol.keeps(Guard::Owner);
        let number = whole && protocol.keeps(Guard::CommitNumber);
        !row.ended
            && (!owner || row.owner == Some(fence.owner))
            && (!rights || row.epoch == fence.epoch)
            && (!number || row.commit_no == fence.commit_no)
    }

    /// `release::RELEASE_READY`, by the fence of the present owner.
    pub fn release(&mut self, who: Who) {
        if self.branch.owner == Some(who) {
            self.branch.owner = None;
        }
    }

    /// What an engine does with its own ended incarnation: `join::bury`.
    pub fn bury(&mut self, old: Who) {
        if self.branch.owner == Some(old) {
            let row = self.members.iter_mut().find(|row| row.who == old);
            row.into_iter().for_each(|row| row.dead = true);
        } else {
            self.members.retain(|row| row.who != old || row.dead);
        }
    }

    /// `members::MEMBERS`, as the real observer wants it.
    pub fn read(&self, window: Duration) -> Vec<Member> {
        let running = |row: &Row| self.branch.owner == Some(row.who);
        let listed = self.members.iter().filter(|row| !row.dead || running(row));
        listed
            .map(|row| Member {
                incarnation: row.who.incarnation(),
                name: String::new(),
                window,
                heartbeat_seq: u64::from(row.seq),
                state: if row.dead {
                    MemberState::Dead
                } else {
                    MemberState::Alive
                },
                heartbeat_at: Timestamp::default(),
                heartbeat_age: Duration::ZERO,
                clock_offset: ClockOffset::default(),
                started_at: Timestamp::default(),
                host: String::new(),
                pid: 0,
                version: String::new(),
                pool: None,
                concurrency: 0,
                address: None,
                running: u64::from(running(row)),
                heard: None,
            })
            .collect()
    }
}
