//! Warnings about definitions that compile: tasks never reached, loops that never wait, branches
//! that write the same context.

use crate::code;
use crate::cx::Cx;
use crate::finding::Finding;
use flux_core::chart::{Kind, Next, Node, NodeId, Template};
use std::collections::{HashMap, HashSet};

impl<'s> Cx<'s> {
    /// Runs all checks; the nodes must be free of errors.
    pub(crate) fn check(&mut self) {
        let waits = self.waiting();
        for scope in std::mem::take(&mut self.scopes) {
            self.unreachable(&scope);
            self.busy_loop(&scope, &waits);
        }
        self.same_exports();
    }

    fn warn(&mut self, code: &'static str, node: NodeId, message: String, help: &str) {
        let span = self.spans[node.0 as usize];
        self.findings
            .push(Finding::warning(code, span, message).help(help));
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn unreachable(&mut self, scope: &[NodeId]) {
        let mut reached = HashSet::new();
        let mut open: Vec<NodeId> = scope.first().copied().into_iter().collect();
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(successors(self.node(id)));
            }
        }
        for id in scope.iter().filter(|id| !reached.contains(id)) {
            let message = format!("the task `{}` is never reached", self.node(*id).name);
            let help = "nothing before it leads here; check the `then` of the tasks above";
            self.warn(code::UNREACHABLE, *id, message, help);
        }
    }

    /// For each node, whether it or something in it waits or acts.
    fn waiting(&self) -> Vec<bool> {
        let mut waits: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| does_wait(&node.kind))
            .collect();
        // Children come after their parents.
        for index in (1..waits.len()).rev() {
            if let (true, Some(parent)) = (waits[index], self.nodes[index].parent) {
                waits[parent.0 as usize] = true;
            }
        }
        waits
    }

    /// Looks for a cycle of tasks none of which waits.
    fn busy_loop(&mut self, scope: &[NodeId], waits: &[bool]) {
        let mut done = HashSet::new();
        for start in scope {
            let mut path: Vec<(NodeId, Vec<NodeId>)> = Vec::new();
            let mut on_path = HashSet::new();
            let mut enter = Some(*start);
            loop {
                if let Some(id) = enter.take()
                    && !waits[id.0 as usize]
                    && done.insert(id)
                {
                    on_path.insert(id);
                    path.push((id, successors(self.node(id))));
                }
                let Some((id, rest)) = path.last_mut() else {
                    break;
                };
                let id = *id;
                match rest.pop() {
                    Some(next) if on_path.contains(&next) => self.report_loop(id, next),
                    Some(next) => enter = Some(next),
                    None => {
                        on_path.remove(&id);
                        path.pop();
                    }
                }
            }
        }
    }

    fn report_loop(&mut self, from: NodeId, to: NodeId) {
        let (from_name, to_name) = (&self.node(from).name, &self.node(to).name);
        let message = format!(
            "the loop from `{from_name}` back to `{to_name}` never waits and calls nothing"
        );
        let help = "if nothing in it ends the loop, the run never ends; add a `wait`";
        self.warn(code::BUSY_LOOP, from, message, help);
    }

    fn same_exports(&mut self) {
        let mut found = Vec::new();
        for node in &self.nodes {
            let Kind::Fork(fork) = &node.kind else {
                continue;
            };
            let mut owners: HashMap<&str, NodeId> = HashMap::new();
            for branch in &fork.branches {
                for (key, id) in self.exports_below(*branch) {
                    match owners.get(key) {
                        Some(owner) if owner != branch => found.push((id, key.to_owned())),
                        _ => {
                            owners.insert(key, *branch);
                        }
                    }
                }
            }
        }
        for (id, key) in found {
            let message = format!("another branch exports `{key}` too");
            let help =
                "exports of branches are applied in the order of the branches; the last wins";
            self.warn(code::SAME_EXPORT, id, message, help);
        }
    }

    /// Context keys that the node and what is in it write, as far as they are written out. The
    /// nodes below one follow it without a gap.
    fn exports_below(&self, top: NodeId) -> Vec<(&str, NodeId)> {
        let mut keys = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().skip(top.0 as usize) {
            let id = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
            if id != top && node.parent.is_none_or(|parent| parent < top) {
                break;
            }
            if let Some(Template::Object(fields)) = &node.export.template {
                keys.extend(fields.iter().map(|(key, _)| (key.as_str(), id)));
            }
        }
        keys
    }
}

fn does_wait(kind: &Kind) -> bool {
    match kind {
        Kind::Action(_)
        | Kind::Wait(_)
        | Kind::WaitUntil(_)
        | Kind::Listen(_)
        | Kind::File(_)
        | Kind::Run(_) => true,
        Kind::Do { .. }
        | Kind::For(_)
        | Kind::Try(_)
        | Kind::Fork(_)
        | Kind::Set(_)
        | Kind::Switch(_)
        | Kind::Raise(_)
        | Kind::Emit(_) => false,
    }
}

/// The nodes of the same scope that may follow.
fn successors(node: &Node) -> Vec<NodeId> {
    let mut next = Vec::new();
    let mut goes_on = true;
    match &node.kind {
        Kind::Switch(cases) => {
            next.extend(cases.iter().map(|case| case.then));
            goes_on = cases.last().is_none_or(|case| case.when.is_some());
        }
        Kind::Raise(_) => goes_on = false,
        Kind::Try(block) => next.extend(block.then),
        _ => {}
    }
    if goes_on || node.guard.is_some() {
        next.push(node.next);
    }
    next.into_iter()
        .filter_map(|next| match next {
            Next::To(id) => Some(id),
            Next::Leave | Next::End => None,
        })
        .collect()
}
