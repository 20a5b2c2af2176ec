//! The ports: lock, call, answer.

use async_trait::async_trait;
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::definitions::{
    DefinitionRecord, Definitions, Firing, NewDefinition, ScheduleRecord,
};
use flux_core::ports::members::{Joined, Member, MemberState, Members, NewMember, Takeover};
use flux_core::ports::runs::{
    BranchRecord, Event, FailoverRecord, HistoryRecord, NewRun, RunFilter, RunRecord, Runs,
    Signalled, Submitted, TakeoverRecord, Taker,
};
use flux_core::ports::throttles::{ThrottleRecord, Throttles};
use flux_core::throttle::Throttle;

use super::MemoryStore;

#[async_trait]
impl Branches for MemoryStore {
    async fn outlook(&self, pool: Option<String>, now: Timestamp) -> Result<Outlook, Error> {
        Ok(self.lock().outlook(pool.as_deref(), now))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        Ok(self.lock().claim(&request))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.lock().commit(&commit)
    }

    async fn release(&self, release: Release) -> Result<bool, Error> {
        Ok(self.lock().release(&release))
    }

    async fn owned(&self, owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        let state = self.lock();
        let fence = |id| {
            let branch = &state.branches[&id];
            let (epoch, commit_no) = (branch.epoch, branch.commit_no);
            let fence = Fence {
                owner,
                epoch,
                commit_no,
            };
            (id, fence)
        };
        Ok(state.owned(owner).into_iter().map(fence).collect())
    }
}

#[async_trait]
impl Runs for MemoryStore {
    async fn submit_and_take(
        &self,
        runs: Vec<NewRun>,
        taker: Option<Taker>,
    ) -> Result<Vec<Submitted>, Error> {
        self.lock().submit(&runs, taker.as_ref())
    }

    async fn signal(&self, run: RunId, event: Event, now: Timestamp) -> Result<Signalled, Error> {
        Ok(self.lock().signal(run, &event, now))
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        Ok(self.lock().show_run(id))
    }

    async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error> {
        Ok(self.lock().list(&filter))
    }

    async fn branches(&self, run: RunId) -> Result<Vec<BranchRecord>, Error> {
        Ok(self.lock().show_branches(run))
    }

    async fn history(&self, run: RunId) -> Result<Vec<HistoryRecord>, Error> {
        Ok(self.lock().show_history(run))
    }

    async fn failovers(&self, limit: u32) -> Result<Vec<FailoverRecord>, Error> {
        let state = self.lock();
        let newest = state.failovers.iter().rev().take(limit as usize);
        Ok(newest.cloned().collect())
    }

    async fn takeovers(&self, from: Incarnation, limit: u32) -> Result<Vec<TakeoverRecord>, Error> {
        Ok(self.lock().show_takeovers(from, limit))
    }
}

#[async_trait]
impl Definitions for MemoryStore {
    async fn deploy(&self, definition: NewDefinition) -> Result<(), Error> {
        self.lock().deploy(&definition);
        Ok(())
    }

    async fn source(&self, chart: &ChartId) -> Result<Option<String>, Error> {
        let state = self.lock();
        let found = state.definitions.iter().find(|d| d.chart == *chart);
        Ok(found.map(|definition| definition.source.clone()))
    }

    async fn find(&self, name: &WorkflowName) -> Result<Option<ChartId>, Error> {
        Ok(self.lock().find(name))
    }

    async fn definitions(&self) -> Result<Vec<DefinitionRecord>, Error> {
        Ok(self.lock().show_definitions())
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        Ok(self.lock().show_schedules())
    }

    async fn fire(&self, firing: Firing) -> Result<bool, Error> {
        self.lock().fire(&firing)
    }
}

#[async_trait]
impl Throttles for MemoryStore {
    async fn throttle(&self, throttle: Throttle) -> Result<(), Error> {
        let throttles = &mut self.lock().throttles;
        match throttle.limits.is_none() {
            true => throttles.remove(&throttle.scope),
            false => throttles.insert(throttle.scope, throttle.limits),
        };
        Ok(())
    }

    async fn throttles(&self) -> Result<Vec<ThrottleRecord>, Error> {
        Ok(self.lock().show_throttles())
    }
}

#[async_trait]
impl Members for MemoryStore {
    async fn join(&self, m: NewMember, limit: u32, now: Timestamp) -> Result<Joined, Error> {
        Ok(self.lock().join(m, limit, now))
    }

    async fn heartbeat(&self, me: Incarnation, now: Timestamp) -> Result<bool, Error> {
        Ok(self.lock().heartbeat(me, now))
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        Ok(self.lock().show_members())
    }

    async fn convict(
        &self,
        who: Incarnation,
        seen_seq: u64,
        by: Incarnation,
        evidence: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut state = self.lock();
        let convicted = state.convict(who, seen_seq);
        if convicted {
            state.record_failover(who, by, evidence, now);
        }
        Ok(convicted)
    }

    async fn take_over(
        &self,
        dead: Incarnation,
        _by: Incarnation,
        limit: u32,
        poison_limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        Ok(self.lock().take_over(dead, limit, poison_limit, now))
    }

    async fn set_draining(&self, me: Incarnation) -> Result<(), Error> {
        if let Some(member) = self.lock().living(me) {
            member.state = MemberState::Draining;
        }
        Ok(())
    }

    async fn leave(&self, me: Incarnation) -> Result<(), Error> {
        self.lock().leave(me);
        Ok(())
    }
}
