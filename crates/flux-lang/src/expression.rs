//! Expressions and data with expressions in it.

use crate::code;
use crate::cx::Cx;
use crate::finding::Finding;
use crate::span::{self, Span};
use crate::tree::{Data, Node};
use flux_core::chart::Template;
use flux_core::expr::Expr;
use std::ops::Range;

/// Variables that every expression has.
pub(crate) const BASE_VARS: [&str; 5] = ["context", "input", "workflow", "task", "runtime"];

/// Where an expression stands; decides what it sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before or in a task.
    Task,
    /// `output` and `export`, which also see `$output`.
    Output,
}

/// What text is in a place where `${ }` marks expressions.
enum Form {
    Literal,
    Expression(Range<usize>),
    /// `${` inside other text, at this byte.
    Embedded(usize),
}

fn form(text: &str) -> Form {
    let trimmed = text.trim();
    let lead = text.len() - text.trim_start().len();
    if trimmed.starts_with("${") && trimmed.ends_with('}') && trimmed.len() > 2 {
        return Form::Expression(lead + 2..lead + trimmed.len() - 1);
    }
    match text.find("${") {
        Some(at) => Form::Embedded(at),
        None => Form::Literal,
    }
}

/// Where code has a `${ .path }`, which is no syntax of any shell or script language: somebody
/// expects an expression to be replaced there. `${NAME}` is the language's own.
fn jq_in_code(text: &str) -> Option<usize> {
    let marks = text.match_indices("${").map(|(at, _)| at);
    let mut jq = marks.filter(|at| {
        let mut inside = text[at + 2..].trim_start().chars();
        inside.next() == Some('.') && !inside.next().is_some_and(|c| c.is_ascii_digit())
    });
    jq.next()
}

/// Whether the whole text is one `${ }`.
pub(crate) fn is_expression(text: &str) -> bool {
    matches!(form(text), Form::Expression(_))
}

impl<'s> Cx<'s> {
    /// An expression written bare or as `${ }`.
    pub(crate) fn bare(&mut self, node: &'s Node, what: &str, place: Place) -> Option<Expr> {
        let text = self.text(node, what)?;
        match form(text) {
            Form::Expression(range) => self.compile(node.span, text, range, place),
            Form::Literal => self.compile(node.span, text, 0..text.len(), place),
            Form::Embedded(at) => self.embedded(node.span, text, at),
        }
    }

    /// A condition that may be absent.
    pub(crate) fn condition(&mut self, node: Option<&'s Node>, what: &str) -> Option<Expr> {
        node.and_then(|node| self.bare(node, what, Place::Task))
    }

    /// Text is an expression, written bare or not; objects and lists are templates.
    pub(crate) fn bare_or_template(
        &mut self,
        node: &'s Node,
        what: &str,
        place: Place,
    ) -> Option<Template> {
        match &node.data {
            Data::Text(_) => self.bare(node, what, place).map(Template::Expr),
            Data::Map(_) | Data::List(_) => self.template(node, place),
            _ => {
                self.wrong_type(node, what, "an expression or an object");
                None
            }
        }
    }

    /// Data in which every `${ }` is an expression.
    pub(crate) fn template(&mut self, node: &'s Node, place: Place) -> Option<Template> {
        match &node.data {
            Data::Text(text) => self.text_template(node, text, place),
            Data::List(items) => {
                let parts: Vec<_> = items
                    .iter()
                    .map(|item| self.template(item, place))
                    .collect();
                let parts: Vec<_> = parts.into_iter().collect::<Option<_>>()?;
                Some(if parts.iter().all(is_literal) {
                    Template::Literal(node.to_value())
                } else {
                    Template::Array(parts)
                })
            }
            Data::Map(entries) => {
                let parts: Vec<_> = entries
                    .iter()
                    .map(|entry| Some((entry.key.clone(), self.template(&entry.value, place)?)))
                    .collect();
                let parts: Vec<_> = parts.into_iter().collect::<Option<_>>()?;
                Some(if parts.iter().all(|(_, part)| is_literal(part)) {
                    Template::Literal(node.to_value())
                } else {
                    Template::Object(parts)
                })
            }
            _ => Some(Template::Literal(node.to_value())),
        }
    }

    fn text_template(&mut self, node: &'s Node, text: &'s str, place: Place) -> Option<Template> {
        match form(text) {
            Form::Expression(range) => self
                .compile(node.span, text, range, place)
                .map(Template::Expr),
            Form::Embedded(at) => self.embedded(node.span, text, at),
            Form::Literal => {
                self.lint_literal(node.span, text);
                Some(Template::Literal(node.to_value()))
            }
        }
    }

    /// Code in which `${` may mean something else: an expression only as a whole.
    pub(crate) fn code_template(&mut self, node: &'s Node, what: &str) -> Option<Template> {
        let text = self.text(node, what)?;
        match form(text) {
            Form::Expression(range) => self
                .compile(node.span, text, range, Place::Task)
                .map(Template::Expr),
            Form::Embedded(_) => match jq_in_code(text) {
                Some(at) => self.embedded_in_code(node.span, text, at),
                None => Some(Template::Literal(node.to_value())),
            },
            Form::Literal => Some(Template::Literal(node.to_value())),
        }
    }

    /// Pasting data into code is also how commands get injected: the help shows the safe way.
    fn embedded_in_code<T>(&mut self, span: Span, text: &str, at: usize) -> Option<T> {
        let start = span::locate(self.source.text, span, text, at);
        self.error_help(
            code::EMBEDDED,
            Span::new(start, start + 2),
            "an expression cannot stand inside code",
            "hand it over: environment: { NAME: '${ .name }' }, and use \"$NAME\" in the code",
        );
        None
    }

    fn lint_literal(&mut self, span: Span, text: &str) {
        let Some(rest) = text.strip_prefix('$') else {
            return;
        };
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if BASE_VARS.contains(&name.as_str()) || self.vars.contains(&name) {
            let message = format!("`{text}` is plain text here, not an expression");
            let finding = Finding::warning(code::LOOKS_LIKE_EXPRESSION, span, message);
            self.findings
                .push(finding.help(format!("write `${{ {text} }}`")));
        }
    }

    fn embedded<T>(&mut self, span: Span, text: &str, at: usize) -> Option<T> {
        let start = span::locate(self.source.text, span, text, at);
        self.error_help(
            code::EMBEDDED,
            Span::new(start, start + 2),
            "an expression cannot stand inside other text",
            r#"make the whole text an expression: ${ "text \(.name) text" }"#,
        );
        None
    }

    /// Compiles the part of a scalar's text.
    fn compile(
        &mut self,
        span: Span,
        text: &str,
        range: Range<usize>,
        place: Place,
    ) -> Option<Expr> {
        let source = &text[range.clone()];
        if source.trim().is_empty() {
            self.error(code::EXPRESSION, span, "the expression is empty");
            return None;
        }
        match self.compile_text(source, place) {
            Ok(expr) => Some(expr),
            Err(error) => {
                if let Some(at) = source.find("${") {
                    return self.embedded(span, text, range.start + at);
                }
                let at = |offset: usize| {
                    let offset = (range.start + offset).min(range.end);
                    span::locate(self.source.text, span, text, offset)
                };
                let (start, end) = (at(error.at.start), at(error.at.end));
                let mut finding = Finding::error(
                    code::EXPRESSION,
                    Span::new(start, end.max(start)),
                    error.message,
                );
                finding.help = error.help;
                self.findings.push(finding);
                None
            }
        }
    }

    /// Compiles text that is not written in the document as it is, or was cut out of it.
    pub(crate) fn compile_text(
        &mut self,
        source: &str,
        place: Place,
    ) -> Result<Expr, flux_core::expr::CompileError> {
        let mut vars = self.vars.clone();
        if place == Place::Output {
            vars.push("output".to_owned());
        }
        let key = (source.to_owned(), vars);
        if let Some(expr) = self.compiled.get(&key) {
            return Ok(expr.clone());
        }
        let names: Vec<&str> = BASE_VARS
            .into_iter()
            .chain(key.1.iter().map(String::as_str))
            .collect();
        let expr = Expr::compile(source, &names)?;
        self.compiled.insert(key, expr.clone());
        Ok(expr)
    }
}

fn is_literal(template: &Template) -> bool {
    matches!(template, Template::Literal(_))
}
