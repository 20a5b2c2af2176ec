//! `call: http`.

use super::Task;
use super::process::literal_text;
use crate::code;
use crate::cx::Cx;
use crate::expression::{Place, is_expression};
use crate::span::{Span, locate};
use crate::tree::{Data, Node};
use flux_core::chart::{Action, ActionKind, Kind, Template, UriPart};

const KEYS: [&str; 7] = [
    "method", "endpoint", "headers", "query", "body", "output", "redirect",
];
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

impl<'s> Cx<'s> {
    pub(super) fn http(&mut self, task: &Task<'s>) -> Option<Kind> {
        let with = self.require(task.fields, "with", "`call: http`")?;
        let fields = self.map(with, "`with` of an HTTP call", &KEYS)?;
        let method = self
            .require(fields, "method", "an HTTP call")
            .and_then(|node| self.method(node));
        let endpoint = self
            .require(fields, "endpoint", "an HTTP call")
            .and_then(|node| self.endpoint(node));
        let mut parts = vec![("method".to_owned(), method)];
        let (uri, authentication) = endpoint.unzip();
        parts.push(("endpoint".to_owned(), uri));
        for key in ["headers", "query"] {
            if let Some(node) = fields.get(key) {
                parts.push((key.to_owned(), self.pairs(node, key)));
            }
        }
        if let Some(node) = fields.get("body") {
            parts.push(("body".to_owned(), self.template(node, Place::Task)));
        }
        if let Some(node) = fields.get("output") {
            let choices = ["content", "response", "raw"].map(|name| (name, name));
            parts.push((
                "output".to_owned(),
                self.choice(node, "`output`", &choices).map(literal_text),
            ));
        }
        if let Some(node) = fields.get("redirect") {
            let flag = self.boolean(node, "`redirect`");
            parts.push((
                "redirect".to_owned(),
                flag.map(|_| Template::Literal(node.to_value())),
            ));
        }
        if let Some(Some(policy)) = authentication {
            parts.push(("authentication".to_owned(), Some(policy)));
        }
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(key, part)| Some((key, part?)))
            .collect::<Option<_>>()?;
        Some(Kind::Action(Action {
            kind: ActionKind::Http,
            with: Template::Object(parts),
        }))
    }

    fn method(&mut self, node: &'s Node) -> Option<Template> {
        let text = self.text(node, "`method`")?;
        if text.contains("${") {
            return self.template(node, Place::Task);
        }
        let upper = text.to_ascii_uppercase();
        if !METHODS.contains(&upper.as_str()) {
            let message = format!("`{text}` is no HTTP method");
            let help = crate::cx::did_you_mean(text, METHODS)
                .unwrap_or_else(|| format!("one of {}", METHODS.join(", ")));
            self.error_help(code::WRONG_VALUE, node.span, message, help);
            return None;
        }
        Some(literal_text(&upper))
    }

    /// The endpoint's URI and its authentication.
    fn endpoint(&mut self, node: &'s Node) -> Option<(Template, Option<Template>)> {
        if node.as_text().is_some() {
            return Some((self.uri(node)?, None));
        }
        let fields = self.map(node, "`endpoint`", &["uri", "authentication"])?;
        let uri = self
            .require(fields, "uri", "`endpoint`")
            .and_then(|node| self.uri(node));
        let authentication = match fields.get("authentication") {
            Some(node) => Some(self.authentication(node)?),
            None => None,
        };
        Some((uri?, authentication))
    }

    /// Headers or query parameters.
    fn pairs(&mut self, node: &'s Node, key: &str) -> Option<Template> {
        if node.as_text().is_some_and(is_expression) {
            return self.template(node, Place::Task);
        }
        let fields = self.object(node, &format!("`{key}`"))?;
        for entry in fields.entries() {
            let list = key == "query" && matches!(entry.value.data, Data::List(_));
            if matches!(entry.value.data, Data::Map(_) | Data::List(_) | Data::Null) && !list {
                self.wrong_type(&entry.value, &format!("`{}` of `{key}`", entry.key), "text");
            }
        }
        self.template(node, Place::Task)
    }

    /// A URI template, or an expression that gives the whole URI.
    pub(super) fn uri(&mut self, node: &'s Node) -> Option<Template> {
        let text = self.text(node, "a URI")?;
        if text.contains("${") {
            return self.template(node, Place::Task);
        }
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            let message = format!("`{text}` is no HTTP address");
            let help =
                "start it with http:// or https://, or compute it: ${ .address + \"/path\" }";
            self.error_help(code::URI, node.span, message, help);
            return None;
        }
        if let Some(at) = text.find(|c: char| c.is_whitespace() || c.is_control()) {
            self.uri_error(node.span, text, at, "a URI has no spaces");
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = 0;
        while let Some(open) = text[rest..].find(['{', '}']).map(|at| rest + at) {
            let end = text[open..].find('}').map(|at| open + at);
            let name = end
                .filter(|_| text.as_bytes()[open] == b'{')
                .map(|end| &text[open + 1..end]);
            let Some(name) = name.filter(|name| !name.contains('{')) else {
                self.uri_error(node.span, text, open, "braces do not match in the URI");
                return None;
            };
            if open > rest {
                parts.push(UriPart::Text(text[rest..open].to_owned()));
            }
            parts.push(self.uri_variable(node.span, text, open, name)?);
            rest = open + name.len() + 2;
        }
        if parts.is_empty() {
            return Some(Template::Literal(node.to_value()));
        }
        if rest < text.len() {
            parts.push(UriPart::Text(text[rest..].to_owned()));
        }
        Some(Template::Uri(parts))
    }

    /// A property of the input by its verbatim name, or a variable of a loop or handler.
    fn uri_variable(&mut self, span: Span, text: &str, at: usize, name: &str) -> Option<UriPart> {
        if name.is_empty() || name.starts_with(['+', '#', '.', '/', ';', '?', '&', '$', '=', '|']) {
            let message = format!("`{{{name}}}` is not supported in a URI");
            self.uri_error(span, text, at, &message);
            return None;
        }
        let source = if self.vars.iter().any(|var| var == name) {
            format!("${name}")
        } else {
            format!(".[{}]", serde_json::Value::String(name.to_owned()))
        };
        match self.compile_text(&source, Place::Task) {
            Ok(expr) => Some(UriPart::Value(expr)),
            Err(error) => {
                self.uri_error(span, text, at, &error.message);
                None
            }
        }
    }

    fn uri_error(&mut self, span: Span, text: &str, at: usize, message: &str) {
        let at = locate(self.source.text, span, text, at);
        let help = "`{name}` stands for a property of the input; other values need ${ }";
        self.error_help(code::URI, Span::new(at, at + 1), message, help);
    }
}
