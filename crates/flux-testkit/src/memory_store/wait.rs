//! Waking: by signals, and by results.

use flux_core::branch::{BranchEvent, BranchState};
use flux_core::clock::Timestamp;
use flux_core::ids::BranchId;
use flux_core::ports::branches::Arrival;
use flux_core::ports::runs::Outcome;

use super::state::{Branch, State};

impl State {
    /// Wakes a branch if what it waits for is there; true when it did.
    pub(super) fn settle(&mut self, id: BranchId, now: Timestamp) -> bool {
        let branch = &self.branches[&id];
        let wakes = branch.state == BranchState::Waiting
            && (self.has_signals(branch) || self.has_joined(branch));
        if wakes {
            let branch = self.branch(id);
            branch.step(BranchEvent::Wake);
            branch.due_at = Some(now);
            branch.updated_at = now;
        }
        wakes
    }

    fn has_signals(&self, branch: &Branch) -> bool {
        branch.signals_after.is_some_and(|after| {
            let mut newer = self.signals.range(after.saturating_add(1)..);
            newer.any(|(_, (run, _))| *run == branch.run)
        })
    }

    fn has_joined(&self, branch: &Branch) -> bool {
        branch.join.is_some_and(|join| {
            let ok = |arrival: &&Arrival| matches!(arrival.outcome, Outcome::Completed { .. });
            let all = self.arrivals_of(branch.id).count();
            let successes = self.arrivals_of(branch.id).filter(ok).count();
            successes >= join.ok as usize || all - successes >= join.fault as usize
        })
    }

    /// Hands a result to the branch that waits for it; true when it woke.
    pub(super) fn arrive(&mut self, at: BranchId, arrival: Arrival, now: Timestamp) -> bool {
        // The branch that waited may be gone: then nobody waits.
        if !self.branches.contains_key(&at) {
            return false;
        }
        self.arrivals.entry((at, arrival.index)).or_insert(arrival);
        self.settle(at, now)
    }
}
