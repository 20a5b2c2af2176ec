//! The walk of one branch through its chart: `(memory, event, now) -> (memory, step)`.
//!
//! A [`Walk`] lives in the engine that owns the branch. It evaluates free tasks in line and stops
//! where the world is needed: an action to perform, something to commit, a trigger to wait on.
//! Nothing outside is touched, so that a crash at any moment loses only this memory, and the
//! branch goes on from its last commit.
//!
//! | cursor \ event | claimed, saved | done | failed, timed out |
//! |---|---|---|---|
//! | enter(node) | evaluate `if`, `input`; begin the task | - | - |
//! | inside an action | perform it (again) | leave | raise |
//! | inside a trigger, split, child run | fired: leave; else wait on | - | raise |
//! | leave(output) | `output`, `export`; follow the flow | - | - |
//!
//! Raising unwinds to the nearest `try` that catches; none: the branch ends faulted.

mod begin;
mod commit;
mod join;
mod leave;
mod listener;
mod memory;
mod raise;
mod resume;
mod step;
mod vars;

pub use memory::Memory;
pub use step::{Child, Draft, Event, Happened, Look, Perform, Step};

use crate::chart::{Chart, Fault, FaultKind, Node, NodeId, Rest};
use crate::clock::Timestamp;
use crate::expr::EvalError;
use crate::ids::{BranchId, RunId, SignalId};
use crate::ports::runs::{NewRun, Signal};
use crate::value::Value;
use memory::{Cursor, Frame};
use std::collections::VecDeque;
use std::sync::Arc;

/// Free tasks that may follow each other without an action, trigger or split between them.
const FREE_STEPS: u32 = 100_000;

/// What a branch must know of the run and engine it belongs to.
#[derive(Clone, Debug)]
pub struct Env {
    /// The run.
    pub run: RunId,
    /// The branch.
    pub branch: BranchId,
    /// The run's input.
    pub run_input: Value,
    /// When the run was submitted.
    pub run_started_at: Timestamp,
    /// Version of the engine, for `$runtime`.
    pub version: &'static str,
    /// The pool that the branch is in; `None` is the common one.
    pub pool: Option<String>,
}

/// A branch in the hands of its owner.
#[derive(Debug)]
pub struct Walk {
    chart: Arc<Chart>,
    env: Env,
    memory: Memory,
    now: Timestamp,
    pending: Pending,
    /// Something happened since the last commit point that must not happen again.
    unsaved: bool,
    /// Some task ended since the last commit point.
    moved: bool,
    /// The commit point is a wait at this very place.
    parked_here: bool,
    /// Free steps since the last stop.
    steps: u32,
    /// The limit of free steps was hit since the last event: the next time is final.
    runaway: bool,
    /// Signals at hand that the listener has not looked at.
    inbox: VecDeque<Signal>,
    constants: vars::Constants,
}

/// What the next commit carries.
#[derive(Debug, Default)]
struct Pending {
    history: Vec<Happened>,
    omitted: u64,
    consumed: Vec<SignalId>,
    published: Vec<crate::ports::runs::Event>,
    join_over: Option<Rest>,
    spawned: Vec<NewRun>,
}

/// How the loop goes on.
enum Go {
    /// Evaluate the new cursor.
    On,
    /// Ask the engine.
    Stop(Step),
}

impl Walk {
    /// Takes up a branch at its commit point; the first event is [`Event::Claimed`].
    pub fn new(chart: Arc<Chart>, env: Env, memory: Memory) -> Walk {
        let constants = vars::Constants::of(&chart, &env);
        let parked_here = matches!(memory.at, Cursor::Inside);
        Walk {
            chart,
            env,
            memory,
            now: Timestamp::from_micros(0),
            pending: Pending::default(),
            unsaved: false,
            moved: false,
            parked_here,
            steps: 0,
            runaway: false,
            inbox: VecDeque::new(),
            constants,
        }
    }

    /// Goes on after an event, to where the world is needed again.
    pub fn next(&mut self, event: Event, now: Timestamp) -> Step {
        self.now = now;
        self.steps = 0;
        self.runaway = false;
        let mut result = self.take_event(event);
        loop {
            match result {
                Ok(Go::Stop(step)) => return step,
                Ok(Go::On) => {}
                Err(fault) => {
                    if let Some(step) = self.raise(fault) {
                        return step;
                    }
                }
            }
            result = self.advance();
        }
    }

    fn advance(&mut self) -> Result<Go, Fault> {
        self.steps += 1;
        self.parked_here = false;
        if self.steps > FREE_STEPS {
            return Err(self.stop_runaway());
        }
        match std::mem::replace(&mut self.memory.at, Cursor::Inside) {
            Cursor::Enter { node, data } => self
                .begin(node, data)
                .map_err(|fault| self.blame(fault, node)),
            Cursor::Leave { output } => {
                let node = self.memory.node();
                self.leave(output).map_err(|fault| self.blame(fault, node))
            }
            Cursor::Inside => {
                let node = self.memory.node();
                self.inside(Vec::new())
                    .map_err(|fault| self.blame(fault, node))
            }
        }
    }

    /// A loop of free tasks: an error that may be caught once, so that a handler can run; a
    /// handler that loops as well ends the branch.
    fn stop_runaway(&mut self) -> Fault {
        let reference = self.node(self.memory.node()).reference.clone();
        if std::mem::replace(&mut self.runaway, true) {
            self.memory.frames.clear();
        }
        self.steps = 0;
        let detail = format!(
            "{FREE_STEPS} tasks in a row without an action, a wait or a listen: the loop would \
             never end"
        );
        Fault::new(FaultKind::Runtime, detail).at(&reference)
    }

    fn blame(&self, fault: Fault, node: NodeId) -> Fault {
        fault.at(&self.node(node).reference)
    }

    fn node(&self, id: NodeId) -> &Node {
        self.chart.node(id)
    }

    fn top(&self) -> Option<&Frame> {
        self.memory.frames.last()
    }
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Fault {
        Fault::new(FaultKind::Expression, error.to_string())
    }
}
