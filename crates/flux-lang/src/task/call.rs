//! `call`: which of the calls it is.

use super::Task;
use crate::code;
use crate::cx::{Cx, did_you_mean};
use crate::finding::Finding;
use crate::reuse::Section;
use flux_core::chart::Kind;

/// Calls of the standard that are known and not supported: name, code, what to do instead.
const UNSUPPORTED: [(&str, &str, &str); 5] = [
    (
        "grpc",
        code::NO_GRPC,
        "run a client with `call: process:1@default`",
    ),
    (
        "openapi",
        code::NO_OPENAPI,
        "use `call: http` with the operation's method and endpoint",
    ),
    (
        "asyncapi",
        code::NO_ASYNCAPI,
        "use `emit`, `listen` or `call: http`",
    ),
    (
        "a2a",
        code::NO_A2A,
        "use `call: http`: the protocol is JSON-RPC over HTTP",
    ),
    (
        "mcp",
        code::NO_MCP,
        "use `call: http`, or run a client with `call: process:1@default`",
    ),
];

impl<'s> Cx<'s> {
    pub(super) fn call(&mut self, task: &Task<'s>) -> Option<Kind> {
        let node = task.get("call")?;
        let name = self.literal(node, "`call`")?;
        if name == "http" {
            return self.http(task);
        }
        if let Some((_, code, help)) = UNSUPPORTED.iter().find(|(known, ..)| *known == name) {
            let message = format!("`call: {name}` is not supported");
            self.error_help(code, node.span, message, *help);
            return None;
        }
        if name.contains("://") {
            let message = "functions behind a URL are not supported";
            let help = "define the function under `use.functions`";
            self.error_help(code::NO_CATALOG, node.span, message, help);
            return None;
        }
        if let Some((function, catalog)) = name.split_once('@') {
            return self.extension(task, node, function, catalog);
        }
        if let Some(entry) = self.find_named(Section::Functions, name) {
            return self.function(task, node, entry);
        }
        let functions = self.reuse.entries(Section::Functions);
        let known = functions.iter().map(|entry| entry.key.as_str());
        let calls = ["http"].into_iter().chain(super::extension::FUNCTIONS);
        let mut finding = Finding::error(
            code::UNKNOWN_NAME,
            node.span,
            format!("there is no function `{name}`"),
        );
        finding.help = did_you_mean(name, known.chain(calls)).or_else(|| {
            Some(format!(
                "define it under `use.functions`, or call http, {}",
                super::extension::FUNCTIONS.join(", ")
            ))
        });
        self.findings.push(finding);
        None
    }
}
