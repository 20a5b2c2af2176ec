//! Ending a task: output, export, and the flow to what follows.

use super::memory::{Cursor, Frame, Local, Phase};
use super::{Go, Happened, Walk};
use crate::chart::{Chart, Fault, Kind, Next, Node};
use crate::value::Value;
use std::sync::Arc;

/// Tasks kept in the history between two commit points; more are counted.
const HISTORY: usize = 1_000;

impl Walk {
    pub(super) fn leave_with(&mut self, output: Value) -> Result<Go, Fault> {
        self.memory.at = Cursor::Leave { output };
        Ok(Go::On)
    }

    pub(super) fn leave(&mut self, output: Value) -> Result<Go, Fault> {
        self.end_frame(output, None)
    }

    /// Ends the innermost task. `next` overrides what follows it.
    pub(super) fn end_frame(&mut self, output: Value, next: Option<Next>) -> Result<Go, Fault> {
        let chart = Arc::clone(&self.chart);
        let Some(frame) = self.top() else {
            return Ok(Go::Stop(self.complete(output)));
        };
        let node = chart.node(frame.node);
        let mut scope = self.scope(node, &frame.input, Some(&frame.input));
        scope.set("output", output.clone());
        let output = self.filter(&node.output, "output", output, &scope)?;
        if node.export.template.is_some() || node.export.schema.is_some() {
            scope.set("output", output.clone());
            self.memory.context = self.filter(&node.export, "export", output.clone(), &scope)?;
        }
        let frame = self.memory.frames.pop().expect("the frame was there above");
        self.note_completed(node, &frame);
        self.moved = true;
        let next = next
            .or_else(|| caught_then(node, &frame))
            .unwrap_or(node.next);
        match self.follow(node, next, output)? {
            Go::On if node.breaks.after && is_free(&node.kind) => Ok(Go::Stop(self.save())),
            go => Ok(go),
        }
    }

    /// Goes where the flow leads after a task that has been left.
    pub(super) fn follow(&mut self, node: &Node, next: Next, data: Value) -> Result<Go, Fault> {
        match next {
            Next::To(node) => {
                self.memory.at = Cursor::Enter { node, data };
                Ok(Go::On)
            }
            Next::End => self.end_run(data),
            Next::Leave if self.memory.frames.is_empty() => {
                // The root of the branch itself has been left.
                debug_assert!(
                    node.parent
                        .is_none_or(|parent| is_fork(&self.chart, parent))
                );
                Ok(Go::Stop(self.complete(data)))
            }
            Next::Leave => self.body_done(data),
        }
    }

    /// The body of the innermost composite task is done.
    fn body_done(&mut self, data: Value) -> Result<Go, Fault> {
        let chart = Arc::clone(&self.chart);
        let Some(frame) = self.memory.frames.last_mut() else {
            return Ok(Go::Stop(self.complete(data)));
        };
        match (&chart.node(frame.node).kind, &mut frame.local) {
            (Kind::For(each), Local::For { index, .. }) => {
                *index += 1;
                self.turn(each, data)
            }
            (Kind::Listen(listen), Local::Listen(_)) => self.heard_on(listen, data),
            _ => self.leave_with(data),
        }
    }

    /// `then: end`: the workflow's own output applies, and the whole run ends.
    fn end_run(&mut self, data: Value) -> Result<Go, Fault> {
        let root = self.memory.frames.first().map(|frame| frame.node);
        if root == Some(Chart::ROOT) {
            self.memory.frames.truncate(1);
            return self.leave_with(data);
        }
        let chart = Arc::clone(&self.chart);
        let node = chart.node(Chart::ROOT);
        let scope = self.scope(node, &data, None);
        let output = self.filter(&node.output, "output", data, &scope)?;
        Ok(Go::Stop(self.complete_run(output)))
    }

    fn note_completed(&mut self, node: &Node, frame: &Frame) {
        if is_composite(&node.kind) {
            return;
        }
        self.note(Happened::Completed {
            task: node.name.clone(),
            node: node.reference.clone(),
            started: frame.started_at,
            ended: self.now,
        });
    }

    pub(super) fn note_skipped(&mut self, node: &Node) {
        let (task, reference) = (node.name.clone(), node.reference.clone());
        self.note(Happened::Skipped {
            task,
            node: reference,
            at: self.now,
        });
    }

    /// Keeps a line of history for the next commit.
    pub(super) fn note(&mut self, happened: Happened) {
        if self.pending.history.len() < HISTORY {
            self.pending.history.push(happened);
        } else {
            self.pending.omitted += 1;
        }
    }
}

fn caught_then(node: &Node, frame: &Frame) -> Option<Next> {
    match (&node.kind, &frame.local) {
        (Kind::Try(block), Local::Try(local)) if matches!(local.phase, Phase::Handler { .. }) => {
            block.then
        }
        _ => None,
    }
}

/// Evaluated in line: actions and triggers commit where their result arrives instead.
pub(super) fn is_free(kind: &Kind) -> bool {
    is_composite(kind)
        || matches!(
            kind,
            Kind::Set(_) | Kind::Switch(_) | Kind::Raise(_) | Kind::Emit(_)
        )
}

fn is_composite(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Do { .. } | Kind::For(_) | Kind::Try(_) | Kind::Fork(_)
    )
}

fn is_fork(chart: &Chart, node: crate::chart::NodeId) -> bool {
    matches!(chart.node(node).kind, Kind::Fork(_))
}
