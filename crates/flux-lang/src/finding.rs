//! A diagnostic before its place is worked out.

use crate::diagnostic::Severity;
use crate::span::Span;

/// What is wrong, and where.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub code: &'static str,
    pub severity: Severity,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: Severity::Error,
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(code, span, message)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }
}
