//! `try`, `catch` and retry policies.

use super::{Task, no_retry};
use crate::code;
use crate::cx::Cx;
use crate::fields::Fields;
use crate::flow::Slot;
use crate::reuse::Section;
use crate::tree::{Data, Node};
use flux_core::chart::{Backoff, FaultFilter, Kind, NodeId, Retry, Try};

const CATCH: [&str; 7] = ["errors", "as", "when", "exceptWhen", "retry", "do", "then"];
const RETRY: [&str; 6] = ["when", "exceptWhen", "delay", "backoff", "limit", "jitter"];

impl<'s> Cx<'s> {
    pub(super) fn trying(&mut self, task: &Task<'s>, outer: NodeId) -> Option<Kind> {
        let first = self.tasks(
            task.get("try")?,
            "`try`",
            task.id,
            &format!("{}/try", task.reference),
        );
        let catch = self.require(task.fields, "catch", "a `try` task")?;
        let fields = self.map(catch, "`catch`", &CATCH)?;
        let filter = match fields.get("errors") {
            Some(node) => self.fault_filter(node),
            None => FaultFilter::default(),
        };
        let name = self.variable(fields.get("as"), "`catch.as`", "error");
        let mut block = self.with_vars(&[&name], |cx| cx.catch(task, fields));
        (block.first, block.filter, block.name) = (first, filter, name);
        if let Some(then) = fields.get("then") {
            // With `onError` the task is alone in its scope: the way out is that of the outer one.
            if outer == task.id {
                self.directive(task.id, Slot::Catch, then);
            } else {
                let message = "`catch.then` and `onError: continue` exclude each other";
                self.error(code::CONFLICT, then.span, message);
            }
        }
        Some(Kind::Try(Box::new(block)))
    }

    /// What sees the error.
    fn catch(&mut self, task: &Task<'s>, fields: Fields<'s>) -> Try {
        let when = self.condition(fields.get("when"), "`catch.when`");
        let except_when = self.condition(fields.get("exceptWhen"), "`catch.exceptWhen`");
        let retry = fields.get("retry").and_then(|node| match node.as_text() {
            Some(_) => {
                let entry = self.named(Section::Retries, node)?;
                self.retry_policy(&entry.value)
            }
            None => self.retry_policy(node),
        });
        let handler = fields.get("do").and_then(|body| {
            self.tasks(
                body,
                "`catch.do`",
                task.id,
                &format!("{}/catch/do", task.reference),
            )
        });
        Try {
            when,
            except_when,
            retry,
            handler,
            ..super::swallow(task.id)
        }
    }

    fn fault_filter(&mut self, node: &'s Node) -> FaultFilter {
        let mut filter = FaultFilter::default();
        let Some(fields) = self.map(node, "`catch.errors`", &["with"]) else {
            return filter;
        };
        let Some(with) = fields.get("with") else {
            return filter;
        };
        let keys = ["type", "status", "title", "detail", "details", "instance"];
        let Some(with) = self.map(with, "`errors.with`", &keys) else {
            return filter;
        };
        for entry in with.entries() {
            let what = format!("`{}`", entry.key);
            let right = match entry.key.as_str() {
                "status" => self.integer(&entry.value, &what, 100..=599).is_some(),
                _ => self.literal(&entry.value, &what).is_some(),
            };
            if right {
                filter
                    .with
                    .push((entry.key.clone(), entry.value.to_value()));
            }
        }
        filter
    }

    /// A retry policy.
    pub(crate) fn retry_policy(&mut self, node: &'s Node) -> Option<Retry> {
        let fields = self.map(node, "a retry policy", &RETRY)?;
        let mut retry = no_retry();
        retry.when = self.condition(fields.get("when"), "`retry.when`");
        retry.except_when = self.condition(fields.get("exceptWhen"), "`retry.exceptWhen`");
        retry.delay = fields
            .get("delay")
            .and_then(|node| self.duration(node, "`retry.delay`"));
        if let Some(node) = fields.get("backoff") {
            retry.backoff = self.backoff(node).unwrap_or(Backoff::Constant);
        }
        if let Some(node) = fields.get("jitter")
            && let Some(range) = self.map(node, "`retry.jitter`", &["from", "to"])
        {
            let from = self
                .require(range, "from", "`retry.jitter`")
                .and_then(|node| self.duration(node, "`jitter.from`"));
            let to = self
                .require(range, "to", "`retry.jitter`")
                .and_then(|node| self.duration(node, "`jitter.to`"));
            retry.jitter = from.zip(to);
        }
        if let Some(node) = fields.get("limit") {
            self.limit(node, &mut retry);
        }
        Some(retry)
    }

    fn backoff(&mut self, node: &'s Node) -> Option<Backoff> {
        let keys = ["constant", "linear", "exponential"];
        let fields = self.map(node, "`retry.backoff`", &keys)?;
        let [entry] = fields.entries() else {
            let message = "`retry.backoff` has one of constant, linear and exponential";
            self.error(code::CONFLICT, node.span, message);
            return None;
        };
        match &entry.value.data {
            Data::Null => {}
            Data::Map(entries) if entries.is_empty() => {}
            _ => {
                let message = format!("`backoff.{}` has no settings; write {{}}", entry.key);
                self.error(code::WRONG_VALUE, entry.value.span, message);
            }
        }
        match entry.key.as_str() {
            "constant" => Some(Backoff::Constant),
            "linear" => Some(Backoff::Linear),
            "exponential" => Some(Backoff::Exponential),
            _ => None,
        }
    }

    fn limit(&mut self, node: &'s Node, retry: &mut Retry) {
        let Some(fields) = self.map(node, "`retry.limit`", &["attempt", "duration"]) else {
            return;
        };
        retry.duration = fields
            .get("duration")
            .and_then(|node| self.duration(node, "`limit.duration`"));
        let Some(attempt) = fields.get("attempt") else {
            return;
        };
        let Some(attempt) = self.map(attempt, "`limit.attempt`", &["count", "duration"]) else {
            return;
        };
        retry.attempts = attempt
            .get("count")
            .and_then(|node| self.integer(node, "`attempt.count`", 1..=1_000_000))
            .and_then(|count| u32::try_from(count).ok());
        retry.attempt_duration = attempt
            .get("duration")
            .and_then(|node| self.duration(node, "`attempt.duration`"));
    }
}
