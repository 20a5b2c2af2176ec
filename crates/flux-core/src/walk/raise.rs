//! Raising an error: unwinding to a `try` that catches it, retries, deadlines.

use super::memory::{Cursor, Frame, Local, Phase, TryLocal};
use super::vars::{fault_value, holds};
use super::{Happened, Step, Walk, begin};
use crate::chart::{Backoff, Fault, FaultKind, Kind, Rest, Retry, Try};
use crate::clock::Timestamp;
use crate::expr::{EvalError, Scope};
use crate::ports::branches::Wait;
use crate::value::{self, Value};
use std::sync::Arc;
use std::time::Duration;

/// Longest delay between two attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(86_400);

impl Walk {
    /// Unwinds. `None`: somebody caught it, evaluate the cursor; otherwise what to do now.
    pub(super) fn raise(&mut self, fault: Fault) -> Option<Step> {
        let mut fault = fault;
        self.parked_here = false;
        self.note_failed(&fault);
        while let Some(frame) = self.memory.frames.last() {
            match self.caught(frame.clone(), &fault) {
                Ok(true) => return self.handle(fault),
                Ok(false) => {}
                Err(error) => {
                    let node = &self.chart.node(frame.node).reference;
                    fault = Fault::from(error).at(node);
                }
            }
            self.drop_frame();
        }
        Some(self.fault(fault))
    }

    /// Forgets the innermost task; branches or a child run that it waits for are cancelled.
    fn drop_frame(&mut self) {
        let frame = self.memory.frames.pop();
        if matches!(
            frame,
            Some(Frame {
                local: Local::Fork { .. } | Local::Child,
                ..
            })
        ) {
            self.pending.join_over = Some(Rest::Cancel);
            self.unsaved = true;
        }
    }

    fn caught(&self, frame: Frame, fault: &Fault) -> Result<bool, EvalError> {
        let node = self.chart.node(frame.node);
        let (Kind::Try(block), Local::Try(local)) = (&node.kind, &frame.local) else {
            return Ok(false);
        };
        if !matches!(local.phase, Phase::Block) || !block.filter.matches(fault) {
            return Ok(false);
        }
        let scope = self.catch_scope(&frame, block, fault);
        permitted(
            block.when.as_ref(),
            block.except_when.as_ref(),
            &frame.input,
            &scope,
        )
    }

    fn catch_scope(&self, frame: &Frame, block: &Try, fault: &Fault) -> Scope {
        let node = self.chart.node(frame.node);
        let mut scope = self.scope(node, &frame.input, Some(&frame.input));
        scope.set(block.name.clone(), fault_value(fault));
        scope
    }

    /// The innermost frame is a `try` that catches: retry, else its handler.
    fn handle(&mut self, fault: Fault) -> Option<Step> {
        let chart = Arc::clone(&self.chart);
        let frame = self.memory.frames.last()?.clone();
        let node = chart.node(frame.node);
        let (Kind::Try(block), Local::Try(local)) = (&node.kind, frame.local.clone()) else {
            return None;
        };
        if let Some(retry) = &block.retry {
            match self.next_attempt(block, retry, &frame, &local, &fault) {
                Ok(Some(delay)) => return self.back_off(local, delay),
                Ok(None) => {}
                Err(error) => {
                    self.drop_frame();
                    return self.raise(error.at(&node.reference));
                }
            }
        }
        let (task, reference) = (node.name.clone(), node.reference.clone());
        self.note(Happened::Caught {
            task,
            node: reference,
            at: self.now,
        });
        self.set_local(Local::Try(TryLocal {
            phase: Phase::Handler { fault },
            ..local
        }));
        self.memory.at = match block.handler {
            Some(node) => Cursor::Enter {
                node,
                data: frame.input,
            },
            None => Cursor::Leave {
                output: frame.input,
            },
        };
        None
    }

    /// Delay before the next attempt; `None` when there is none.
    fn next_attempt(
        &self,
        block: &Try,
        retry: &Retry,
        frame: &Frame,
        local: &TryLocal,
        fault: &Fault,
    ) -> Result<Option<Duration>, Fault> {
        if retry.attempts.is_some_and(|limit| local.attempt >= limit) {
            return Ok(None);
        }
        let scope = self.catch_scope(frame, block, fault);
        let (when, except) = (retry.when.as_ref(), retry.except_when.as_ref());
        if !permitted(when, except, &frame.input, &scope)? {
            return Ok(None);
        }
        let delay = self.delay(retry, frame, local, &scope)?;
        if let Some(limit) = &retry.duration {
            let limit = begin::read_duration(limit, &frame.input, &scope)?;
            if self.now.plus(delay) > local.began.plus(limit) {
                return Ok(None);
            }
        }
        Ok(Some(delay))
    }

    fn delay(
        &self,
        retry: &Retry,
        frame: &Frame,
        local: &TryLocal,
        scope: &Scope,
    ) -> Result<Duration, Fault> {
        let read = |template| begin::read_duration(template, &frame.input, scope);
        let base = retry
            .delay
            .as_ref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        let factor = match retry.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => local.attempt,
            Backoff::Exponential => 1u32 << (local.attempt - 1).min(31),
        };
        let grown = base.saturating_mul(factor).min(LONGEST_DELAY);
        let jitter = match &retry.jitter {
            Some((from, to)) => {
                let (from, to) = (read(from)?, read(to)?);
                from + to
                    .saturating_sub(from)
                    .mul_f64(self.fraction(frame, local.attempt))
            }
            None => Duration::ZERO,
        };
        Ok(grown.saturating_add(jitter).min(LONGEST_DELAY))
    }

    /// A number in 0..1 that differs between branches and attempts and is the same in a replay.
    fn fraction(&self, frame: &Frame, attempt: u32) -> f64 {
        let what = format!(
            "jitter/{}/{}/{attempt}",
            frame.node.0,
            frame.started_at.as_micros()
        );
        let bits = self.derived(&what).as_u64_pair().1 & 0xFFFF_FFFF;
        bits as f64 / f64::from(u32::MAX)
    }

    fn back_off(&mut self, local: TryLocal, delay: Duration) -> Option<Step> {
        let due = self.now.plus(delay);
        let attempt = local.attempt + 1;
        self.memory.firings = local.firings;
        let local = TryLocal {
            attempt,
            phase: Phase::Backoff { due },
            ..local
        };
        self.set_local(Local::Try(local));
        let node = self.memory.frames.last()?.node;
        let node = self.chart.node(node);
        let (task, reference) = (node.name.clone(), node.reference.clone());
        self.note(Happened::Retry {
            task,
            node: reference,
            attempt,
            due,
        });
        self.memory.at = Cursor::Inside;
        let due_at = self.due_with(due);
        Some(self.park(Wait {
            due_at,
            ..Wait::default()
        }))
    }

    /// The earliest deadline of the tasks around.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let of = |frame: &Frame| {
            let attempt = match &frame.local {
                Local::Try(TryLocal {
                    phase: Phase::Block,
                    attempt_deadline,
                    ..
                }) => *attempt_deadline,
                _ => None,
            };
            frame.deadline.into_iter().chain(attempt).min()
        };
        self.memory.frames.iter().filter_map(of).min()
    }

    pub(super) fn due_with(&self, due: Timestamp) -> Option<Timestamp> {
        Some(self.deadline().map_or(due, |deadline| deadline.min(due)))
    }

    /// Raises the time-out of the outermost task whose deadline is the earliest.
    pub(super) fn time_out(&mut self) -> Fault {
        let earliest = self.deadline();
        let position = self.memory.frames.iter().position(|frame| {
            frame.deadline == earliest
                || matches!(&frame.local, Local::Try(local) if local.attempt_deadline == earliest)
        });
        let index = position.unwrap_or(0);
        let of_task = self
            .memory
            .frames
            .get(index)
            .is_some_and(|f| f.deadline == earliest);
        let reference = match self.memory.frames.get(index) {
            Some(frame) => self.chart.node(frame.node).reference.clone(),
            None => "/".to_owned(),
        };
        // A task cannot catch its own time-out; a `try` catches that of its attempt.
        let keep = if of_task { index } else { index + 1 };
        while self.memory.frames.len() > keep {
            self.drop_frame();
        }
        let what = if of_task { "the task" } else { "the attempt" };
        Fault::new(FaultKind::Timeout, format!("{what} did not end in time")).at(&reference)
    }

    fn note_failed(&mut self, fault: &Fault) {
        let node = self.chart.node(self.memory.node());
        let happened = Happened::Failed {
            task: node.name.clone(),
            node: fault
                .instance
                .clone()
                .unwrap_or_else(|| node.reference.clone()),
            fault: fault.clone(),
            at: self.now,
        };
        self.note(happened);
    }
}

fn permitted(
    when: Option<&crate::expr::Expr>,
    except: Option<&crate::expr::Expr>,
    input: &Value,
    scope: &Scope,
) -> Result<bool, EvalError> {
    let wanted = when.map_or(Ok(true), |when| holds(when, input, scope))?;
    Ok(wanted && !except.map_or(Ok(false), |except| holds(except, input, scope))?)
}

/// The error that a `raise` describes.
pub(super) fn fault_of(value: &Value) -> Result<Fault, Fault> {
    let mut json = value::to_serde(value);
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(json).map_err(|error| {
        let detail = format!(
            "`raise.error` must be {{ type: URI, status: number, title?, detail? }}: {error}"
        );
        Fault::new(FaultKind::Expression, detail)
    })
}
