//! What all parts of the compiler share: the findings so far, the nodes so far, and what is in
//! scope at the place that is compiled.

use crate::finding::Finding;
use crate::flow::{Pending, Unresolved};
use crate::reuse::Reuse;
use crate::span::{Source, Span};
use crate::tree::Node;
use flux_core::chart::{self, NodeId};
use flux_core::expr::Expr;
use std::collections::HashMap;

/// Most nodes of a chart.
pub(crate) const MAX_TASKS: usize = 10_000;

/// The state of a compilation.
pub(crate) struct Cx<'s> {
    pub source: &'s Source<'s>,
    pub findings: Vec<Finding>,
    /// The chart's nodes in document order; placeholders until their task is compiled.
    pub nodes: Vec<chart::Node>,
    /// Where each node's name is written.
    pub spans: Vec<Span>,
    /// The lists of tasks, for the checks of flow.
    pub scopes: Vec<Vec<NodeId>>,
    pub reuse: Reuse<'s>,
    /// Variables of the enclosing loops and handlers.
    pub vars: Vec<String>,
    /// Functions that are being inlined.
    pub calls: Vec<&'s str>,
    /// Directives of the scope that is compiled.
    pub pending: Vec<Pending>,
    /// Targets that were not found in their scope.
    pub unresolved: Vec<Unresolved>,
    /// Whether actions break transactions without being marked.
    pub every_action: bool,
    /// Types of the events that are listened to.
    pub listens: Vec<Option<String>>,
    /// Expressions compiled before: many places share few texts.
    pub compiled: HashMap<(String, Vec<String>), Expr>,
}

impl<'s> Cx<'s> {
    pub(crate) fn new(source: &'s Source<'s>, root: &'s Node, findings: Vec<Finding>) -> Cx<'s> {
        Cx {
            source,
            findings,
            nodes: Vec::new(),
            spans: Vec::new(),
            scopes: Vec::new(),
            reuse: Reuse::of(root),
            vars: Vec::new(),
            calls: Vec::new(),
            pending: Vec::new(),
            unresolved: Vec::new(),
            every_action: true,
            listens: Vec::new(),
            compiled: HashMap::new(),
        }
    }

    /// Reports an error.
    pub(crate) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.findings.push(Finding::error(code, span, message));
    }

    /// Reports an error with advice.
    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings
            .push(Finding::error(code, span, message).help(help));
    }

    /// Runs with more variables in scope.
    pub(crate) fn with_vars<T>(&mut self, names: &[&str], run: impl FnOnce(&mut Cx<'s>) -> T) -> T {
        let before = self.vars.len();
        self.vars
            .extend(names.iter().map(|name| (*name).to_owned()));
        let result = run(self);
        self.vars.truncate(before);
        result
    }
}

/// "did you mean" over the candidates.
pub(crate) fn suggest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let folded = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count().min(name.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Advice for a name that is none of these.
pub(crate) fn did_you_mean<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    // Names of any length come from the text; the distance is quadratic in them.
    if name.len() > 200 {
        return None;
    }
    suggest(
        name,
        candidates
            .into_iter()
            .filter(|candidate| candidate.len() <= 200),
    )
    .map(|best| format!("did you mean `{best}`?"))
}
