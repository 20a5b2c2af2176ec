//! The document as a whole.

use crate::code;
use crate::cx::Cx;
use crate::fields::Fields;
use crate::tree::{Data, Node};
use flux_core::chart::{Chart, ChartId, Filter, Kind, Schedule, WorkflowName};
use flux_core::labels::Labels;
use flux_core::throttle::{Limits, PRIORITIES};

const KEYS: [&str; 8] = [
    "document", "input", "output", "use", "do", "timeout", "schedule", "evaluate",
];
const DOCUMENT: [&str; 8] = [
    "dsl",
    "namespace",
    "name",
    "version",
    "title",
    "summary",
    "tags",
    "metadata",
];
const VERSIONS: [&str; 4] = ["1.0.0", "1.0.1", "1.0.2", "1.0.3"];

/// Default of `document.metadata.flux.priority`.
const PRIORITY: i32 = 10;

/// What `document` says.
struct Header {
    name: Option<WorkflowName>,
    flux: DocumentFlux,
}

/// What `document.metadata.flux` says of runs.
struct DocumentFlux {
    priority: i32,
    limits: Option<Limits>,
    requires: Labels,
}

impl Default for DocumentFlux {
    fn default() -> DocumentFlux {
        DocumentFlux {
            priority: PRIORITY,
            limits: None,
            requires: Labels::default(),
        }
    }
}

impl<'s> Cx<'s> {
    /// Compiles the document; what is wrong is in the findings.
    pub(crate) fn document(&mut self, root: &'s Node) -> Option<Chart> {
        let fields = self.map(root, "a definition", &KEYS)?;
        let options = root
            .get("document")
            .and_then(|document| document.get("metadata")?.get("flux")?.get("schedule"));
        let header = self
            .require(fields, "document", "a definition")
            .map(|node| self.header(node));
        self.check_use();
        self.evaluate(fields.get("evaluate"));
        let schedule = self.schedule(fields.get("schedule"), options);
        self.root(root, fields, header.as_ref());
        self.check_unused();
        self.report_unresolved();
        let header = header?;
        Some(self.chart(root, header.name?, &header.flux, schedule))
    }

    fn chart(
        &mut self,
        root: &'s Node,
        name: WorkflowName,
        flux: &DocumentFlux,
        schedule: Option<Schedule>,
    ) -> Chart {
        let mut listens = std::mem::take(&mut self.listens);
        listens.sort();
        listens.dedup();
        Chart {
            id: ChartId::of(self.source.text),
            name,
            document: root.to_value(),
            nodes: std::mem::take(&mut self.nodes),
            schedule,
            priority: flux.priority,
            limits: flux.limits,
            listens,
        }
    }

    /// The first node: the workflow itself.
    fn root(&mut self, root: &'s Node, fields: Fields<'s>, header: Option<&Header>) {
        let name = header
            .and_then(|header| header.name.as_ref())
            .map_or("", |name| &name.name);
        let Some(id) = self.begin(name, "/".to_owned(), fields.span(), None, root) else {
            return;
        };
        if let Some(header) = header {
            self.require_labels(id, &header.flux.requires);
        }
        let first = self
            .require(fields, "do", "a definition")
            .and_then(|node| self.tasks(node, "`do`", id, "/do"));
        let input = self.filter(fields.get("input"), "input");
        let output: Filter = self.filter(fields.get("output"), "output");
        let timeout = self.timeout(fields.get("timeout"));
        let node = &mut self.nodes[id.0 as usize];
        node.kind = Kind::Do { first };
        (node.input, node.output, node.timeout) = (input, output, timeout);
    }

    fn header(&mut self, node: &'s Node) -> Header {
        let mut header = Header {
            name: None,
            flux: DocumentFlux::default(),
        };
        let Some(fields) = self.map(node, "`document`", &DOCUMENT) else {
            return header;
        };
        if let Some(node) = self.require(fields, "dsl", "`document`")
            && let Some(text) = self.literal(node, "`document.dsl`")
            && !VERSIONS.contains(&text)
        {
            let message = format!("version `{text}` of the language is not supported");
            let help = format!("one of {}", VERSIONS.join(", "));
            self.error_help(code::NO_DSL, node.span, message, help);
        }
        let namespace = self.name(fields, "namespace");
        let name = self.name(fields, "name");
        let version = self
            .require(fields, "version", "`document`")
            .and_then(|node| {
                let text = self.literal(node, "`document.version`")?;
                self.semver(node, text).then(|| text.to_owned())
            });
        for key in ["title", "summary"] {
            if let Some(node) = fields.get(key) {
                self.text(node, &format!("`document.{key}`"));
            }
        }
        if let Some(node) = fields.get("tags") {
            self.object(node, "`document.tags`");
        }
        if let Some(node) = fields.get("metadata") {
            header.flux = self.document_flux(node);
        }
        header.name = namespace
            .zip(name)
            .zip(version)
            .map(|((namespace, name), version)| WorkflowName {
                namespace,
                name,
                version,
            });
        header
    }

    fn name(&mut self, fields: Fields<'s>, key: &str) -> Option<String> {
        let node = self.require(fields, key, "`document`")?;
        let text = self.literal(node, &format!("`document.{key}`"))?;
        self.document_name(node, key, text).then(|| text.to_owned())
    }

    /// Whether the text is a namespace or name; reports when not.
    pub(crate) fn document_name(&mut self, node: &'s Node, key: &str, text: &str) -> bool {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let legal = text.len() <= 63
            && edge(text.chars().next())
            && edge(text.chars().last())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !legal {
            let message = format!("`{text}` cannot be a {key}");
            let help = "up to 63 letters, digits and `-`; letters or digits at both ends";
            self.error_help(code::WRONG_VALUE, node.span, message, help);
        }
        legal
    }

    /// Whether the text is a semantic version; reports when not.
    pub(crate) fn semver(&mut self, node: &'s Node, text: &str) -> bool {
        let legal = is_semver(text);
        if !legal {
            let message = format!("`{text}` is no semantic version");
            self.error_help(
                code::WRONG_VALUE,
                node.span,
                message,
                "such as '1.0.0', in quotes",
            );
        }
        legal
    }

    /// `document.metadata`.
    fn document_flux(&mut self, metadata: &'s Node) -> DocumentFlux {
        let mut flux = DocumentFlux::default();
        self.object(metadata, "`document.metadata`");
        let Some(node) = metadata.get("flux") else {
            return flux;
        };
        let keys = ["breaks", "concurrency", "priority", "requires", "schedule"];
        let Some(fields) = self.map(node, "`document.metadata.flux`", &keys) else {
            return flux;
        };
        if let Some(node) = fields.get("breaks") {
            let choices = [("every-action", true), ("marked", false)];
            self.every_action = self.choice(node, "`breaks`", &choices).unwrap_or(true);
        }
        flux.priority = fields
            .get("priority")
            .and_then(|node| self.integer(node, "`priority`", PRIORITIES))
            .and_then(|priority| i32::try_from(priority).ok())
            .unwrap_or(PRIORITY);
        if let Some(node) = fields.get("requires") {
            flux.requires = self.labels(node);
        }
        flux.limits = fields.get("concurrency").and_then(|node| self.limits(node));
        flux
    }

    /// `concurrency`: how many branches of the workflow run at the same time.
    fn limits(&mut self, node: &'s Node) -> Option<Limits> {
        let fields = self.map(node, "`concurrency`", &["cluster", "engine"])?;
        let mut limit = |key: &str| {
            let node = fields.get(key)?;
            let limit = self.integer(node, &format!("`{key}`"), 1..=1_000_000)?;
            u32::try_from(limit).ok()
        };
        let (cluster, engine) = (limit("cluster"), limit("engine"));
        if fields.get("cluster").is_none() && fields.get("engine").is_none() {
            let message = "`concurrency` says neither `cluster` nor `engine`";
            let help = "such as `concurrency: { cluster: 4 }`";
            self.error_help(code::WRONG_VALUE, node.span, message, help);
        }
        Some(Limits { cluster, engine })
    }

    fn evaluate(&mut self, node: Option<&'s Node>) {
        let Some(node) = node else { return };
        let Some(fields) = self.map(node, "`evaluate`", &["language", "mode"]) else {
            return;
        };
        for (key, supported) in [("language", "jq"), ("mode", "strict")] {
            let Some(node) = fields.get(key) else {
                continue;
            };
            if !matches!(&node.data, Data::Text(text) if text == supported) {
                let message = format!("only `{key}: {supported}` is supported");
                self.error(code::NO_EVALUATE, node.span, message);
            }
        }
    }
}

fn is_semver(text: &str) -> bool {
    let (text, build) = text
        .split_once('+')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = text
        .split_once('-')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let identifiers = |part: Option<&str>| {
        part.is_none_or(|part| {
            part.split('.').all(|id| {
                !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
        })
    };
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3 && numbers.into_iter().all(number) && identifiers(pre) && identifiers(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        for right in [
            "1.0.0",
            "0.1.20",
            "1.0.0-alpha.1",
            "1.0.0-a-b+build.5",
            "1.0.0+x",
        ] {
            assert!(is_semver(right), "{right}");
        }
        for wrong in [
            "1.0",
            "1",
            "",
            "01.0.0",
            "1.0.0-",
            "1.0.0+",
            "1.0.x",
            "v1.0.0",
            "1.0.0-a..b",
        ] {
            assert!(!is_semver(wrong), "{wrong}");
        }
    }
}
