//! `fork`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use flux_core::chart::{Fork, Join, Kind, Next, Rest};

impl<'s> Cx<'s> {
    pub(super) fn fork(&mut self, task: &Task<'s>) -> Option<Kind> {
        let fields = self.map(task.get("fork")?, "`fork`", &["branches", "compete"])?;
        let compete = fields
            .get("compete")
            .and_then(|node| self.boolean(node, "`fork.compete`"))
            .unwrap_or_default();
        let list = self.require(fields, "branches", "`fork`")?;
        let outer = std::mem::take(&mut self.pending);
        let prefix = format!("{}/fork/branches", task.reference);
        let branches = self.scope(list, "`fork.branches`", task.id, &prefix);
        self.resolve_alone("its branch");
        self.pending = outer;
        let branches: Vec<_> = branches.into_iter().map(|(_, id)| id).collect();
        for id in &branches {
            let node = &mut self.nodes[id.0 as usize];
            if matches!(node.next, Next::To(_)) {
                node.next = Next::Leave;
            }
            self.scopes.push(vec![*id]);
        }
        let (join, rest) = match (task.flux.join, compete) {
            (Some(entry), true) => {
                let message = "`compete` waits for one branch; `join` says otherwise";
                self.error_help(
                    code::CONFLICT,
                    entry.key_span,
                    message,
                    "leave one of them out",
                );
                return None;
            }
            (Some(entry), false) => self.join(entry, branches.len())?,
            (None, true) => (Join::Count(1), Rest::Cancel),
            (None, false) => (Join::All, Rest::Cancel),
        };
        Some(Kind::Fork(Fork {
            branches,
            join,
            rest,
            compete,
        }))
    }
}
