//! The definition as a tree in which every key and value knows where it is written.

use crate::span::Span;
use flux_core::value::{self, Value};
use std::fmt::Write;

/// A value of the document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub data: Data,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    /// As JSON writes it, so that no digit is lost.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    /// What it is, with an article, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "an object",
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// The data without its places. Nesting is bounded by the reader, so recursion is safe.
    pub(crate) fn to_value(&self) -> Value {
        value::parse(&self.to_json()).unwrap_or(Value::Null)
    }

    /// The same for `serde_json`.
    pub(crate) fn to_serde(&self) -> serde_json::Value {
        serde_json::from_str(&self.to_json()).unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match &self.data {
            Data::Null => out.push_str("null"),
            Data::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Data::Number(number) => out.push_str(number),
            Data::Text(text) => quote(text, out),
            Data::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Data::Map(entries) => {
                out.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(&entry.key, out);
                    out.push(':');
                    entry.value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    let _ = write!(out, "{}", serde_json::Value::String(text.to_owned()));
}

/// JSON pointer of the deepest key or value that the offset is in.
pub(crate) fn pointer(root: &Node, offset: usize) -> String {
    let mut path = String::new();
    let mut node = root;
    loop {
        let step = match &node.data {
            Data::Map(entries) => {
                let after = entries.partition_point(|entry| entry.key_span.start <= offset);
                after
                    .checked_sub(1)
                    .map(|at| (escape(&entries[at].key), &entries[at].value))
            }
            Data::List(items) => {
                let after = items.partition_point(|item| item.span.start <= offset);
                after.checked_sub(1).map(|at| (at.to_string(), &items[at]))
            }
            _ => None,
        };
        let Some((name, child)) = step else {
            return path;
        };
        if offset > child.span.end.max(child.span.start) {
            return path;
        }
        path.push('/');
        path.push_str(&name);
        node = child;
        if offset < node.span.start {
            return path;
        }
    }
}

/// A name as one step of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
