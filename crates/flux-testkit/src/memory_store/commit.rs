//! Storing a transaction break.

use flux_core::branch::BranchEvent;
use flux_core::chart::Rest;
use flux_core::ids::BranchId;
use flux_core::ports::Error;
use flux_core::ports::branches::{Commit, Committed, Then, Wait};
use flux_core::ports::runs::{HistoryRecord, Outcome};

use super::state::State;

/// What a write has caused besides its own change.
#[derive(Default)]
pub(super) struct Effects {
    /// Something became ready.
    pub(super) woke: bool,
    /// Branches cancelled while some engine owned them.
    pub(super) cancelled: Vec<BranchId>,
}

impl State {
    pub(super) fn commit(&mut self, c: &Commit) -> Result<Committed, Error> {
        let commit_no = c.fence.commit_no.next();
        let found = self.branches.get(&c.branch);
        if found.is_none_or(|branch| !branch.obeys(c.fence)) {
            return Ok(match self.is_stored(c) {
                // What it woke is not known any more; looking once too often costs little.
                true => Committed::Yes {
                    commit_no,
                    woke: true,
                    cancelled: Vec::new(),
                    paused: false,
                },
                false => Committed::Fenced,
            });
        }
        let child = match &c.then {
            Then::Wait(wait) => wait.child.as_ref(),
            _ => None,
        };
        self.require_definitions(c.spawned.iter().chain(child))?;
        let Effects { woke, cancelled } = self.apply(c);
        Ok(Committed::Yes {
            commit_no,
            woke,
            cancelled,
            paused: false,
        })
    }

    /// Whether this very commit is the branch's last one: then its answer was lost.
    fn is_stored(&self, c: &Commit) -> bool {
        let ended = self.ended.get(&c.branch).map(|ended| &ended.branch);
        let branch = self.branches.get(&c.branch).or(ended);
        branch.is_some_and(|branch| {
            branch.commit_no == c.fence.commit_no.next() && branch.last_commit == Some(mark(c))
        })
    }

    fn apply(&mut self, c: &Commit) -> Effects {
        let mut fx = Effects::default();
        self.advance(c);
        self.consume(c.run, &c.consumed);
        for event in &c.published {
            fx.woke |= self.publish(event, c.now);
        }
        for run in &c.spawned {
            self.start(run, None);
            fx.woke = true;
        }
        if let Some(rest) = c.join_over {
            self.join_over(c, rest, &mut fx);
        }
        match &c.then {
            Then::Run => {}
            Then::Wait(wait) => self.park(c, wait, &mut fx),
            Then::End {
                outcome,
                context,
                run,
            } => {
                let root = self.branches[&c.branch].root;
                match root || *run {
                    true => self.end_run(c.branch, outcome, context.as_deref(), c.now, &mut fx),
                    false => self.end(c.branch, outcome, context.as_deref(), c.now, &mut fx),
                }
            }
        }
        fx
    }

    /// The branch at its new commit point, and the row of history.
    fn advance(&mut self, c: &Commit) {
        let engine = self.engine_name(c.fence.owner);
        let branch = self.branch(c.branch);
        branch.commit_no = branch.commit_no.next();
        branch.last_commit = Some(mark(c));
        branch.lost = 0;
        branch.updated_at = c.now;
        // A run that failed can be sent back to the commit point before.
        let failed = matches!(
            &c.then,
            Then::End {
                outcome: Outcome::Faulted { .. },
                ..
            }
        );
        if !(failed && branch.root) {
            branch.memory.clone_from(&c.memory);
            branch.node.clone_from(&c.node);
        }
        if !matches!(c.then, Then::End { .. }) {
            (branch.due_at, branch.signals_after, branch.join) = (None, None, None);
        }
        if matches!(c.then, Then::Run) {
            branch.step(BranchEvent::Commit);
        }
        let row = HistoryRecord {
            branch: c.branch,
            commit_no: branch.commit_no,
            epoch: branch.epoch,
            engine,
            at: c.now,
            node: c.node.clone(),
            events: c.history.clone(),
        };
        self.history.push((c.run, row));
    }

    /// Creates what a branch waits for, and wakes it at once when that is there already.
    fn park(&mut self, c: &Commit, wait: &Wait, fx: &mut Effects) {
        let branch = self.branch(c.branch);
        branch.step(BranchEvent::Park);
        branch.owner = None;
        branch.due_at = wait.due_at;
        branch.signals_after = wait.signals_after;
        branch.join = wait.join;
        if let Some(pool) = &wait.pool {
            branch.pool = Some(pool.clone()).filter(|pool| !pool.is_empty());
            branch.step(BranchEvent::Wake);
            fx.woke = true;
        }
        for (index, new) in (0..).zip(&wait.branches) {
            self.split(c.branch, index, new, c.now);
            fx.woke = true;
        }
        if let Some(child) = &wait.child {
            self.start(child, Some(c.branch));
            fx.woke = true;
        }
        fx.woke |= self.settle(c.branch, c.now);
    }

    fn join_over(&mut self, c: &Commit, rest: Rest, fx: &mut Effects) {
        self.arrivals.retain(|(of, _), _| *of != c.branch);
        match rest {
            Rest::Cancel => self.cancel_offspring(c.branch, c.now, fx),
            Rest::Leave => self.cut_loose(c.branch),
        }
    }
}

/// Tells this commit from every other, whenever it is sent.
fn mark(c: &Commit) -> String {
    let then = (&c.memory, &c.node, &c.then, &c.history);
    let rest = (&c.consumed, &c.published, c.join_over, &c.spawned);
    format!("{:?} {then:?} {rest:?}", c.fence)
}
