//! Text to tree: YAML 1.2 (of which JSON is a part) through the events of serde-saphyr's parser,
//! within fixed budgets, so that hostile text costs little.

use crate::code;
use crate::finding::Finding;
use crate::scalar;
use crate::span::{Source, Span};
use crate::tree::{Data, Entry, Node};
use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span as At, Tag,
};
use std::borrow::Cow;
use std::collections::HashMap;

/// Longest text, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Most values, those that aliases stand for included.
pub(crate) const MAX_NODES: usize = 20_000;
/// Deepest nesting of lists and objects.
pub(crate) const MAX_DEPTH: usize = 64;

/// Reads the text; findings are complete except after an error of syntax, which ends the reading.
pub(crate) fn read(source: &Source<'_>) -> (Option<Node>, Vec<Finding>) {
    let text = source.text;
    if text.len() > MAX_BYTES {
        let message = format!(
            "the text has {} bytes; the limit is {MAX_BYTES}",
            text.len()
        );
        return (
            None,
            vec![Finding::error(code::TOO_LARGE, Span::default(), message)],
        );
    }
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        let message = "a NUL byte is not allowed in a definition";
        return (
            None,
            vec![Finding::error(code::SYNTAX, Span::new(at, at + 1), message)],
        );
    }
    let mut reader = Reader::default();
    match reader.run(source) {
        Ok(()) => {}
        Err(finding) => {
            reader.findings.push(*finding);
            return (None, reader.findings);
        }
    }
    if reader.root.is_none() {
        let help = "start with `document:` and `do:`";
        reader.findings.push(
            Finding::error(code::EMPTY, Span::default(), "the text holds no definition").help(help),
        );
    }
    (reader.root, reader.findings)
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    findings: Vec<Finding>,
    nodes: usize,
    alias_bytes: usize,
    documents: usize,
}

/// A list or object that has not ended yet.
struct Open {
    start: usize,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map(Vec<Entry>, HashMap<String, ()>, Option<(String, Span)>),
}

/// A finished node that aliases can stand for.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
    depth: usize,
}

type Step = Result<(), Box<Finding>>;

fn fail(code: &'static str, span: Span, message: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::error(code, span, message))
}

impl Reader {
    fn run(&mut self, source: &Source<'_>) -> Step {
        let mut options = Options::default();
        options.set_emit_comments(false);
        for next in Parser::new_from_str_with_options(source.text, options) {
            let (event, at) = next.map_err(|error| syntax(source, &error))?;
            let range = at.byte_range().unwrap_or_default();
            let span = Span::new(source.floor(range.start), source.floor(range.end));
            self.event(event, &at, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, _at: &At, span: Span) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let finding = fail(code::YAML_FEATURE, span, "a second document starts here");
                    return Err(Box::new(finding.help("one file holds one definition")));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag, span),
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(anchor, tag, span, Body::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => self.begin(
                anchor,
                tag,
                span,
                Body::Map(Vec::new(), HashMap::new(), None),
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => self.alias(id, span),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        span: Span,
    ) -> Step {
        if let Some(Open {
            body: Body::Map(_, seen, key @ None),
            ..
        }) = self.open.last_mut()
        {
            if style == ScalarStyle::Plain && text == "<<" {
                let finding = fail(
                    code::YAML_FEATURE,
                    span,
                    "merge keys are not part of YAML 1.2",
                );
                return Err(Box::new(
                    finding.help("write the keys out, or share data under `use`"),
                ));
            }
            if seen.insert(text.to_string(), ()).is_some() {
                let message = format!("the key `{text}` is written twice");
                self.findings
                    .push(Finding::error(code::DUPLICATE_KEY, span, message));
            }
            *key = Some((text.into_owned(), span));
            return Ok(());
        }
        let data = match tag.as_deref() {
            None if style == ScalarStyle::Plain => {
                if scalar::is_yaml_1_1_boolean(&text) {
                    let message = format!("`{text}` is text in YAML 1.2, a boolean in YAML 1.1");
                    self.findings.push(
                        Finding::warning(code::YAML_1_1, span, message)
                            .help("write `true` or `false`, or put the text in quotes"),
                    );
                }
                scalar::plain(&text)
            }
            None => Data::Text(text.into_owned()),
            Some(tag) => tagged(tag, &text, span)?,
        };
        self.finished(Node { span, data }, anchor)
    }

    fn begin(&mut self, anchor: usize, tag: Option<Cow<'_, Tag>>, span: Span, body: Body) -> Step {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(fail(code::TOO_LARGE, span, message));
        }
        if let Some(Open {
            body: Body::Map(_, _, None),
            ..
        }) = self.open.last()
        {
            return Err(fail(code::YAML_FEATURE, span, "a key must be text"));
        }
        if let Some(tag) = tag.as_deref().filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(foreign_tag(tag, span));
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            body,
        });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Step {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (data, last) = match open.body {
            Body::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Data::List(items), last)
            }
            Body::Map(entries, ..) => {
                let last = entries
                    .last()
                    .map(|entry| entry.value.span.end.max(entry.key_span.end));
                (Data::Map(entries), last)
            }
        };
        // A block collection ends where the next token starts: too far for a position.
        let end = if span.end > span.start {
            span.end
        } else {
            last.unwrap_or(span.end)
        };
        let span = Span::new(open.start, end.max(open.start));
        self.finished(Node { span, data }, open.anchor)
    }

    fn alias(&mut self, id: usize, span: Span) -> Step {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(fail(
                code::YAML_FEATURE,
                span,
                "the alias stands for something it is part of",
            ));
        };
        if self.open.len() + anchored.depth > MAX_DEPTH {
            let message = format!("the alias nests deeper than {MAX_DEPTH} levels");
            return Err(fail(code::TOO_LARGE, span, message));
        }
        self.nodes += anchored.nodes;
        self.alias_bytes += anchored.bytes;
        if self.nodes > MAX_NODES || self.alias_bytes > MAX_BYTES {
            return Err(fail(
                code::TOO_LARGE,
                span,
                "the aliases stand for too much data",
            ));
        }
        let node = Node {
            span,
            data: anchored.node.data.clone(),
        };
        if let Some(Open {
            body: Body::Map(_, _, key @ None),
            ..
        }) = self.open.last_mut()
        {
            let Data::Text(text) = node.data else {
                return Err(fail(code::YAML_FEATURE, span, "a key must be text"));
            };
            *key = Some((text, span));
            return Ok(());
        }
        self.attach(node);
        Ok(())
    }

    fn finished(&mut self, node: Node, anchor: usize) -> Step {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(fail(code::TOO_LARGE, node.span, message));
        }
        if anchor > 0 {
            let (nodes, bytes, depth) = measure(&node);
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    bytes,
                    depth,
                },
            );
        }
        self.attach(node);
        Ok(())
    }

    fn attach(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.body) {
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map(entries, _, key)) => {
                if let Some((key, key_span)) = key.take() {
                    entries.push(Entry {
                        key,
                        key_span,
                        value: node,
                    });
                }
            }
            None => self.root = Some(node),
        }
    }
}

fn measure(node: &Node) -> (usize, usize, usize) {
    let add = |(nodes, bytes, depth): (usize, usize, usize), child: &Node, key: usize| {
        let inner = measure(child);
        (
            nodes + inner.0,
            bytes + inner.1 + key,
            depth.max(inner.2 + 1),
        )
    };
    match &node.data {
        Data::Text(text) | Data::Number(text) => (1, text.len(), 0),
        Data::List(items) => items.iter().fold((1, 0, 1), |sum, item| add(sum, item, 0)),
        Data::Map(entries) => entries.iter().fold((1, 0, 1), |sum, entry| {
            add(sum, &entry.value, entry.key.len())
        }),
        Data::Null | Data::Bool(_) => (1, 0, 0),
    }
}

fn tagged(tag: &Tag, text: &str, span: Span) -> Result<Data, Box<Finding>> {
    match tag.core_suffix() {
        Some("str") => Ok(Data::Text(text.to_owned())),
        Some(_) => Ok(scalar::plain(text)),
        None if tag.original_handle() == "!" && tag.suffix().is_empty() => {
            Ok(Data::Text(text.to_owned()))
        }
        None => Err(foreign_tag(tag, span)),
    }
}

fn foreign_tag(tag: &Tag, span: Span) -> Box<Finding> {
    let message = format!("the YAML tag `{}` means nothing here", tag.original());
    Box::new(fail(code::YAML_FEATURE, span, message).help("remove the tag"))
}

fn syntax(source: &Source<'_>, error: &ScanError) -> Box<Finding> {
    let marker = error.marker();
    let at = source.floor(marker.byte_offset().unwrap_or(source.text.len()));
    let mut finding = Finding::error(code::SYNTAX, Span::new(at, at), error.info());
    let line = source.line(source.position(at).line);
    let indent = &line[..line.len() - line.trim_start().len()];
    if indent.contains('\t') {
        finding = finding.help("YAML is indented with spaces; replace the tab");
    } else if line.contains(": ") && line.matches(": ").count() > 1 {
        finding = finding.help("put text that contains `: ` in quotes");
    }
    Box::new(finding)
}
