//! `for`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use flux_core::chart::{For, Kind};

impl<'s> Cx<'s> {
    pub(super) fn repeat(&mut self, task: &Task<'s>) -> Option<Kind> {
        let fields = self.map(task.get("for")?, "`for`", &["each", "in", "at"]);
        let get = |key: &str| fields.and_then(|fields| fields.get(key));
        let each = self.variable(get("each"), "`for.each`", "item");
        let at = self.variable(get("at"), "`for.at`", "index");
        if each == at {
            let span = get("at")
                .or(get("each"))
                .map_or(task.name_span, |node| node.span);
            let message = format!("`each` and `at` are both `${at}`");
            self.error(code::CONFLICT, span, message);
        }
        let items = fields
            .and_then(|fields| self.require(fields, "in", "`for`"))
            .and_then(|node| self.bare_or_template(node, "`for.in`", Place::Task));
        let (condition, first) = self.with_vars(&[&each, &at], |cx| {
            let condition = cx.condition(task.get("while"), "`while`");
            let first = cx
                .require(task.fields, "do", "a `for` task")
                .and_then(|body| {
                    cx.tasks(body, "`do`", task.id, &format!("{}/do", task.reference))
                });
            (condition, first)
        });
        Some(Kind::For(For {
            each,
            at,
            items: items?,
            condition,
            first,
        }))
    }
}
