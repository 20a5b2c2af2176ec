//! What a commit carries.

use super::{Draft, Happened, Pending, Step, Walk};
use crate::chart::{Fault, Node};
use crate::ports::branches::{Then, Wait};
use crate::ports::runs::Outcome;
use crate::value::{self, Value};

impl Walk {
    /// Commit and go on.
    pub(super) fn save(&mut self) -> Step {
        self.commit(Then::Run)
    }

    /// Commit and wait, owned by nobody. When nothing changed since the branch was taken up, it is
    /// given back instead: its commit point already says where it waits.
    pub(super) fn park(&mut self, wait: Wait) -> Step {
        if self.parked_here && !self.unsaved && wait.branches.is_empty() && wait.child.is_none() {
            return Step::Release(wait);
        }
        let node = self.chart.node(self.memory.node());
        let (task, reference) = (node.name.clone(), node.reference.clone());
        self.note(Happened::Waiting {
            task,
            node: reference,
            at: self.now,
        });
        self.commit(Then::Wait(wait))
    }

    /// Commit, and go on at this task on an engine with the labels that it requires.
    pub(super) fn move_to(&mut self, node: &Node) -> Step {
        self.commit(Then::Wait(Wait {
            due_at: Some(self.now),
            pool: Some(node.requires.pool().unwrap_or_default()),
            ..Wait::default()
        }))
    }

    pub(super) fn complete(&mut self, output: Value) -> Step {
        self.end(completed(&output), false)
    }

    pub(super) fn complete_run(&mut self, output: Value) -> Step {
        self.end(completed(&output), true)
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Step {
        self.end(Outcome::Faulted { fault }, false)
    }

    fn end(&mut self, outcome: Outcome, run: bool) -> Step {
        let context = Some(value::to_json(&self.memory.context));
        self.commit(Then::End {
            outcome,
            context,
            run,
        })
    }

    fn commit(&mut self, then: Then) -> Step {
        let Pending {
            mut history,
            omitted,
            consumed,
            published,
            join_over,
            spawned,
        } = std::mem::take(&mut self.pending);
        if omitted > 0 {
            history.push(Happened::Omitted { count: omitted });
        }
        self.unsaved = false;
        self.moved = false;
        self.parked_here = false;
        let node = self.node(self.memory.node()).reference.clone();
        Step::Commit(Box::new(Draft {
            memory: self.memory.to_json(),
            node,
            then,
            history: serde_json::to_string(&history).expect("history is plain data"),
            consumed,
            published,
            join_over,
            spawned,
        }))
    }
}

fn completed(output: &Value) -> Outcome {
    Outcome::Completed {
        output: value::to_json(output),
    }
}
