//! Diagnostics: what is wrong with a definition, where, and what to do about it.

use crate::finding::Finding;
use crate::span::Source;
use crate::tree::{self, Node};
use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition cannot be deployed.
    Error,
    /// It can, but probably does not do what was meant.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, see [`crate::CODES`].
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Number of characters on that line, at least 1.
    pub length: u32,
    /// JSON pointer of the key or value.
    pub path: String,
    /// The line, for the excerpt.
    #[serde(skip)]
    excerpt: String,
}

/// All findings about a text, in the order of their places.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnostics {
    /// Name of the file, as given by the caller.
    pub file: String,
    /// The findings; at most [`Diagnostics::MAX`].
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Diagnostics {
    /// Most findings reported for one text.
    pub const MAX: usize = 200;

    pub(crate) fn new(
        file: &str,
        source: &Source<'_>,
        root: Option<&Node>,
        mut findings: Vec<Finding>,
    ) -> Diagnostics {
        findings.sort_by(|a, b| {
            (a.span, a.severity, a.code, &a.message).cmp(&(b.span, b.severity, b.code, &b.message))
        });
        findings.dedup_by(|a, b| a.span == b.span && a.code == b.code && a.message == b.message);
        let omitted = findings.len().saturating_sub(Diagnostics::MAX);
        // Errors must not fall behind a wall of warnings.
        if omitted > 0 {
            findings.sort_by_key(|finding| finding.severity);
            findings.truncate(Diagnostics::MAX);
            findings.sort_by_key(|finding| finding.span);
        }
        let diagnostics = findings
            .into_iter()
            .map(|finding| place(source, root, finding))
            .collect();
        Diagnostics {
            file: file.to_owned(),
            diagnostics,
            omitted,
        }
    }

    /// Whether some finding is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }
}

/// Longest message and longest excerpt, in characters: hostile text must not flood a terminal.
const MAX_TEXT: usize = 400;
const MAX_EXCERPT: usize = 160;

fn clip(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn place(source: &Source<'_>, root: Option<&Node>, finding: Finding) -> Diagnostic {
    let position = source.position(finding.span.start);
    Diagnostic {
        code: finding.code,
        severity: finding.severity,
        message: clip(finding.message),
        help: finding.help.map(clip),
        line: position.line,
        column: position.column,
        length: source.length(finding.span),
        path: root
            .map(|root| tree::pointer(root, finding.span.start))
            .unwrap_or_default(),
        excerpt: source.line(position.line).to_owned(),
    }
}

impl Diagnostic {
    /// The finding with its source line and a caret, without colours.
    fn render(&self, file: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}[{}]: {}", self.code, self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(out, "{margin}--> {file}:{}:{}", self.line, self.column)?;
        let (line, skipped) = self.window();
        if !line.trim().is_empty() {
            let column = (self.column as usize)
                .saturating_sub(1)
                .saturating_sub(skipped);
            let room = line.chars().count().saturating_sub(column).max(1);
            let carets = "^".repeat((self.length as usize).min(room));
            writeln!(out, "{margin} |")?;
            writeln!(out, "{number} | {line}")?;
            writeln!(out, "{margin} | {}{carets}", " ".repeat(column))?;
        }
        if let Some(help) = &self.help {
            writeln!(out, "{margin} = help: {help}")?;
        }
        Ok(())
    }

    /// The part of the line that is shown, and how many characters are left out before it. Tabs
    /// and control characters become spaces, so that the caret stands where it should.
    fn window(&self) -> (String, usize) {
        let column = (self.column as usize).saturating_sub(1);
        let skipped = column.saturating_sub(MAX_EXCERPT / 2);
        let shown = self.excerpt.chars().skip(skipped).take(MAX_EXCERPT);
        let line = shown
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        (line, skipped)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            diagnostic.render(&self.file, out)?;
        }
        if self.omitted > 0 {
            writeln!(out, "\n... and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
