//! `do`, `set` and `wait`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::{Place, is_expression};
use crate::tree::Data;
use flux_core::chart::Kind;

impl<'s> Cx<'s> {
    pub(super) fn sequence(&mut self, task: &Task<'s>) -> Option<Kind> {
        let first = self.tasks(
            task.get("do")?,
            "`do`",
            task.id,
            &format!("{}/do", task.reference),
        );
        Some(Kind::Do { first })
    }

    pub(super) fn set(&mut self, task: &Task<'s>) -> Option<Kind> {
        let node = task.get("set")?;
        match &node.data {
            Data::Text(text) if is_expression(text) || text.contains("${") => {}
            Data::Text(text) => {
                let help = format!("write `set: ${{ {text} }}`");
                let message = "`set` must be an object or an expression, not text";
                self.error_help(code::WRONG_TYPE, node.span, message, help);
                return None;
            }
            Data::Map(entries) if !entries.is_empty() => {}
            Data::Map(_) => {
                self.error(code::EMPTY_BODY, node.span, "`set` has nothing to set");
                return None;
            }
            _ => {
                self.wrong_type(node, "`set`", "an object or an expression");
                return None;
            }
        }
        self.template(node, Place::Task).map(Kind::Set)
    }

    pub(super) fn wait(&mut self, task: &Task<'s>) -> Option<Kind> {
        self.duration(task.get("wait")?, "`wait`").map(Kind::Wait)
    }
}
