//! `then`: directives and names, resolved when all tasks of their scope are known.

use crate::code;
use crate::cx::{Cx, did_you_mean};
use crate::finding::Finding;
use crate::span::Span;
use crate::tree::Node;
use flux_core::chart::{Kind, Next, NodeId};

/// A directive of a scope that is not complete yet.
pub(crate) struct Pending {
    node: NodeId,
    slot: Slot,
    target: String,
    span: Span,
}

/// Which directive of the node.
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    /// `then` of the task.
    Then,
    /// `then` of this case of a `switch`.
    Case(usize),
    /// `catch.then`.
    Catch,
}

/// A target that is not in its scope; advice needs the names of all tasks.
pub(crate) struct Unresolved {
    target: String,
    span: Span,
    near: Vec<String>,
}

const DIRECTIVES: [&str; 3] = ["continue", "exit", "end"];

/// Whether the name could not be told from a directive.
pub(crate) fn is_directive(name: &str) -> bool {
    DIRECTIVES.contains(&name)
}

impl<'s> Cx<'s> {
    /// Notes a directive for when the scope is complete.
    pub(crate) fn directive(&mut self, node: NodeId, slot: Slot, written: &'s Node) {
        if let Some(target) = self.literal(written, "`then`") {
            let target = target.to_owned();
            self.pending.push(Pending {
                node,
                slot,
                target,
                span: written.span,
            });
        }
    }

    /// Resolves the directives of a list of tasks.
    pub(crate) fn resolve(&mut self, scope: &[(String, NodeId)]) {
        for (index, (_, id)) in scope.iter().enumerate() {
            let next = follower(scope, index);
            self.nodes[id.0 as usize].next = next;
        }
        for pending in std::mem::take(&mut self.pending) {
            let index = scope
                .iter()
                .position(|(_, id)| *id == pending.node)
                .unwrap_or(0);
            let next = match pending.target.as_str() {
                "continue" => follower(scope, index),
                "exit" => Next::Leave,
                "end" => Next::End,
                name => match scope.iter().find(|(task, _)| task == name) {
                    Some((_, id)) => Next::To(*id),
                    None => {
                        self.unresolved.push(Unresolved {
                            near: scope.iter().map(|(name, _)| name.clone()).collect(),
                            target: pending.target,
                            span: pending.span,
                        });
                        continue;
                    }
                },
            };
            self.set_next(pending.node, pending.slot, next);
        }
        self.scopes.push(scope.iter().map(|(_, id)| *id).collect());
    }

    /// Resolves the directives of the branches of a fork, or of a task alone in its scope.
    pub(crate) fn resolve_alone(&mut self, what: &str) {
        for pending in std::mem::take(&mut self.pending) {
            let next = match pending.target.as_str() {
                "continue" | "exit" => Next::Leave,
                "end" => Next::End,
                name => {
                    let message = format!("`then: {name}` leads out of {what}");
                    let help = "a task here has nothing beside it; use continue, exit or end";
                    self.error_help(code::UNKNOWN_TARGET, pending.span, message, help);
                    continue;
                }
            };
            self.set_next(pending.node, pending.slot, next);
        }
    }

    fn set_next(&mut self, id: NodeId, slot: Slot, next: Next) {
        let node = &mut self.nodes[id.0 as usize];
        match (slot, &mut node.kind) {
            (Slot::Then, _) => node.next = next,
            (Slot::Case(index), Kind::Switch(cases)) => {
                if let Some(case) = cases.get_mut(index) {
                    case.then = next;
                }
            }
            (Slot::Catch, Kind::Try(block)) => block.then = Some(next),
            _ => {}
        }
    }

    /// Reports the targets that were not found, now that all names are known.
    pub(crate) fn report_unresolved(&mut self) {
        for unresolved in std::mem::take(&mut self.unresolved) {
            let Unresolved { target, span, near } = unresolved;
            let elsewhere = self.nodes.iter().skip(1).find(|node| node.name == target);
            let help = match elsewhere {
                Some(node) => Some(format!(
                    "it exists at another depth ({}); `then` stays in its own scope",
                    node.reference
                )),
                None => did_you_mean(&target, near.iter().map(String::as_str).chain(DIRECTIVES)),
            };
            let message = format!("there is no task `{target}` to go on with");
            let mut finding = Finding::error(code::UNKNOWN_TARGET, span, message);
            finding.help =
                help.or_else(|| Some(format!("one of {}, continue, exit, end", near.join(", "))));
            self.findings.push(finding);
        }
    }
}

fn follower(scope: &[(String, NodeId)], index: usize) -> Next {
    scope
        .get(index + 1)
        .map_or(Next::Leave, |(_, id)| Next::To(*id))
}
