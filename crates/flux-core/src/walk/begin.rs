//! Beginning a task: condition, input, deadline, and what its kind does first.

use super::memory::{Cursor, Frame, Local, Phase, TryLocal};
use super::raise::fault_of;
use super::vars::holds;
use super::{Go, Walk, listener::Heard};
use crate::chart::{
    Case, Chart, Fault, FaultKind, Filter, For, Kind, Next, Node, NodeId, Template,
};
use crate::clock::Timestamp;
use crate::expr::Scope;
use crate::labels::is_private;
use crate::ports::runs::Event;
use crate::time_expression::TimeExpression;
use crate::value::{self, Value};
use crate::{duration, ids::BranchId};
use std::sync::Arc;
use std::time::Duration;

impl Walk {
    pub(super) fn begin(&mut self, id: NodeId, raw: Value) -> Result<Go, Fault> {
        let chart = Arc::clone(&self.chart);
        let node = chart.node(id);
        if node.breaks.before && self.moved && super::leave::is_free(&node.kind) {
            self.memory.at = Cursor::Enter {
                node: id,
                data: raw,
            };
            return Ok(Go::Stop(self.save()));
        }
        let before = self.scope(node, &raw, None);
        if let Some(guard) = &node.guard
            && !holds(guard, &raw, &before)?
        {
            self.note_skipped(node);
            return self.follow(node, node.next, raw);
        }
        if self.is_out_of_place(node) {
            let data = raw;
            self.memory.at = Cursor::Enter { node: id, data };
            return Ok(Go::Stop(self.move_to(node)));
        }
        if node.parent.is_none() || node.input.schema.is_some() {
            check_raw(&node.input, &raw)?;
        }
        let input = match &node.input.template {
            Some(template) => template.eval(&raw, &before)?,
            None => raw.clone(),
        };
        let scope = self.scope(node, &raw, Some(&input));
        let deadline = match &node.timeout {
            Some(after) => Some(self.now.plus(read_duration(after, &input, &scope)?)),
            None => None,
        };
        self.memory.frames.push(Frame {
            node: id,
            input: input.clone(),
            started_at: self.now,
            deadline,
            local: Local::None,
        });
        self.begin_kind(&chart, node, input, &scope)
    }

    /// Whether the task needs an engine, and one with other labels than those that work here. Whoever
    /// runs a workflow in private runs all of it.
    fn is_out_of_place(&self, node: &Node) -> bool {
        let here = self.env.pool.as_deref();
        let needs_engine = matches!(node.kind, Kind::Action(_) | Kind::File(_));
        needs_engine && !is_private(here) && node.requires.pool().as_deref() != here
    }

    fn begin_kind(
        &mut self,
        chart: &Chart,
        node: &Node,
        input: Value,
        scope: &Scope,
    ) -> Result<Go, Fault> {
        match &node.kind {
            Kind::Do { first } => self.enter_body(*first, input),
            Kind::For(each) => self.begin_for(each, input, scope),
            Kind::Try(block) => {
                let local = self.begin_attempts(block, &input, scope)?;
                self.set_local(Local::Try(local));
                self.enter_body(block.first, input)
            }
            Kind::Set(template) => {
                let output = template.eval(&input, scope)?;
                self.leave_with(output)
            }
            Kind::Switch(cases) => self.choose(node, cases, input, scope),
            Kind::Raise(template) => Err(fault_of(&template.eval(&input, scope)?)?),
            Kind::Emit(template) => {
                let attributes = template.eval(&input, scope)?;
                let event = self.publish(&attributes)?;
                self.leave_with(event)
            }
            Kind::Wait(after) => {
                let due = self.now.plus(read_duration(after, &input, scope)?);
                self.set_local(Local::Wait { due });
                self.inside(Vec::new())
            }
            Kind::WaitUntil(at) => {
                let due = read_instant(at, &input, scope, self.now)?;
                self.set_local(Local::Wait { due });
                self.inside(Vec::new())
            }
            Kind::Listen(_) => {
                self.set_local(Local::Listen(Heard::default()));
                self.inside(Vec::new())
            }
            Kind::Fork(fork) => self.split(chart, fork, input),
            Kind::Run(_) | Kind::Action(_) => {
                let firing = self.memory.firings;
                self.memory.firings += 1;
                self.set_local(Local::Action { firing });
                if node.breaks.before && self.unsaved {
                    return Ok(Go::Stop(self.save()));
                }
                self.inside(Vec::new())
            }
            Kind::File(_) => {
                if self.unsaved {
                    return Ok(Go::Stop(self.save()));
                }
                self.inside(Vec::new())
            }
        }
    }

    pub(super) fn set_local(&mut self, local: Local) {
        if let Some(frame) = self.memory.frames.last_mut() {
            frame.local = local;
        }
    }

    fn enter_body(&mut self, first: Option<NodeId>, data: Value) -> Result<Go, Fault> {
        self.memory.at = match first {
            Some(node) => Cursor::Enter { node, data },
            None => Cursor::Leave { output: data },
        };
        Ok(Go::On)
    }

    fn begin_for(&mut self, each: &For, input: Value, scope: &Scope) -> Result<Go, Fault> {
        let items = match each.items.eval(&input, scope)? {
            Value::Null => value::array(Vec::new()),
            items @ Value::Arr(_) => items,
            other => {
                let detail = format!(
                    "`for.in` must give an array, but gave {}",
                    value::excerpt(&other)
                );
                return Err(Fault::new(FaultKind::Expression, detail));
            }
        };
        self.set_local(Local::For { items, index: 0 });
        self.turn(each, input)
    }

    /// Begins the turn of the loop whose index is set, or ends the loop.
    pub(super) fn turn(&mut self, each: &For, data: Value) -> Result<Go, Fault> {
        let Some(Frame {
            node,
            local: Local::For { items, index },
            ..
        }) = self.top()
        else {
            return self.leave_with(data);
        };
        let (node, more) = (*node, *index < value::len(items));
        let chart = Arc::clone(&self.chart);
        let go_on = more
            && match &each.condition {
                Some(condition) => {
                    let scope = self.scope(chart.node(node), &data, None);
                    holds(condition, &data, &scope)?
                }
                None => true,
            };
        match each.first {
            Some(first) if go_on => self.enter_body(Some(first), data),
            _ => self.leave_with(data),
        }
    }

    fn choose(
        &mut self,
        node: &Node,
        cases: &[Case],
        input: Value,
        scope: &Scope,
    ) -> Result<Go, Fault> {
        let mut next: Next = node.next;
        for case in cases {
            let chosen = match &case.when {
                Some(when) => holds(when, &input, scope)?,
                None => true,
            };
            if chosen {
                next = case.then;
                break;
            }
        }
        self.end_frame(input, Some(next))
    }

    fn begin_attempts(
        &mut self,
        block: &crate::chart::Try,
        input: &Value,
        scope: &Scope,
    ) -> Result<TryLocal, Fault> {
        let attempt_deadline = self.attempt_deadline(block, input, scope)?;
        Ok(TryLocal {
            attempt: 1,
            began: self.now,
            attempt_deadline,
            firings: self.memory.firings,
            phase: Phase::Block,
        })
    }

    pub(super) fn attempt_deadline(
        &self,
        block: &crate::chart::Try,
        input: &Value,
        scope: &Scope,
    ) -> Result<Option<Timestamp>, Fault> {
        let limit = block
            .retry
            .as_ref()
            .and_then(|retry| retry.attempt_duration.as_ref());
        match limit {
            Some(limit) => Ok(Some(self.now.plus(read_duration(limit, input, scope)?))),
            None => Ok(None),
        }
    }

    /// Publishes with the next commit, and gives the event as the task's output.
    fn publish(&mut self, attributes: &Value) -> Result<Value, Fault> {
        let mut event = value::to_serde(attributes);
        let Some(fields) = event.as_object_mut() else {
            return Err(Fault::new(
                FaultKind::Expression,
                "`emit.event.with` must be an object",
            ));
        };
        let serial = self.serial();
        let id = self.derived(&format!("event/{serial}")).to_string();
        let source = format!("flux:/runs/{}", self.env.run);
        fields.entry("specversion").or_insert_with(|| "1.0".into());
        fields.entry("id").or_insert_with(|| id.into());
        fields.entry("source").or_insert_with(|| source.into());
        fields
            .entry("time")
            .or_insert_with(|| self.now.to_string().into());
        let text = |name: &str| match fields.get(name).and_then(|value| value.as_str()) {
            Some(text) if Event::is_attribute(text) => Ok(text.to_owned()),
            _ => Err(Fault::new(
                FaultKind::Validation,
                format!("the event's `{name}` must be {}", Event::ATTRIBUTE),
            )),
        };
        let (id, source, kind) = (text("id")?, text("source")?, text("type")?);
        let json = event.to_string();
        self.pending.published.push(Event {
            id,
            source,
            kind,
            json,
        });
        self.unsaved = true;
        Ok(value::from_serde(event))
    }

    /// A number that is never used again by the branch, not even by another attempt.
    pub(super) fn serial(&mut self) -> u64 {
        self.memory.serial += 1;
        self.memory.serial
    }

    /// An id that is the same whenever the branch comes to this point again.
    pub(super) fn derived(&self, what: &str) -> uuid::Uuid {
        uuid::Uuid::new_v5(&BranchId::uuid(self.env.branch), what.as_bytes())
    }
}

/// The schema of an input holds before `from` is applied.
fn check_raw(filter: &Filter, raw: &Value) -> Result<(), Fault> {
    check(filter, "input", raw)
}

pub(super) fn check(filter: &Filter, what: &str, data: &Value) -> Result<(), Fault> {
    let Some(schema) = &filter.schema else {
        return Ok(());
    };
    let violations = schema.violations(&value::to_serde(data));
    if violations.is_empty() {
        return Ok(());
    }
    let detail = format!("{what} does not meet its schema: {}", violations.join("; "));
    Err(Fault::new(FaultKind::Validation, detail))
}

pub(super) fn read_duration(
    template: &Template,
    input: &Value,
    scope: &Scope,
) -> Result<Duration, Fault> {
    let value = template.eval(input, scope)?;
    duration::parse(&value).map_err(|text| Fault::new(FaultKind::Validation, text))
}

fn read_instant(
    template: &Template,
    input: &Value,
    scope: &Scope,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let value = template.eval(input, scope)?;
    let text = value::as_str(&value).unwrap_or_default();
    text.parse::<TimeExpression>()
        .and_then(|expression| expression.after(now))
        .map_err(|error| Fault::new(FaultKind::Validation, error.to_string()))
}
