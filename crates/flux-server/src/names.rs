//! Names of resources: one way to write each, read strictly.

use flux_core::chart::WorkflowName;
use flux_core::ids::{BranchId, Incarnation, RunId};
use flux_core::throttle::Scope;
use uuid::Uuid;

/// An example.
pub(crate) const RUN: &str = "runs/0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f";
/// An example.
pub(crate) const ENGINE: &str = "engines/0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f";
/// An example.
pub(crate) const WORKFLOW: &str = "namespaces/sales/workflows/order-approval/versions/1.0.0";
/// An example.
pub(crate) const THROTTLE: &str = "namespaces/sales/workflows/order-approval/throttle";
/// The engine that is asked.
pub(crate) const OWN_ENGINE: &str = "engines/-";

/// The name of a run.
pub(crate) fn run(id: RunId) -> String {
    format!("runs/{id}")
}

/// The name of a branch.
pub(crate) fn branch(run: RunId, branch: BranchId) -> String {
    format!("runs/{run}/branches/{branch}")
}

/// The name of a branch whose run is not known here.
pub(crate) fn branch_of_some_run(branch: BranchId) -> String {
    format!("runs/-/branches/{branch}")
}

/// The name of an engine.
pub(crate) fn engine(id: Incarnation) -> String {
    format!("engines/{id}")
}

/// The name of a workflow version.
pub(crate) fn workflow(name: &WorkflowName) -> String {
    let (namespace, version) = (&name.namespace, &name.version);
    format!(
        "namespaces/{namespace}/workflows/{}/versions/{version}",
        name.name
    )
}

/// The name of a throttle.
pub(crate) fn throttle(scope: &Scope) -> String {
    let namespace = &scope.namespace;
    match &scope.name {
        Some(name) => format!("namespaces/{namespace}/workflows/{name}/throttle"),
        None => format!("namespaces/{namespace}/throttle"),
    }
}

/// The scope in a throttle's name.
pub(crate) fn parse_throttle(name: &str) -> Option<Scope> {
    let parts: Vec<&str> = name.split('/').collect();
    let (namespace, workflow) = match parts[..] {
        ["namespaces", namespace, "throttle"] => (namespace, None),
        ["namespaces", namespace, "workflows", name, "throttle"] => (namespace, Some(name)),
        _ => return None,
    };
    (is_label(namespace) && workflow.is_none_or(is_label)).then(|| Scope {
        namespace: namespace.to_owned(),
        name: workflow.map(str::to_owned),
    })
}

/// The UUID in `folder/{uuid}`, which must be written as this interface writes it.
pub(crate) fn uuid(folder: &str, name: &str) -> Option<Uuid> {
    let text = name.strip_prefix(folder)?.strip_prefix('/')?;
    let id = Uuid::try_parse(text).ok()?;
    (id.to_string() == text).then_some(id)
}

/// The parts of a workflow version's name.
pub(crate) fn parse_workflow(name: &str) -> Option<WorkflowName> {
    let mut parts = name.split('/');
    let mut after = |folder: &str| {
        (parts.next() == Some(folder))
            .then(|| parts.next())
            .flatten()
    };
    let (namespace, name, version) = (
        after("namespaces")?,
        after("workflows")?,
        after("versions")?,
    );
    let legal =
        parts.next().is_none() && is_label(namespace) && is_label(name) && is_version(version);
    legal.then(|| WorkflowName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

/// Whether it can be a namespace or the name of a workflow.
pub(crate) fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(legal)
}

fn is_version(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    (1..=100).contains(&text.len()) && text.bytes().all(legal)
}

/// Whether it is a W3C trace context.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        return false;
    };
    let hex = |text: &str, length: usize| {
        let digits = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        text.len() == length && digits
    };
    let some = |text: &str| text.bytes().any(|byte| byte != b'0');
    let ids = hex(trace, 32) && some(trace) && hex(span, 16) && some(span);
    hex(version, 2) && version != "ff" && ids && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_in_one_way() {
        assert_eq!(
            uuid("runs", RUN).map(|id| run(RunId::new(id))).as_deref(),
            Some(RUN)
        );
        let id = "0193f0a2-5c1e-7cc3-98c4-dc0c0c07398f";
        for wrong in [
            id.to_owned(),
            format!("runs/{}", id.to_uppercase()),
            format!("runs/{}", id.replace('-', "")),
            format!("runs/{{{id}}}"),
            format!("runs/{id}/"),
            format!("/runs/{id}"),
            format!("run/{id}"),
            "runs/".to_owned(),
            String::new(),
        ] {
            assert_eq!(uuid("runs", &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_workflow_has_three_legal_parts() {
        let name = parse_workflow(WORKFLOW);
        assert_eq!(name.map(|name| workflow(&name)).as_deref(), Some(WORKFLOW));
        for wrong in [
            "namespaces/sales/workflows/order-approval",
            "namespaces/sales/workflows/order-approval/versions/",
            "namespaces/sales/workflows/order-approval/versions/1.0.0/",
            "namespaces/-sales/workflows/order/versions/1.0.0",
            "namespaces/sales/workflows/a b/versions/1.0.0",
            "namespaces/sales/workflow/order/versions/1.0.0",
        ] {
            assert_eq!(parse_workflow(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_trace_context_is_the_one_of_w3c() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        for wrong in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
