//! `emit`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::tree::{Entry, Node};
use flux_core::chart::Kind;

/// Attributes of a CloudEvent that the standard names.
const ATTRIBUTES: [&str; 9] = [
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "data",
    "specversion",
];

impl<'s> Cx<'s> {
    pub(super) fn emit(&mut self, task: &Task<'s>) -> Option<Kind> {
        let fields = self.map(task.get("emit")?, "`emit`", &["event"])?;
        let event = self.require(fields, "event", "`emit`")?;
        let event = self.map(event, "`emit.event`", &["with"])?;
        let with = self.require(event, "with", "`emit.event`")?;
        let attributes = self.object(with, "`event.with`")?;
        self.require(attributes, "type", "an event");
        for entry in attributes.entries() {
            self.attribute_name(entry);
            self.attribute_value(entry);
        }
        self.template(with, Place::Task).map(Kind::Emit)
    }

    /// Reports a name that no CloudEvent can carry.
    pub(super) fn attribute_name(&mut self, entry: &Entry) {
        let legal = entry
            .key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !legal || entry.key.is_empty() {
            let message = format!("`{}` cannot be an attribute of an event", entry.key);
            let help = crate::cx::did_you_mean(&entry.key, ATTRIBUTES)
                .unwrap_or_else(|| "use lower-case letters and digits".to_owned());
            self.error_help(code::WRONG_VALUE, entry.key_span, message, help);
        }
    }

    /// Reports a value of a type that the attribute cannot have.
    pub(super) fn attribute_value(&mut self, entry: &'s Entry) {
        if ATTRIBUTES.contains(&entry.key.as_str()) && entry.key != "data" {
            let node: &'s Node = &entry.value;
            self.text(node, &format!("`{}` of an event", entry.key));
        }
    }
}
