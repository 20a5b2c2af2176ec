//! `listen`.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::{Place, is_expression};
use crate::tree::Node;
use flux_core::chart::{
    Attribute, Correlation, EventFilter, Expect, Foreach, Kind, Listen, NodeId, Read, Until,
};

const STRATEGY: [&str; 4] = ["one", "any", "all", "until"];

impl<'s> Cx<'s> {
    pub(super) fn listen(&mut self, task: &Task<'s>) -> Option<Kind> {
        let fields = self.map(task.get("listen")?, "`listen`", &["to", "read"])?;
        let read = match fields.get("read") {
            Some(node) => self.read(node),
            None => Some(Read::Data),
        };
        let to = self
            .require(fields, "to", "`listen`")
            .and_then(|node| self.expect(node));
        let foreach = match task.get("foreach") {
            Some(node) => Some(self.foreach(task, node)?),
            None => None,
        };
        Some(Kind::Listen(Listen {
            to: to?,
            read: read?,
            foreach,
        }))
    }

    fn read(&mut self, node: &'s Node) -> Option<Read> {
        let choices = [
            ("data", Some(Read::Data)),
            ("envelope", Some(Read::Envelope)),
            ("raw", None),
        ];
        let read = self.choice(node, "`listen.read`", &choices)?;
        if read.is_none() {
            let message = "reading raw events is not supported";
            self.error_help(
                code::NO_READ_RAW,
                node.span,
                message,
                "use data or envelope",
            );
        }
        read
    }

    fn expect(&mut self, node: &'s Node) -> Option<Expect> {
        let fields = self.map(node, "`listen.to`", &STRATEGY)?;
        let kind = self.strategy(node)?;
        let until = fields.entry("until");
        if let Some(entry) = until.filter(|_| kind != "any") {
            let message = format!("`until` belongs to `any`, not to `{kind}`");
            self.error(code::CONFLICT, entry.key_span, message);
            return None;
        }
        let filters = self.event_filters(fields.get(kind)?, kind);
        let until = match until {
            Some(entry) => Some(self.until(&entry.value)?),
            None => None,
        };
        let mut filters = filters?;
        match kind {
            "one" => filters.pop().map(Expect::One),
            "any" => Some(Expect::Any { filters, until }),
            _ => Some(Expect::All(filters)),
        }
    }

    /// Which of `one`, `any` and `all` is there.
    fn strategy(&mut self, node: &'s Node) -> Option<&'static str> {
        let mut found = ["one", "any", "all"]
            .into_iter()
            .filter(|name| node.get(name).is_some());
        match (found.next(), found.next()) {
            (Some(kind), None) => Some(kind),
            (None, _) => {
                let message = "which events? give one of `one`, `any` and `all`";
                self.error(code::MISSING_KEY, node.span, message);
                None
            }
            (Some(first), Some(second)) => {
                let message = format!("`{first}` and `{second}` exclude each other");
                self.error(code::CONFLICT, node.span, message);
                None
            }
        }
    }

    fn until(&mut self, node: &'s Node) -> Option<Until> {
        if node.as_text().is_some() {
            return self
                .bare(node, "`until`", Place::Task)
                .map(Until::Condition);
        }
        let fields = self.map(node, "`until`", &["one", "any", "all"])?;
        let kind = self.strategy(node)?;
        let filters = self.event_filters(fields.get(kind)?, kind)?;
        Some(Until::Consumed {
            filters,
            all: kind == "all",
        })
    }

    fn event_filters(&mut self, node: &'s Node, kind: &str) -> Option<Vec<EventFilter>> {
        if kind == "one" {
            return self.event_filter(node).map(|filter| vec![filter]);
        }
        let items = self.list(node, &format!("`{kind}`"))?;
        if items.is_empty() {
            if kind == "all" {
                self.error(code::EMPTY_BODY, node.span, "`all` has no filter");
                return None;
            }
            self.listens.push(None);
        }
        let filters: Vec<_> = items.iter().map(|item| self.event_filter(item)).collect();
        filters.into_iter().collect()
    }

    fn event_filter(&mut self, node: &'s Node) -> Option<EventFilter> {
        let fields = self.map(node, "an event filter", &["with", "correlate"])?;
        let with = self.require(fields, "with", "an event filter")?;
        let attributes = self.object(with, "`with` of an event filter")?;
        if attributes.entries().is_empty() {
            self.error(
                code::EMPTY_BODY,
                with.span,
                "`with` of an event filter has no attribute",
            );
        }
        let mut filter = EventFilter {
            with: Vec::new(),
            correlate: Vec::new(),
        };
        let mut kind = None;
        for entry in attributes.entries() {
            self.attribute_name(entry);
            self.attribute_value(entry);
            let value = &entry.value;
            let computed = value.as_text().is_some_and(is_expression);
            if entry.key == "type" && !computed {
                kind = value.as_text().map(str::to_owned);
            }
            let attribute = if entry.key == "data" && computed {
                self.bare(value, "`data`", Place::Task)
                    .map(Attribute::Holds)
            } else {
                self.template(value, Place::Task).map(Attribute::Equals)
            };
            if let Some(attribute) = attribute {
                filter.with.push((entry.key.clone(), attribute));
            }
        }
        self.listens.push(kind);
        if let Some(node) = fields.get("correlate") {
            filter.correlate = self.correlations(node)?;
        }
        Some(filter)
    }

    fn correlations(&mut self, node: &'s Node) -> Option<Vec<Correlation>> {
        let mut correlations = Vec::new();
        for entry in self.object(node, "`correlate`")?.entries() {
            let fields = self.map(&entry.value, "a correlation", &["from", "expect"])?;
            let from = self.require(fields, "from", "a correlation")?;
            let from = self.bare(from, "`correlate.from`", Place::Task)?;
            let expect = match fields.get("expect") {
                Some(node) => Some(self.template(node, Place::Task)?),
                None => None,
            };
            correlations.push(Correlation {
                key: entry.key.clone(),
                from,
                expect,
            });
        }
        Some(correlations)
    }

    fn foreach(&mut self, task: &Task<'s>, node: &'s Node) -> Option<Foreach> {
        let keys = ["item", "at", "do", "output", "export"];
        let fields = self.map(node, "`foreach`", &keys)?;
        let item = self.variable(fields.get("item"), "`foreach.item`", "item");
        let at = self.variable(fields.get("at"), "`foreach.at`", "index");
        let reference = format!("{}/foreach", task.reference);
        let first = self.with_vars(&[&item, &at], |cx| {
            let body = fields.get("do");
            if fields.get("output").is_none() && fields.get("export").is_none() {
                let prefix = format!("{reference}/do");
                return body.and_then(|body| cx.tasks(body, "`do`", task.id, &prefix));
            }
            cx.foreach_block(task, node, &reference)
        });
        Some(Foreach { item, at, first })
    }

    /// A body with `output` or `export` becomes a sequence that carries them.
    fn foreach_block(
        &mut self,
        task: &Task<'s>,
        node: &'s Node,
        reference: &str,
    ) -> Option<NodeId> {
        let parent = Some(task.id);
        let id = self.begin(
            "foreach",
            reference.to_owned(),
            task.name_span,
            parent,
            node,
        )?;
        let first = node
            .get("do")
            .and_then(|body| self.tasks(body, "`do`", id, &format!("{reference}/do")));
        let output = self.filter(node.get("output"), "output");
        let export = self.filter(node.get("export"), "export");
        let block = &mut self.nodes[id.0 as usize];
        (block.output, block.export, block.kind) = (output, export, Kind::Do { first });
        self.scopes.push(vec![id]);
        Some(id)
    }
}
