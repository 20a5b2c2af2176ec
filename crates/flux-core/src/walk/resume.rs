//! Taking events, and going on inside an action or trigger.

use super::memory::{Cursor, Local, Phase, TryLocal};
use super::{Child, Event, Go, Look, Perform, Step, Walk};
use crate::chart::{Action, Fault, FaultKind, Kind, Node};
use crate::clock::Timestamp;
use crate::ids::{BranchId, RunId};
use crate::ports::branches::{Arrival, Wait};
use crate::value::Value;
use std::sync::Arc;

impl Walk {
    pub(super) fn take_event(&mut self, event: Event) -> Result<Go, Fault> {
        match event {
            Event::Claimed { signals, arrivals } => {
                self.inbox = signals.into();
                self.claimed(arrivals)
            }
            Event::Saved => Ok(Go::On),
            Event::Done(output) => {
                self.unsaved = true;
                self.done(output)
            }
            Event::Failed(fault) => {
                self.unsaved = true;
                Err(self.blame(fault, self.memory.node()))
            }
            Event::TimedOut => {
                self.unsaved = true;
                Err(self.time_out())
            }
            Event::Looked(Some(found)) => {
                self.unsaved = true;
                self.done(found)
            }
            Event::Looked(None) => Ok(Go::Stop(self.look_again())),
            Event::Prepared(run) => {
                let chart = Arc::clone(&self.chart);
                match &chart.node(self.memory.node()).kind {
                    Kind::Run(child) => self.prepared(*run, child.wait),
                    _ => Ok(Go::On),
                }
            }
        }
    }

    /// The deadline comes before whatever arrived late.
    fn claimed(&mut self, arrivals: Vec<Arrival>) -> Result<Go, Fault> {
        let late = self.deadline().is_some_and(|deadline| deadline <= self.now);
        if late && matches!(self.memory.at, Cursor::Inside) {
            return Err(self.time_out());
        }
        match self.memory.at {
            Cursor::Inside => {
                let node = self.memory.node();
                self.inside(arrivals)
                    .map_err(|fault| self.blame(fault, node))
            }
            Cursor::Enter { .. } | Cursor::Leave { .. } => Ok(Go::On),
        }
    }

    /// The action or trigger in progress has this result.
    pub(super) fn done(&mut self, output: Value) -> Result<Go, Fault> {
        let after = self.node(self.memory.node()).breaks.after;
        self.memory.at = Cursor::Leave { output };
        if after {
            return Ok(Go::Stop(self.save()));
        }
        Ok(Go::On)
    }

    /// What the innermost task, which is in progress, needs now.
    pub(super) fn inside(&mut self, arrivals: Vec<Arrival>) -> Result<Go, Fault> {
        let chart = Arc::clone(&self.chart);
        let Some(frame) = self.top().cloned() else {
            return Err(Fault::new(
                FaultKind::Runtime,
                "the stored position is damaged",
            ));
        };
        let node = chart.node(frame.node);
        match (&node.kind, frame.local) {
            (Kind::Action(action), Local::Action { firing }) => {
                self.perform(node, action, frame.input, firing)
            }
            (Kind::Run(child), Local::Action { .. }) => self.prepare(node, child, &frame.input),
            (Kind::Run(_), Local::Child) => self.child_ended(&arrivals),
            (Kind::Fork(fork), Local::Fork { .. }) => self.joined(node, fork, arrivals),
            // An operator sent the branch back to a split whose branches are gone.
            (Kind::Fork(fork), Local::None) => self.split(&chart, fork, frame.input),
            (Kind::Listen(listen), Local::Listen(heard)) => self.listen(node, listen, heard),
            (Kind::File(file), _) => {
                let scope = self.scope(node, &frame.input, Some(&frame.input));
                let with = file.with.eval(&frame.input, &scope)?;
                let pattern = crate::value::get(&with, "path").and_then(crate::value::as_str);
                let Some(pattern) = pattern else {
                    let detail = "`with.path` must be text, such as /data/in/*.csv";
                    return Err(Fault::new(FaultKind::Validation, detail));
                };
                let (pattern, stable) = (pattern.to_owned(), file.stable);
                Ok(Go::Stop(Step::Look(Look { pattern, stable })))
            }
            (_, Local::Wait { due }) => self.waited(frame.input, due),
            (Kind::Try(block), Local::Try(local)) => self.try_again(block, local, frame.input),
            (_, _) => Err(Fault::new(
                FaultKind::Runtime,
                "the stored position is damaged",
            )),
        }
    }

    fn perform(
        &mut self,
        node: &Node,
        action: &Action,
        input: Value,
        firing: u64,
    ) -> Result<Go, Fault> {
        let scope = self.scope(node, &input, Some(&input));
        let with = action.with.eval(&input, &scope)?;
        let attempts = self
            .memory
            .frames
            .iter()
            .rev()
            .find_map(|frame| match &frame.local {
                Local::Try(TryLocal {
                    phase: Phase::Block,
                    attempt,
                    ..
                }) => Some(*attempt),
                _ => None,
            });
        Ok(Go::Stop(Step::Perform(Perform {
            kind: action.kind,
            with,
            task: node.name.clone(),
            node: node.reference.clone(),
            key: format!("{}/{firing}{}", self.env.branch, node.reference),
            attempt: attempts.unwrap_or(1),
            deadline: self.deadline(),
        })))
    }

    fn prepare(
        &mut self,
        node: &Node,
        child: &crate::chart::SubWorkflow,
        input: &Value,
    ) -> Result<Go, Fault> {
        let scope = self.scope(node, input, Some(input));
        let given = match &child.input {
            Some(template) => template.eval(input, &scope)?,
            None => input.clone(),
        };
        let serial = self.serial();
        Ok(Go::Stop(Step::Prepare(Child {
            namespace: child.namespace.clone(),
            name: child.name.clone(),
            version: child.version.clone(),
            input: given,
            run: RunId::new(self.derived(&format!("run/{serial}"))),
            branch: BranchId::new(self.derived(&format!("run/{serial}/branch"))),
        })))
    }

    fn waited(&mut self, input: Value, due: Timestamp) -> Result<Go, Fault> {
        if due <= self.now {
            return self.done(input);
        }
        let wait = Wait {
            due_at: self.due_with(due),
            ..Wait::default()
        };
        Ok(Go::Stop(self.park(wait)))
    }

    fn look_again(&mut self) -> Step {
        let every = match &self.node(self.memory.node()).kind {
            Kind::File(file) => file.every,
            _ => std::time::Duration::from_secs(3),
        };
        let due_at = self.due_with(self.now.plus(every));
        self.park(Wait {
            due_at,
            ..Wait::default()
        })
    }

    fn try_again(
        &mut self,
        block: &crate::chart::Try,
        local: TryLocal,
        input: Value,
    ) -> Result<Go, Fault> {
        let Phase::Backoff { due } = local.phase else {
            return Err(Fault::new(
                FaultKind::Runtime,
                "the stored position is damaged",
            ));
        };
        if due > self.now {
            let wait = Wait {
                due_at: self.due_with(due),
                ..Wait::default()
            };
            return Ok(Go::Stop(self.park(wait)));
        }
        let chart = Arc::clone(&self.chart);
        let scope = self.scope(chart.node(self.memory.node()), &input, Some(&input));
        let attempt_deadline = self.attempt_deadline(block, &input, &scope)?;
        let local = TryLocal {
            phase: Phase::Block,
            attempt_deadline,
            ..local
        };
        self.set_local(Local::Try(local));
        self.memory.at = match block.first {
            Some(node) => Cursor::Enter { node, data: input },
            None => Cursor::Leave { output: input },
        };
        Ok(Go::On)
    }
}
