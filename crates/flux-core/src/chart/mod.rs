//! A workflow definition, compiled: nodes in document order with every name resolved, every
//! expression compiled and every duration checked. Immutable; shared by `Arc`; a run keeps the
//! [`ChartId`] it started with.
//!
//! `flux-lang` builds charts from text, [`crate::walk`] interprets them.

mod fault;
mod schedule;
mod task;
mod template;

pub use fault::{Fault, FaultFilter, FaultKind};
pub use schedule::{Misfire, Overlap, Schedule, ScheduleRule};
pub use task::*;
pub use template::{Template, UriPart};

use crate::expr::Expr;
use crate::labels::Labels;
use crate::throttle::Limits;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// SHA-256 of the definition's source text, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChartId(pub String);

impl ChartId {
    /// The id of the definition with this source text.
    pub fn of(source: &str) -> ChartId {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(source.as_bytes());
        ChartId(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for ChartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a definition is called: `namespace/name:version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkflowName {
    /// Namespace of the definition (`document.namespace`).
    pub namespace: String,
    /// Name within the namespace (`document.name`).
    pub name: String,
    /// Semantic version (`document.version`).
    pub version: String,
}

impl fmt::Display for WorkflowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.version)
    }
}

/// Index of a node in its chart: document order, stable for one [`ChartId`], so it can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// A compiled workflow.
#[derive(Debug)]
pub struct Chart {
    /// Content hash of the source text.
    pub id: ChartId,
    /// What it is called.
    pub name: WorkflowName,
    /// The whole document as data: `$workflow.definition`.
    pub document: Value,
    /// All nodes; `nodes[0]` is the workflow itself: a [`Kind::Do`] that carries the document's
    /// input, output, and timeout.
    pub nodes: Vec<Node>,
    /// When runs start by themselves.
    pub schedule: Option<Schedule>,
    /// Lower runs first; default 10.
    pub priority: i32,
    /// How many of its branches run at the same time; `None` when it does not say.
    pub limits: Option<Limits>,
    /// Types of the events that some node listens to; `None` stands for "any type".
    pub listens: Vec<Option<String>>,
}

impl Chart {
    /// The node that is the workflow itself.
    pub const ROOT: NodeId = NodeId(0);

    /// The pools of everything that requires labels, each once.
    #[must_use]
    pub fn required_pools(&self) -> Vec<String> {
        let pools: BTreeSet<String> = self
            .nodes
            .iter()
            .filter_map(|n| n.requires.pool())
            .collect();
        pools.into_iter().collect()
    }

    /// The node with this id; ids come from this chart only.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The node with this id, when a stored position may belong to another chart.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }
}

/// One task of the definition.
#[derive(Debug)]
pub struct Node {
    /// The task's name, as written.
    pub name: String,
    /// JSON pointer of the task in the document, such as `/do/0/load`; `/` for the workflow.
    pub reference: String,
    /// Where it is written.
    pub at: Position,
    /// The composite task around it: `Do`, `For`, `Try` or `Fork`; `None` for the workflow.
    pub parent: Option<NodeId>,
    /// Which node follows.
    pub next: Next,
    /// `if`: skipped, with its input as output, when this is not true.
    pub guard: Option<Expr>,
    /// `input.schema` and `input.from`.
    pub input: Filter,
    /// `output.as` and `output.schema`.
    pub output: Filter,
    /// `export.as` and `export.schema`.
    pub export: Filter,
    /// `timeout.after`: ISO 8601 text or an object of units (see [`crate::duration`]).
    pub timeout: Option<Template>,
    /// Where transactions break.
    pub breaks: Breaks,
    /// What it requires of the engine that performs it, with what the tasks around it require.
    pub requires: Labels,
    /// The task as data: `$task.definition`.
    pub definition: Value,
    /// What it does.
    pub kind: Kind,
}

/// Line and column in the source text, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// What follows a node; `continue`, `exit` and names are resolved by the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on at this node of the same scope.
    To(NodeId),
    /// The scope around the node is done.
    Leave,
    /// The whole run is done.
    End,
}

/// Transaction breaks of a node, resolved from `metadata.flux.break` and the document's
/// `metadata.flux.breaks`. Triggers, splits and joins are breaks whatever is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// Commit at the node's start when something happened since the last commit point.
    pub before: bool,
    /// Commit at once when the node is done.
    pub after: bool,
}

/// A transformation of data with an optional schema check.
#[derive(Debug, Default)]
pub struct Filter {
    /// `from` or `as`.
    pub template: Option<Template>,
    /// `schema`.
    pub schema: Option<Schema>,
}

/// A compiled JSON Schema.
#[derive(Clone)]
pub struct Schema(Arc<jsonschema::Validator>);

impl Schema {
    /// Compiles a schema document; the text says what is wrong with it.
    pub fn compile(document: &serde_json::Value) -> Result<Schema, String> {
        jsonschema::validator_for(document)
            .map(|validator| Schema(Arc::new(validator)))
            .map_err(|error| error.to_string())
    }

    /// All violations, each as `/pointer: what is wrong`; empty when the value is valid.
    pub fn violations(&self, value: &serde_json::Value) -> Vec<String> {
        self.0
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Compiles source text; implemented by `flux-lang`, so that engines need not know it.
pub trait Compiler: Send + Sync {
    /// The chart, or a rendered report of everything that is wrong with the text.
    fn compile(&self, source: &str) -> Result<Arc<Chart>, String>;

    /// What is allowed in a text that compiles, but probably not meant.
    fn warnings(&self, _source: &str) -> Vec<String> {
        Vec::new()
    }
}
