//! The end of a branch and of a run, and cancelling what was started for them.

use flux_core::branch::{BranchEvent, BranchState};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::branches::Arrival;
use flux_core::ports::runs::Outcome;

use super::commit::Effects;
use super::state::{Ended, State};

impl State {
    /// Ends one branch of a split: its outcome goes to its join.
    pub(super) fn end(
        &mut self,
        id: BranchId,
        outcome: &Outcome,
        context: Option<&str>,
        now: Timestamp,
        fx: &mut Effects,
    ) {
        let (parent, index) = (self.branches[&id].parent, self.branches[&id].index);
        self.bury(id, Some(outcome), now);
        self.cancel_offspring(id, now, fx);
        if let Some(parent) = parent {
            let arrival = arrival(index, outcome, context);
            fx.woke |= self.arrive(parent, arrival, now);
        }
    }

    /// Ends the run of a branch with it, and tells the branch that waits for the run.
    pub(super) fn end_run(
        &mut self,
        id: BranchId,
        outcome: &Outcome,
        context: Option<&str>,
        now: Timestamp,
        fx: &mut Effects,
    ) {
        let run = self.branches[&id].run;
        self.bury(id, Some(outcome), now);
        let parent = self.close(run, outcome, now);
        self.cancel_branches(run, now, fx);
        self.cancel_offspring(id, now, fx);
        if let Some(parent) = parent {
            fx.woke |= self.arrive(parent, arrival(0, outcome, context), now);
        }
    }

    /// Cancels the branches that one split off, and the child runs that it waits for.
    pub(super) fn cancel_offspring(&mut self, of: BranchId, now: Timestamp, fx: &mut Effects) {
        for id in self.branches_where(|branch| branch.parent == Some(of)) {
            self.cancel(id, now, fx);
        }
        let runs = self.runs.iter();
        let children: Vec<RunId> = runs
            .filter(|(_, run)| run.parent == Some(of) && run.ended.is_none())
            .map(|(id, _)| *id)
            .collect();
        for run in children {
            self.close(run, &Outcome::Cancelled, now);
            self.cancel_branches(run, now, fx);
        }
    }

    /// What goes on without anybody waiting for it.
    pub(super) fn cut_loose(&mut self, from: BranchId) {
        for branch in self.branches.values_mut() {
            branch.parent = branch.parent.filter(|parent| *parent != from);
        }
        for run in self.runs.values_mut().filter(|run| run.ended.is_none()) {
            run.parent = run.parent.filter(|parent| *parent != from);
        }
    }

    fn cancel_branches(&mut self, run: RunId, now: Timestamp, fx: &mut Effects) {
        while let Some(id) = self.branches_where(|branch| branch.run == run).pop() {
            self.cancel(id, now, fx);
        }
    }

    /// The epoch is raised, so that the owner is fenced.
    fn cancel(&mut self, id: BranchId, now: Timestamp, fx: &mut Effects) {
        let branch = self.branch(id);
        branch.epoch = branch.epoch.next();
        if branch.owner.is_some() {
            fx.cancelled.push(id);
        }
        self.bury(id, None, now);
        self.cancel_offspring(id, now, fx);
    }

    /// Keeps an ended branch to be shown. `None`: it was cancelled.
    pub(super) fn bury(&mut self, id: BranchId, outcome: Option<&Outcome>, now: Timestamp) {
        let Some(mut branch) = self.branches.remove(&id) else {
            return;
        };
        let fault = match outcome {
            Some(Outcome::Faulted { fault }) => Some(fault.clone()),
            _ => None,
        };
        let failed = branch.root && fault.is_some();
        match (failed, branch.state) {
            (true, BranchState::Running) => branch.step(BranchEvent::Fail),
            _ => branch.step(BranchEvent::End),
        }
        branch.updated_at = now;
        branch.owner = None;
        branch.due_at = None;
        self.ended.insert(id, Ended { branch, fault });
    }

    /// Writes the end of a run and forgets what was kept for it; the branch that waits for it.
    fn close(&mut self, id: RunId, outcome: &Outcome, now: Timestamp) -> Option<BranchId> {
        let run = self.runs.get_mut(&id).filter(|run| run.ended.is_none())?;
        run.ended = Some((outcome.clone(), now));
        let parent = run.parent;
        for schedule in self.schedules.values_mut() {
            if let (Some(after), None) = (schedule.after, schedule.due_at)
                && schedule.last_run == Some(id)
            {
                schedule.due_at = Some(now.plus(after));
            }
        }
        self.subscriptions.retain(|(run, _)| *run != id);
        self.inbox.retain(|(run, ..)| *run != id);
        self.signals.retain(|_, (run, _)| *run != id);
        parent
    }
}

fn arrival(index: u32, outcome: &Outcome, context: Option<&str>) -> Arrival {
    Arrival {
        index,
        outcome: outcome.clone(),
        context: context.map(str::to_owned),
    }
}
