//! `switch`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::flow::Slot;
use flux_core::chart::{Case, Kind, Next};

impl<'s> Cx<'s> {
    pub(super) fn switch(&mut self, task: &Task<'s>) -> Option<Kind> {
        let node = task.get("switch")?;
        let items = self.list(node, "`switch`")?;
        if items.is_empty() {
            self.error(code::EMPTY_BODY, node.span, "`switch` has no case");
        }
        let mut cases = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(entry) = self.item(item, "`switch`") else {
                continue;
            };
            let Some(fields) = self.map(&entry.value, "a case", &["when", "then"]) else {
                continue;
            };
            let when = self.condition(fields.get("when"), "`when`");
            if fields.get("when").is_none() && index + 1 < items.len() {
                let message = format!("`{}` has no `when`, so no later case is reached", entry.key);
                let help = "move it to the end";
                self.error_help(code::DEFAULT_CASE, entry.key_span, message, help);
            }
            if let Some(then) = self.require(fields, "then", "a case") {
                // The index of the case itself: cases that are wrong are left out.
                self.directive(task.id, Slot::Case(cases.len()), then);
            }
            cases.push(Case {
                when,
                then: Next::Leave,
            });
        }
        Some(Kind::Switch(cases))
    }
}
