//! Taking branches, and giving them back.

use std::collections::BTreeMap;

use flux_core::branch::{BranchEvent, BranchState};
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::labels::{is_private, serves};
use flux_core::ports::branches::{
    Arrival, ClaimRequest, Claimed, Claims, Fence, Ready, Release, ReleaseTo, Throttled,
};
use flux_core::ports::members::MemberState;
use flux_core::ports::runs::Signal;
use flux_core::ports::throttles::ThrottleRecord;
use flux_core::throttle::{Limits, Queue, Scope, Slots, Throttle, lane, urgency};

use super::state::{Branch, State};

/// Signals handed over with a claim.
const MAX_SIGNALS: usize = 100;

impl State {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claims {
        if !self.is_alive(request.owner) {
            return Claims::default();
        }
        self.promote(request);
        let suspect = |branch: &Branch| branch.lost >= request.alone_from;
        let has_one = !self
            .branches_where(|branch| branch.owner == Some(request.owner) && suspect(branch))
            .is_empty();
        let ready = self.branches_where(|branch| {
            branch.state == BranchState::Ready
                && serves(request.pool.as_deref(), branch.pool.as_deref())
                && !(has_one && suspect(branch))
        });
        let (ready, throttled) = self.with_a_slot(ready, request);
        let ready = self.leave_suspects(ready, request);
        let branches = ready.into_iter().map(|id| self.take(id, request)).collect();
        Claims {
            branches,
            ready: self.ready(request),
            throttled,
        }
    }

    /// The most urgent ones that have a slot of their throttles.
    fn with_a_slot(
        &self,
        mut ready: Vec<BranchId>,
        request: &ClaimRequest,
    ) -> (Vec<BranchId>, Throttled) {
        let urgency_of = |id: &BranchId| {
            let branch = &self.branches[id];
            let due_at = branch.due_at.expect("a ready branch is due");
            (urgency(branch.priority, due_at), branch.number)
        };
        ready.sort_by_key(urgency_of);
        let slots = self.slots(request.owner);
        let mut queues: BTreeMap<Option<String>, Vec<BranchId>> = BTreeMap::new();
        for id in ready {
            queues
                .entry(self.lane(&self.branches[&id]))
                .or_default()
                .push(id);
        }
        let plan: Vec<Queue> = queues
            .iter()
            .map(|(lane, ids)| Queue {
                lane: lane.clone(),
                urgencies: ids.iter().map(|id| urgency_of(id).0).collect(),
            })
            .collect();
        let shares = slots.clone().shares(request.limit, &plan);
        let mut taken = Vec::new();
        let mut left = Throttled::default();
        for ((lane, ids), share) in queues.iter().zip(shares) {
            taken.extend_from_slice(&ids[..share as usize]);
            if let Some(lane) = lane {
                let ready = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                left.waiting |= ready > share;
                left.startable += ready.min(slots.free(lane)).saturating_sub(share);
            }
        }
        taken.sort_by_key(urgency_of);
        (taken, left)
    }

    /// The lane of a branch that some throttle holds.
    fn lane(&self, branch: &Branch) -> Option<String> {
        let name = &self.runs[&branch.run].new.name;
        let mut scopes = self.throttles.keys();
        scopes
            .any(|scope| scope.holds(&name.namespace, &name.name))
            .then(|| lane(&name.namespace, &name.name))
    }

    fn slots(&self, owner: Incarnation) -> Slots {
        let throttle = |(scope, limits): (&Scope, &Limits)| Throttle {
            scope: scope.clone(),
            limits: *limits,
        };
        let mut slots = Slots::new(self.throttles.iter().map(throttle).collect());
        for branch in self.branches.values() {
            if let (Some(holder), Some(lane)) = (branch.owner, self.lane(branch)) {
                slots.occupy(&lane, holder == owner, 1);
            }
        }
        slots
    }

    pub(super) fn show_throttles(&self) -> Vec<ThrottleRecord> {
        let record = |(scope, limits): (&Scope, &Limits)| {
            let name = |branch: &Branch| self.runs[&branch.run].new.name.clone();
            let of_scope = |branch: &&Branch| {
                let name = name(branch);
                scope.holds(&name.namespace, &name.name)
            };
            let mut holders: BTreeMap<String, u32> = BTreeMap::new();
            let mut waiting = 0;
            for branch in self.branches.values().filter(of_scope) {
                match branch.owner {
                    Some(owner) => *holders.entry(self.engine_name(owner)).or_default() += 1,
                    None => waiting += u32::from(branch.state == BranchState::Ready),
                }
            }
            ThrottleRecord {
                throttle: Throttle {
                    scope: scope.clone(),
                    limits: *limits,
                },
                holders: holders.into_iter().collect(),
                waiting,
            }
        };
        self.throttles.iter().map(record).collect()
    }

    /// All but the suspects beside the first one, which others may take meanwhile.
    fn leave_suspects(&mut self, ready: Vec<BranchId>, request: &ClaimRequest) -> Vec<BranchId> {
        let mut room = true;
        let mut taken = Vec::new();
        for id in ready {
            let branch = self.branch(id);
            if branch.lost < request.alone_from || std::mem::take(&mut room) {
                taken.push(id);
                continue;
            }
            branch.epoch = branch.epoch.next();
            branch.updated_at = request.now;
        }
        taken
    }

    /// Waiting branches whose time has come become ready, whether they are taken now or later.
    fn promote(&mut self, request: &ClaimRequest) {
        let due = self.branches_where(|branch| {
            branch.state == BranchState::Waiting && is_due(branch, request)
        });
        for id in due {
            let branch = self.branch(id);
            branch.step(BranchEvent::Wake);
            branch.updated_at = request.now;
        }
    }

    pub(super) fn is_alive(&self, member: Incarnation) -> bool {
        let member = self.members.get(&member);
        member.is_some_and(|member| member.state == MemberState::Alive)
    }

    /// A ready branch gets its next owner.
    pub(super) fn own(&mut self, id: BranchId, owner: Incarnation) -> &mut Branch {
        let branch = self.branch(id);
        branch.step(BranchEvent::Claim);
        branch.owner = Some(owner);
        branch.epoch = branch.epoch.next();
        branch
    }

    fn take(&mut self, id: BranchId, request: &ClaimRequest) -> Claimed {
        let branch = self.own(id, request.owner);
        branch.updated_at = request.now;
        let branch = branch.clone();
        let new = &self.runs[&branch.run].new;
        let after = branch.signals_after;
        Claimed {
            branch: id,
            run: branch.run,
            chart: new.chart.clone(),
            fence: Fence {
                owner: request.owner,
                epoch: branch.epoch,
                commit_no: branch.commit_no,
            },
            lost: branch.lost,
            memory: branch.memory,
            run_input: new.input.clone(),
            run_started_at: new.at,
            traceparent: new.traceparent.clone(),
            pool: branch.pool,
            signals: after.map_or_else(Vec::new, |after| self.signals_after(branch.run, after)),
            arrivals: match branch.join {
                Some(_) => self.arrivals_of(id).cloned().collect(),
                None => Vec::new(),
            },
        }
    }

    fn signals_after(&self, run: RunId, after: u64) -> Vec<Signal> {
        let newer = self.signals.range(after.saturating_add(1)..);
        let of_run = newer.filter(|(_, (of, _))| *of == run);
        let signals = of_run.map(|(_, (_, signal))| signal.clone());
        signals.take(MAX_SIGNALS).collect()
    }

    /// Results that a branch has not consumed yet, by index.
    pub(super) fn arrivals_of(&self, branch: BranchId) -> impl Iterator<Item = &Arrival> {
        let range = self.arrivals.range((branch, 0)..=(branch, u32::MAX));
        range.map(|(_, arrival)| arrival)
    }

    fn ready(&self, request: &ClaimRequest) -> Ready {
        let own = request.pool.as_deref();
        let mut ready = Ready::default();
        for branch in self.branches.values() {
            let pool = branch.pool.as_deref();
            let counts = branch.state == BranchState::Ready && self.lane(branch).is_none();
            match pool {
                _ if !counts || !serves(own, pool) => {}
                Some(_) if !is_private(own) => ready.pinned += 1,
                _ => ready.common += 1,
            }
        }
        Ready {
            common: ready.common.min(request.count),
            pinned: ready.pinned.min(request.count),
        }
    }

    pub(super) fn release(&mut self, release: &Release) -> bool {
        let found = self.branches.get_mut(&release.branch);
        let Some(branch) = found.filter(|branch| branch.obeys(release.fence)) else {
            return false;
        };
        branch.owner = None;
        branch.updated_at = release.now;
        match &release.to {
            // What it waited for is kept, so that its next owner is told it again.
            ReleaseTo::Ready => {
                branch.step(BranchEvent::Release);
                branch.due_at = Some(release.now);
            }
            ReleaseTo::Wait(wait) => {
                branch.step(BranchEvent::Park);
                branch.due_at = wait.due_at;
                branch.signals_after = wait.signals_after;
                branch.join = wait.join;
                self.settle(release.branch, release.now);
            }
        }
        true
    }
}

fn is_due(branch: &Branch, request: &ClaimRequest) -> bool {
    serves(request.pool.as_deref(), branch.pool.as_deref())
        && branch.due_at.is_some_and(|due| due <= request.now)
}
