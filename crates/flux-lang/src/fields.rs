//! Reading objects: types, required keys, unknown keys.

use crate::code;
use crate::cx::{Cx, did_you_mean};
use crate::finding::Finding;
use crate::span::Span;
use crate::tree::{Data, Entry, Node};

/// The entries of an object whose keys were checked.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'s> {
    entries: &'s [Entry],
    span: Span,
}

impl<'s> Fields<'s> {
    pub(crate) fn get(&self, key: &str) -> Option<&'s Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'s Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn entries(&self) -> &'s [Entry] {
        self.entries
    }

    /// Where the object starts, for what is missing in it.
    pub(crate) fn span(&self) -> Span {
        self.entries
            .first()
            .map_or(self.span, |entry| entry.key_span)
    }
}

impl<'s> Cx<'s> {
    /// The object at the node; reports another type.
    pub(crate) fn object(&mut self, node: &'s Node, what: &str) -> Option<Fields<'s>> {
        if let Data::Map(entries) = &node.data {
            return Some(Fields {
                entries,
                span: node.span,
            });
        }
        self.wrong_type(node, what, "an object");
        None
    }

    /// The same with only these keys; reports others.
    pub(crate) fn map(&mut self, node: &'s Node, what: &str, known: &[&str]) -> Option<Fields<'s>> {
        let fields = self.object(node, what)?;
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                self.unknown_key(entry, what, known);
            }
        }
        Some(fields)
    }

    pub(crate) fn unknown_key(&mut self, entry: &Entry, what: &str, known: &[&str]) {
        let message = format!("`{}` means nothing in {what}", entry.key);
        let help = did_you_mean(&entry.key, known.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        self.error_help(code::UNKNOWN_KEY, entry.key_span, message, help);
    }

    /// The value of a required key; reports its absence.
    pub(crate) fn require(
        &mut self,
        fields: Fields<'s>,
        key: &str,
        what: &str,
    ) -> Option<&'s Node> {
        let found = fields.get(key);
        if found.is_none() {
            let message = format!("{what} needs `{key}`");
            self.error(code::MISSING_KEY, fields.span(), message);
        }
        found
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        let message = format!("{what} must be {wanted}, not {}", node.what());
        let mut finding = Finding::error(code::WRONG_TYPE, node.span, message);
        finding.help = match (&node.data, wanted) {
            (Data::Number(_) | Data::Bool(_), "text") => Some("put it in quotes".to_owned()),
            (Data::Text(text), "a boolean") if crate::scalar::is_yaml_1_1_boolean(text) => Some(
                format!("YAML 1.2 reads `{text}` as text; write `true` or `false`"),
            ),
            _ => None,
        };
        self.findings.push(finding);
    }

    /// Text; reports another type.
    pub(crate) fn text(&mut self, node: &'s Node, what: &str) -> Option<&'s str> {
        let text = node.as_text();
        if text.is_none() {
            self.wrong_type(node, what, "text");
        }
        text
    }

    /// Text without expressions in it, because it is needed before anything runs.
    pub(crate) fn literal(&mut self, node: &'s Node, what: &str) -> Option<&'s str> {
        let text = self.text(node, what)?;
        if text.contains("${") {
            let message = format!("{what} cannot be an expression");
            self.error_help(
                code::NO_EXPRESSION,
                node.span,
                message,
                "write the value itself",
            );
            return None;
        }
        Some(text)
    }

    /// A boolean; reports another type.
    pub(crate) fn boolean(&mut self, node: &'s Node, what: &str) -> Option<bool> {
        if let Data::Bool(flag) = node.data {
            return Some(flag);
        }
        self.wrong_type(node, what, "a boolean");
        None
    }

    /// A whole number in the range; reports anything else.
    pub(crate) fn integer(
        &mut self,
        node: &'s Node,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let Data::Number(number) = &node.data else {
            self.wrong_type(node, what, "a whole number");
            return None;
        };
        let value = number.parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (least, most) = (range.start(), range.end());
            let message = format!("{what} must be a whole number from {least} to {most}");
            self.error(code::WRONG_VALUE, node.span, message);
        }
        value
    }

    /// One of these words; reports anything else.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &'s Node,
        what: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        let found = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let help = did_you_mean(text, names.iter().copied())
                .unwrap_or_else(|| format!("one of {}", names.join(", ")));
            let message = format!("{what} cannot be `{text}`");
            self.error_help(code::WRONG_VALUE, node.span, message, help);
        }
        found
    }

    /// A list; reports another type.
    pub(crate) fn list(&mut self, node: &'s Node, what: &str) -> Option<&'s [Node]> {
        if let Data::List(items) = &node.data {
            return Some(items);
        }
        self.wrong_type(node, what, "a list");
        None
    }

    /// A name for a variable, without `$`.
    pub(crate) fn variable(&mut self, node: Option<&'s Node>, what: &str, default: &str) -> String {
        let Some(node) = node else {
            return default.to_owned();
        };
        let Some(name) = self.literal(node, what) else {
            return default.to_owned();
        };
        let first = name
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !(first && rest) || name == "__loc__" || name == "ENV" {
            let message = format!("`{name}` cannot be the name of a variable");
            let help = "use letters, digits and `_`, and no `$`";
            self.error_help(code::RESERVED_NAME, node.span, message, help);
        } else if crate::expression::BASE_VARS.contains(&name) || name == "output" {
            let message = format!("`${name}` has a meaning already");
            self.error_help(
                code::RESERVED_NAME,
                node.span,
                message,
                "choose another name",
            );
        }
        name.to_owned()
    }
}
