//! `raise`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::{Place, is_expression};
use crate::reuse::Section;
use crate::tree::{Data, Node};
use flux_core::chart::{Kind, Template};

impl<'s> Cx<'s> {
    pub(super) fn raise(&mut self, task: &Task<'s>) -> Option<Kind> {
        let fields = self.map(task.get("raise")?, "`raise`", &["error"])?;
        let error = self.require(fields, "error", "`raise`")?;
        let definition = match error.as_text() {
            Some(_) => &self.named(Section::Errors, error)?.value,
            None => error,
        };
        self.error_definition(definition).map(Kind::Raise)
    }

    /// An error: its parts may be expressions.
    pub(crate) fn error_definition(&mut self, node: &'s Node) -> Option<Template> {
        let keys = ["type", "status", "title", "detail", "instance"];
        let fields = self.map(node, "an error", &keys)?;
        let kind = self.require(fields, "type", "an error");
        let status = self.require(fields, "status", "an error");
        if let Some(node) = kind
            && let Some(text) = self.text(node, "`type` of an error")
            && (text.is_empty() || (text.contains(char::is_whitespace) && !is_expression(text)))
        {
            self.error(
                code::WRONG_VALUE,
                node.span,
                "`type` of an error must be a URI",
            );
        }
        if let Some(node) = status {
            match &node.data {
                Data::Text(text) if is_expression(text) => {}
                _ => {
                    self.integer(node, "`status` of an error", 100..=599)?;
                }
            }
        }
        for key in ["title", "detail", "instance"] {
            if let Some(node) = fields.get(key) {
                self.text(node, &format!("`{key}` of an error"));
            }
        }
        self.template(node, Place::Task)
    }
}
