//! The engines of the cluster, and what the dead leave behind.

use flux_core::branch::BranchEvent;
use flux_core::chart::{Fault, FaultKind};
use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::{BranchId, Incarnation};
use flux_core::ports::members::{Joined, Member, MemberState, NewMember, Takeover};
use flux_core::ports::runs::{FailoverRecord, HistoryRecord, Outcome, Resumed, TakeoverRecord};
use std::time::Duration;

use super::commit::Effects;
use super::state::State;

impl State {
    pub(super) fn join(&mut self, new: NewMember, limit: u32, now: Timestamp) -> Joined {
        let convicted = self.failovers.iter().any(|f| f.from == new.incarnation);
        if convicted || self.members.contains_key(&new.incarnation) {
            return Joined::Yes;
        }
        let members = self.members.values();
        let living = members.filter(|m| m.state != MemberState::Dead).count();
        if living >= limit as usize {
            return Joined::Full { limit };
        }
        let member = Member {
            incarnation: new.incarnation,
            name: new.name,
            window: new.window,
            heartbeat_seq: 0,
            state: MemberState::Alive,
            heartbeat_at: now,
            heartbeat_age: Duration::ZERO,
            clock_offset: offset(now),
            started_at: now,
            host: new.host,
            pid: new.pid,
            version: new.version,
            pool: new.pool,
            concurrency: new.concurrency,
            address: new.address.clone(),
            running: 0,
            heard: None,
        };
        self.members.insert(new.incarnation, member);
        Joined::Yes
    }

    /// The member, unless it is dead.
    pub(super) fn living(&mut self, who: Incarnation) -> Option<&mut Member> {
        let member = self.members.get_mut(&who);
        member.filter(|member| member.state != MemberState::Dead)
    }

    pub(super) fn heartbeat(&mut self, me: Incarnation, now: Timestamp) -> bool {
        self.living(me).is_some_and(|member| {
            member.heartbeat_seq += 1;
            member.heartbeat_at = now;
            member.clock_offset = offset(now);
            true
        })
    }

    pub(super) fn convict(&mut self, who: Incarnation, seen_seq: u64) -> bool {
        let living = self.living(who);
        let Some(member) = living.filter(|member| member.heartbeat_seq == seen_seq) else {
            return false;
        };
        member.state = MemberState::Dead;
        true
    }

    pub(super) fn record_failover(
        &mut self,
        from: Incarnation,
        by: Incarnation,
        evidence: &str,
        at: Timestamp,
    ) {
        let dead = &self.members[&from];
        self.failovers.push(FailoverRecord {
            from,
            from_name: dead.name.clone(),
            heartbeat_seq: dead.heartbeat_seq,
            heartbeat_at: dead.heartbeat_at,
            by,
            by_name: self.engine_name(by),
            at,
            evidence: evidence.to_owned(),
            branches: 0,
        });
    }

    pub(super) fn leave(&mut self, me: Incarnation) {
        if self.owned(me).is_empty() {
            self.members.remove(&me);
        }
    }

    pub(super) fn owned(&self, owner: Incarnation) -> Vec<BranchId> {
        self.branches_where(|branch| branch.owner == Some(owner))
    }

    pub(super) fn take_over(
        &mut self,
        dead: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Vec<Takeover> {
        let state = self.members.get(&dead).map(|member| member.state);
        if state != Some(MemberState::Dead) {
            return Vec::new();
        }
        let mut owned = self.owned(dead);
        owned.truncate(limit as usize);
        let lost = owned.into_iter();
        let freed: Vec<_> = lost
            .map(|id| self.free(id, dead, poison_limit, now))
            .collect();
        for takeover in freed.iter().filter(|takeover| takeover.poisoned) {
            self.poison(takeover.branch, now);
        }
        let failover = self.failovers.iter_mut().find(|f| f.from == dead);
        if let Some(failover) = failover {
            failover.branches += freed.len() as u64;
        }
        freed
    }

    /// Makes a branch ready; one to be poisoned stays as it is for that.
    fn free(
        &mut self,
        id: BranchId,
        dead: Incarnation,
        poison_limit: u32,
        now: Timestamp,
    ) -> Takeover {
        let engine = self.engine_name(dead);
        let branch = self.branch(id);
        branch.epoch = branch.epoch.next();
        branch.lost += 1;
        branch.owner = None;
        branch.due_at = Some(now);
        branch.updated_at = now;
        let poisoned = branch.lost >= poison_limit;
        if !poisoned {
            branch.step(BranchEvent::LoseOwner);
        }
        let branch = branch.clone();
        let lost = branch.lost;
        let row = HistoryRecord {
            branch: id,
            commit_no: branch.commit_no,
            epoch: branch.epoch,
            engine,
            at: now,
            node: branch.node.clone(),
            events: format!(
                r#"[{{"type":"takeover","from":"{dead}","lost":{lost},"poisoned":{poisoned}}}]"#
            ),
        };
        self.history.push((branch.run, row));
        let takeover = Takeover {
            branch: id,
            run: branch.run,
            from: dead,
            commit_no: branch.commit_no,
            node: branch.node,
            poisoned,
            at: now,
        };
        self.takeovers.push((takeover.clone(), branch.epoch, lost));
        takeover
    }

    pub(super) fn show_takeovers(&self, from: Incarnation, limit: u32) -> Vec<TakeoverRecord> {
        let of_engine = self.takeovers.iter().filter(|(t, ..)| t.from == from);
        let records = of_engine.map(|(takeover, epoch, lost)| TakeoverRecord {
            branch: takeover.branch,
            run: takeover.run,
            epoch: *epoch,
            commit_no: takeover.commit_no,
            node: takeover.node.clone(),
            lost: *lost,
            poisoned: takeover.poisoned,
            at: takeover.at,
            resumed: self.resumed(takeover),
        });
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|record| (record.at, record.run, record.branch));
        records.truncate(limit as usize);
        records
    }

    fn resumed(&self, takeover: &Takeover) -> Resumed {
        let next = takeover.commit_no.next();
        // A takeover from that commit point has the same number, but comes after it.
        let mut rows = self.history.iter().map(|(_, row)| row);
        let commit = rows.find(|row| row.branch == takeover.branch && row.commit_no == next);
        if let Some(commit) = commit {
            return Resumed::By {
                engine: commit.engine.clone(),
                at: commit.at,
            };
        }
        match self.branches.get(&takeover.branch) {
            None => Resumed::Never,
            Some(branch) => branch.owner.map_or(Resumed::NotYet, |owner| Resumed::By {
                engine: self.engine_name(owner),
                at: branch.updated_at,
            }),
        }
    }

    fn poison(&mut self, id: BranchId, now: Timestamp) {
        // It may have been cancelled with the one before it.
        let Some(branch) = self.branches.get(&id).cloned() else {
            return;
        };
        let lost = branch.lost;
        let detail =
            format!("lost its engine {lost} times in a row without reaching a commit point");
        let fault = Fault::new(FaultKind::Runtime, detail).at(&branch.node);
        let outcome = Outcome::Faulted { fault };
        let mut fx = Effects::default();
        match branch.root {
            true => self.end_run(id, &outcome, None, now, &mut fx),
            false => self.end(id, &outcome, None, now, &mut fx),
        }
    }
}

/// This store is a database whose clock stands still at the beginning of the epoch.
fn offset(engine: Timestamp) -> ClockOffset {
    ClockOffset::between(engine, Timestamp::default())
}
