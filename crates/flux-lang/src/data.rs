//! What documents and tasks share about data: `input`, `output`, `export`, schemas, durations.

use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::reuse::Section;
use crate::tree::{Data, Node};
use flux_core::chart::{Filter, Schema, Template};
use flux_core::duration;
use std::time::Duration;

impl<'s> Cx<'s> {
    /// `input`, `output` or `export`.
    pub(crate) fn filter(&mut self, node: Option<&'s Node>, name: &str) -> Filter {
        let Some(node) = node else {
            return Filter::default();
        };
        let (key, place) = match name {
            "input" => ("from", Place::Task),
            _ => ("as", Place::Output),
        };
        let Some(fields) = self.map(node, &format!("`{name}`"), &["schema", key]) else {
            return Filter::default();
        };
        let what = format!("`{name}.{key}`");
        let template = fields
            .get(key)
            .and_then(|node| self.bare_or_template(node, &what, place));
        let schema = fields.get("schema").and_then(|node| self.schema(node));
        Filter { template, schema }
    }

    fn schema(&mut self, node: &'s Node) -> Option<Schema> {
        let fields = self.map(node, "a schema", &["format", "document", "resource"])?;
        if let Some(format) = fields.get("format") {
            let text = self.literal(format, "`schema.format`")?;
            if text != "json" && !text.starts_with("json:") {
                let message = format!("schemas of format `{text}` are not supported");
                self.error_help(code::NO_SCHEMA_FORMAT, format.span, message, "write `json`");
                return None;
            }
        }
        if let Some(entry) = fields.entry("resource") {
            let message = "schemas from external resources are not supported";
            let help = "put the schema into `document`";
            self.error_help(code::NO_RESOURCE, entry.key_span, message, help);
            return None;
        }
        let document = self.require(fields, "document", "a schema")?;
        if !matches!(document.data, Data::Map(_) | Data::Bool(_)) {
            self.wrong_type(document, "`schema.document`", "an object");
            return None;
        }
        Schema::compile(&document.to_serde())
            .map_err(|error| {
                let message = format!("the JSON Schema is wrong: {error}");
                self.error(code::SCHEMA, document.span, message);
            })
            .ok()
    }

    /// `timeout`: a policy or the name of one.
    pub(crate) fn timeout(&mut self, node: Option<&'s Node>) -> Option<Template> {
        let node = node?;
        if node.as_text().is_some() {
            let entry = self.named(Section::Timeouts, node)?;
            return self.timeout_policy(&entry.value);
        }
        self.timeout_policy(node)
    }

    pub(crate) fn timeout_policy(&mut self, node: &'s Node) -> Option<Template> {
        let fields = self.map(node, "a timeout", &["after"])?;
        let after = self.require(fields, "after", "a timeout")?;
        self.duration(after, "`timeout.after`")
    }

    /// A duration, whose value is checked when it has no expression.
    pub(crate) fn duration(&mut self, node: &'s Node, what: &str) -> Option<Template> {
        if !matches!(node.data, Data::Text(_) | Data::Map(_)) {
            self.wrong_type(node, what, "a duration such as PT30S or { seconds: 30 }");
            return None;
        }
        if let Data::Map(entries) = &node.data {
            let units = duration::UNITS.map(|(name, _)| name);
            self.map(node, what, &units)?;
            if entries.is_empty() {
                let message = format!("{what} has no unit");
                self.error_help(
                    code::DURATION,
                    node.span,
                    message,
                    "such as { seconds: 30 }",
                );
                return None;
            }
        }
        let template = self.template(node, Place::Task)?;
        if let Template::Literal(value) = &template
            && let Err(error) = duration::parse(value)
        {
            self.error(code::DURATION, node.span, error);
            return None;
        }
        Some(template)
    }

    /// A duration that is needed before anything runs.
    pub(crate) fn literal_duration(&mut self, node: &'s Node, what: &str) -> Option<Duration> {
        match self.duration(node, what)? {
            Template::Literal(value) => duration::parse(&value).ok(),
            _ => {
                let message = format!("{what} cannot be an expression");
                let help = "write the duration itself, such as PT30S";
                self.error_help(code::NO_EXPRESSION, node.span, message, help);
                None
            }
        }
    }
}
