//! Tasks: what all kinds share. Each kind has its own file.

mod authentication;
mod call;
mod control;
mod emit;
mod extension;
mod fork;
mod function;
mod http;
mod listen;
mod process;
mod raise;
mod repeat;
mod switch;
mod trying;

use crate::code;
use crate::cx::{Cx, MAX_TASKS, did_you_mean};
use crate::fields::Fields;
use crate::finding::Finding;
use crate::flow::{self, Slot};
use crate::metadata::TaskFlux;
use crate::span::Span;
use crate::tree::{self, Data, Entry, Node};
use flux_core::chart::{
    self, Backoff, Breaks, FaultFilter, Filter, Kind, Next, NodeId, Retry, Try,
};
use flux_core::labels::Labels;

/// Keys that every task may have.
const COMMON: [&str; 7] = [
    "if", "input", "output", "export", "timeout", "then", "metadata",
];

/// The kinds of task: the key that makes it one, and the keys that belong to it.
const KINDS: [(&str, &[&str]); 12] = [
    ("call", &["with"]),
    ("emit", &[]),
    ("for", &["while", "do"]),
    ("fork", &[]),
    ("listen", &["foreach"]),
    ("raise", &[]),
    ("run", &[]),
    ("set", &[]),
    ("switch", &[]),
    ("try", &["catch"]),
    ("wait", &[]),
    // Last, because `for` has a `do` too.
    ("do", &[]),
];

/// A task that is being compiled.
pub(crate) struct Task<'s> {
    pub id: NodeId,
    pub name: &'s str,
    pub name_span: Span,
    pub fields: Fields<'s>,
    pub reference: String,
    pub flux: TaskFlux<'s>,
}

impl<'s> Task<'s> {
    /// The value of a key that the kind of task is known to have.
    fn get(&self, key: &str) -> Option<&'s Node> {
        self.fields.get(key)
    }
}

impl<'s> Cx<'s> {
    /// A list of named tasks; returns the first.
    pub(crate) fn tasks(
        &mut self,
        node: &'s Node,
        what: &str,
        parent: NodeId,
        prefix: &str,
    ) -> Option<NodeId> {
        let outer = std::mem::take(&mut self.pending);
        let scope = self.scope(node, what, parent, prefix);
        self.resolve(&scope);
        self.pending = outer;
        scope.first().map(|(_, id)| *id)
    }

    /// The tasks of a list by name, whose directives are still to be resolved.
    fn scope(
        &mut self,
        node: &'s Node,
        what: &str,
        parent: NodeId,
        prefix: &str,
    ) -> Vec<(String, NodeId)> {
        let mut scope: Vec<(String, NodeId)> = Vec::new();
        let Some(items) = self.list(node, what) else {
            return scope;
        };
        if items.is_empty() {
            self.error(code::EMPTY_BODY, node.span, format!("{what} has no task"));
        }
        let mut names = std::collections::HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(entry) = self.item(item, what) else {
                continue;
            };
            if !names.insert(entry.key.as_str()) {
                let message = format!("there is another task `{}` in this scope", entry.key);
                let help = "names are unique in a scope, so that `then` and references are clear";
                self.error_help(code::DUPLICATE_TASK, entry.key_span, message, help);
            }
            let reference = format!("{prefix}/{index}/{}", tree::escape(&entry.key));
            let Some(id) = self.task(entry, parent, reference) else {
                break;
            };
            scope.push((entry.key.clone(), id));
        }
        scope
    }

    /// The one entry of an item of a list of named things.
    fn item(&mut self, item: &'s Node, what: &str) -> Option<&'s Entry> {
        let Data::Map(entries) = &item.data else {
            let message = format!("an entry of {what} is `name: ...`, not {}", item.what());
            self.error(code::TASK_ITEM, item.span, message);
            return None;
        };
        if let [entry] = entries.as_slice() {
            return Some(entry);
        }
        let span = entries.get(1).map_or(item.span, |entry| entry.key_span);
        let message = format!(
            "an entry of {what} has exactly one name, this has {}",
            entries.len()
        );
        let help = "start each entry with `- ` and indent what belongs to it";
        self.error_help(code::TASK_ITEM, span, message, help);
        None
    }

    /// Adds a node whose kind is filled in later; none when there are too many.
    pub(crate) fn begin(
        &mut self,
        name: &str,
        reference: String,
        span: Span,
        parent: Option<NodeId>,
        node: &'s Node,
    ) -> Option<NodeId> {
        if self.nodes.len() >= MAX_TASKS {
            let message = format!("more than {MAX_TASKS} tasks, those of functions included");
            if self
                .findings
                .last()
                .is_none_or(|last| last.code != code::TOO_LARGE)
            {
                self.error(code::TOO_LARGE, span, message);
            }
            return None;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).ok()?);
        let requires = parent.map_or_else(Labels::default, |parent| {
            self.nodes[parent.0 as usize].requires.clone()
        });
        self.spans.push(span);
        self.nodes.push(chart::Node {
            name: name.to_owned(),
            reference,
            at: self.source.position(span.start),
            parent,
            next: Next::Leave,
            guard: None,
            input: Filter::default(),
            output: Filter::default(),
            export: Filter::default(),
            timeout: None,
            breaks: Breaks::default(),
            requires,
            definition: node.to_value(),
            kind: Kind::Do { first: None },
        });
        Some(id)
    }

    /// What a task requires, beside what those around it do.
    pub(crate) fn require_labels(&mut self, id: NodeId, labels: &Labels) {
        let requires = &mut self.nodes[id.0 as usize].requires;
        *requires = std::mem::take(requires).and(labels);
    }

    /// Compiles a task; none when no more tasks fit.
    pub(crate) fn task(
        &mut self,
        entry: &'s Entry,
        parent: NodeId,
        reference: String,
    ) -> Option<NodeId> {
        let node = &entry.value;
        if flow::is_directive(&entry.key) {
            let message = format!("`{}` is a directive and cannot be a task's name", entry.key);
            self.error(code::RESERVED_NAME, entry.key_span, message);
        }
        let Data::Map(_) = &node.data else {
            self.wrong_type(node, &format!("the task `{}`", entry.key), "an object");
            return self.begin(&entry.key, reference, entry.key_span, Some(parent), node);
        };
        let flux = self.task_flux(node.get("metadata"));
        let mut id = self.begin(
            &entry.key,
            reference.clone(),
            entry.key_span,
            Some(parent),
            node,
        )?;
        let outer = id;
        self.require_labels(outer, &flux.requires);
        if flux.continue_on_error {
            id = self.begin(
                &entry.key,
                reference.clone(),
                entry.key_span,
                Some(outer),
                node,
            )?;
            self.nodes[outer.0 as usize].kind = Kind::Try(Box::new(swallow(id)));
            self.scopes.push(vec![id]);
        }
        let fields = self.object(node, "a task")?;
        let guard = self.condition(fields.get("if"), "`if`");
        self.nodes[outer.0 as usize].guard = guard;
        if let Some(then) = fields.get("then") {
            self.directive(outer, Slot::Then, then);
        }
        let (name, name_span) = (entry.key.as_str(), entry.key_span);
        let mut task = Task {
            id,
            name,
            name_span,
            fields,
            reference,
            flux,
        };
        self.common(&task);
        self.kind(&mut task, outer);
        Some(outer)
    }

    /// What all tasks have, but for `if` and `then`.
    fn common(&mut self, task: &Task<'s>) {
        let input = self.filter(task.get("input"), "input");
        let output = self.filter(task.get("output"), "output");
        let export = self.filter(task.get("export"), "export");
        let timeout = self.timeout(task.get("timeout"));
        let node = &mut self.nodes[task.id.0 as usize];
        (node.input, node.output, node.export, node.timeout) = (input, output, export, timeout);
    }

    fn kind(&mut self, task: &mut Task<'s>, outer: NodeId) {
        let Some((kind, keys)) = self.find_kind(task) else {
            return;
        };
        let known: Vec<&str> = COMMON
            .iter()
            .chain([&kind])
            .chain(keys.iter())
            .copied()
            .collect();
        for entry in task.fields.entries() {
            let other_kind = KINDS.iter().any(|(name, _)| *name == entry.key);
            if !known.contains(&entry.key.as_str()) && !other_kind {
                self.unknown_key(entry, &format!("a `{kind}` task"), &known);
            }
        }
        let process = kind == "run"
            && task
                .get("run")
                .is_some_and(|run| run.get("shell").is_some() || run.get("script").is_some());
        self.check_flux(&task.flux, kind, process);
        let compiled = match kind {
            "call" => self.call(task),
            "emit" => self.emit(task),
            "for" => self.repeat(task),
            "fork" => self.fork(task),
            "listen" => self.listen(task),
            "raise" => self.raise(task),
            "run" => self.run(task),
            "set" => self.set(task),
            "switch" => self.switch(task),
            "try" => self.trying(task, outer),
            "wait" => self.wait(task),
            _ => self.sequence(task),
        };
        if let Some(kind) = compiled {
            let breaks = self.breaks(task, &kind);
            let node = &mut self.nodes[task.id.0 as usize];
            (node.kind, node.breaks) = (kind, breaks);
        }
    }

    fn breaks(&self, task: &Task<'s>, kind: &Kind) -> Breaks {
        let by_default = matches!(kind, Kind::Action(_) | Kind::Run(_)) && self.every_action;
        task.flux.breaks.unwrap_or(Breaks {
            before: by_default,
            after: false,
        })
    }

    /// The one key that says what the task does.
    fn find_kind(&mut self, task: &Task<'s>) -> Option<(&'static str, &'static [&'static str])> {
        let present = |name: &str| task.fields.entry(name);
        let mut found = None;
        for (kind, keys) in KINDS {
            let Some(entry) = present(kind) else { continue };
            match found {
                None => found = Some((kind, keys)),
                Some((first, keys)) if !keys.contains(&kind) => {
                    let message = format!("a task does one thing; this has `{first}` and `{kind}`");
                    let help = "make two tasks of it";
                    self.error_help(code::TASK_KIND, entry.key_span, message, help);
                }
                Some(_) => {}
            }
        }
        if found.is_none() {
            self.no_kind(task);
        }
        found
    }

    fn no_kind(&mut self, task: &Task<'s>) {
        let kinds = || KINDS.iter().map(|(name, _)| *name);
        let message = format!("the task `{}` does nothing", task.name);
        let unknown = task
            .fields
            .entries()
            .iter()
            .find(|entry| !COMMON.contains(&entry.key.as_str()));
        let near = unknown.and_then(|entry| Some((entry, did_you_mean(&entry.key, kinds())?)));
        let (span, help) = match near {
            Some((entry, help)) => (entry.key_span, help),
            None => {
                let all: Vec<_> = kinds().collect();
                (task.name_span, format!("give it one of {}", all.join(", ")))
            }
        };
        self.findings
            .push(Finding::error(code::TASK_KIND, span, message).help(help));
    }
}

/// A block that swallows the errors of its only task.
fn swallow(first: NodeId) -> Try {
    Try {
        first: Some(first),
        filter: FaultFilter::default(),
        name: "error".to_owned(),
        when: None,
        except_when: None,
        retry: None,
        handler: None,
        then: None,
    }
}

/// A policy that never retries.
fn no_retry() -> Retry {
    Retry {
        when: None,
        except_when: None,
        delay: None,
        backoff: Backoff::Constant,
        jitter: None,
        attempts: None,
        attempt_duration: None,
        duration: None,
    }
}
