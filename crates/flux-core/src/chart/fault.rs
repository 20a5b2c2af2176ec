//! Errors as the definition language knows them (RFC 7807 problem details).

use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An error raised in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// URI of the error's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP-like status.
    pub status: u16,
    /// Short, the same for all errors of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer of the task that raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// The standard errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The definition or configuration is wrong (400).
    Configuration,
    /// Data does not meet its schema (400).
    Validation,
    /// An expression failed (400).
    Expression,
    /// Credentials are missing or wrong (401).
    Authentication,
    /// Not allowed (403).
    Authorization,
    /// Took too long (408).
    Timeout,
    /// A call failed, or answered with an error status (500).
    Communication,
    /// Anything else (500).
    Runtime,
}

/// Where the canonical types live; older hosts and paths are aliases (see [`same_type`]).
const BASE: &str = "https://open-workflow-specification.org/spec/1.0.0/errors/";

impl FaultKind {
    const ALL: [(FaultKind, &'static str, u16, &'static str); 8] = [
        (
            FaultKind::Configuration,
            "configuration",
            400,
            "Configuration error",
        ),
        (FaultKind::Validation, "validation", 400, "Validation error"),
        (FaultKind::Expression, "expression", 400, "Expression error"),
        (
            FaultKind::Authentication,
            "authentication",
            401,
            "Authentication error",
        ),
        (
            FaultKind::Authorization,
            "authorization",
            403,
            "Authorization error",
        ),
        (FaultKind::Timeout, "timeout", 408, "Timeout"),
        (
            FaultKind::Communication,
            "communication",
            500,
            "Communication error",
        ),
        (FaultKind::Runtime, "runtime", 500, "Runtime error"),
    ];

    fn row(self) -> &'static (FaultKind, &'static str, u16, &'static str) {
        let all: &'static _ = &FaultKind::ALL;
        all.iter()
            .find(|row| row.0 == self)
            .expect("every kind has its row")
    }

    /// The canonical type URI.
    pub fn uri(self) -> String {
        format!("{BASE}{}", self.row().1)
    }
}

impl Fault {
    /// A standard error with its usual status and title.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Fault {
        let row = kind.row();
        Fault {
            kind: kind.uri(),
            status: row.2,
            title: Some(row.3.to_owned()),
            detail: Some(detail.into()),
            instance: None,
        }
    }

    /// The same with another status, such as the one an HTTP call answered.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Fault {
        self.status = status;
        self
    }

    /// The same, raised at this task unless another was named.
    #[must_use]
    pub fn at(mut self, reference: &str) -> Fault {
        self.instance.get_or_insert_with(|| reference.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.kind.rsplit('/').next().unwrap_or(&self.kind);
        write!(
            f,
            "{} ({})",
            self.title.as_deref().unwrap_or(short),
            self.status
        )?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(instance) = &self.instance {
            write!(f, " at {instance}")?;
        }
        Ok(())
    }
}

/// Which errors a `catch` takes: each given property must be equal; types through the alias table.
#[derive(Clone, Debug, Default)]
pub struct FaultFilter {
    /// Property of the error and what it must be.
    pub with: Vec<(String, Value)>,
}

impl FaultFilter {
    /// Whether the filter lets the error through.
    pub fn matches(&self, fault: &Fault) -> bool {
        self.with.iter().all(|(property, expected)| {
            let text = crate::value::as_str(expected);
            match property.as_str() {
                "type" => text.is_some_and(|uri| same_type(uri, &fault.kind)),
                "status" => crate::value::to_json(expected) == fault.status.to_string(),
                "title" => text == fault.title.as_deref(),
                "detail" | "details" => text == fault.detail.as_deref(),
                "instance" => text == fault.instance.as_deref(),
                _ => false,
            }
        })
    }
}

/// Whether two type URIs name the same error. The specification moved its host in 2026, and its
/// reference and its conformance kit use different paths: all four spellings are one.
fn same_type(a: &str, b: &str) -> bool {
    const HOSTS: [&str; 2] = [
        "https://open-workflow-specification.org",
        "https://serverlessworkflow.io",
    ];
    const PATHS: [&str; 2] = ["/spec/1.0.0/errors/", "/dsl/errors/types/"];
    fn code(uri: &str) -> Option<&str> {
        let path = HOSTS.iter().find_map(|host| uri.strip_prefix(host))?;
        PATHS.iter().find_map(|prefix| path.strip_prefix(prefix))
    }
    a == b || matches!((code(a), code(b)), (Some(x), Some(y)) if x == y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_both_hosts_and_paths_are_one() {
        let canonical = FaultKind::Timeout.uri();
        for alias in [
            "https://serverlessworkflow.io/spec/1.0.0/errors/timeout",
            "https://serverlessworkflow.io/dsl/errors/types/timeout",
            "https://open-workflow-specification.org/dsl/errors/types/timeout",
        ] {
            assert!(same_type(alias, &canonical), "{alias}");
        }
        assert!(!same_type("https://example.com/errors/timeout", &canonical));
        assert!(!same_type(&FaultKind::Runtime.uri(), &canonical));
    }
}
