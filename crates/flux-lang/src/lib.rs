//! The definition language of Flux: Open Workflow DSL 1.0.x, from text to [`Chart`].
//!
//! ```text
//! text ──yaml──► tree with places ──document, task/*──► nodes ──checks──► chart
//!                         └───────── findings ─────────────┴──► diagnostics
//! ```
//!
//! All problems of a text are reported at once, each with its place and a stable code.

mod checks;
mod code;
mod cx;
mod data;
mod diagnostic;
mod document;
mod expression;
mod fields;
mod finding;
mod flow;
mod metadata;
mod reuse;
mod scalar;
mod schedule;
mod span;
mod task;
mod tree;
mod yaml;

pub use code::{CODES, CodeInfo};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};

use cx::Cx;
use flux_core::chart::{Chart, Compiler};
use span::Source;
use std::sync::Arc;

/// A definition that compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The chart.
    pub chart: Arc<Chart>,
    /// What is allowed but probably not meant.
    pub warnings: Diagnostics,
}

/// Compiles a definition, YAML or JSON.
///
/// # Errors
/// Everything that is wrong with the text, warnings included; `file_name` is only for display.
pub fn compile(source: &str, file_name: &str) -> Result<Compiled, Diagnostics> {
    let source = Source::new(source);
    let (root, findings) = yaml::read(&source);
    let Some(root) = root else {
        return Err(Diagnostics::new(file_name, &source, None, findings));
    };
    let mut cx = Cx::new(&source, &root, findings);
    let chart = cx.compile_root(&root);
    let diagnostics = Diagnostics::new(file_name, &source, Some(&root), cx.findings);
    match chart {
        Some(chart) if !diagnostics.has_errors() => Ok(Compiled {
            chart: Arc::new(chart),
            warnings: diagnostics,
        }),
        _ => Err(diagnostics),
    }
}

impl<'s> Cx<'s> {
    fn compile_root(&mut self, root: &'s tree::Node) -> Option<Chart> {
        let mut chart = self.document(root)?;
        let errors = self
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        if !errors {
            std::mem::swap(&mut self.nodes, &mut chart.nodes);
            self.check();
            std::mem::swap(&mut self.nodes, &mut chart.nodes);
        }
        Some(chart)
    }
}

/// The language as the [`Compiler`] that engines are given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Language;

impl Compiler for Language {
    fn compile(&self, source: &str) -> Result<Arc<Chart>, String> {
        compile(source, "definition")
            .map(|compiled| compiled.chart)
            .map_err(|diagnostics| diagnostics.to_string())
    }

    fn warnings(&self, source: &str) -> Vec<String> {
        match compile(source, "definition") {
            Ok(compiled) if !compiled.warnings.is_empty() => vec![compiled.warnings.to_string()],
            _ => Vec::new(),
        }
    }
}
