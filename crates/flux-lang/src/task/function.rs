//! Custom functions: `call: name` of `use.functions`, inlined.
//!
//! The calling task becomes a sequence of two: `with` as a `set`, whose output is the raw input of
//! the function's task, so that `input.schema` and `input.from` of the function apply to it.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::tree::{Entry, Node, escape};
use flux_core::chart::{Kind, Next, NodeId, Schema, Template};

impl<'s> Cx<'s> {
    pub(super) fn function(
        &mut self,
        task: &Task<'s>,
        call: &'s Node,
        function: &'s Entry,
    ) -> Option<Kind> {
        if self.calls.contains(&function.key.as_str()) {
            let message = format!("the function `{}` calls itself", function.key);
            self.error(code::RECURSION, call.span, message);
            return None;
        }
        let mut scope = Vec::new();
        if let Some(with) = task.get("with") {
            self.object(with, "`with`")?;
            let arguments = self.template(with, Place::Task);
            self.check_arguments(with, arguments.as_ref(), &function.value);
            let reference = format!("{}/with", task.reference);
            let id = self.begin("with", reference, task.name_span, Some(task.id), with)?;
            self.nodes[id.0 as usize].kind = Kind::Set(arguments?);
            scope.push(id);
        }
        let reference = format!("{}/{}", task.reference, escape(&function.key));
        let body = self.inline(function, task.id, reference)?;
        if let Some(with) = scope.first() {
            self.nodes[with.0 as usize].next = Next::To(body);
        }
        scope.push(body);
        let first = scope.first().copied();
        self.scopes.push(scope);
        Some(Kind::Do { first })
    }

    /// The function's task, which sees none of the caller's variables.
    fn inline(&mut self, function: &'s Entry, parent: NodeId, reference: String) -> Option<NodeId> {
        let vars = std::mem::take(&mut self.vars);
        let pending = std::mem::take(&mut self.pending);
        self.calls.push(&function.key);
        let id = self.task(function, parent, reference);
        self.resolve_alone("the function");
        self.calls.pop();
        (self.vars, self.pending) = (vars, pending);
        id
    }

    /// Arguments without expressions are checked against the function's schema now.
    fn check_arguments(
        &mut self,
        with: &'s Node,
        arguments: Option<&Template>,
        function: &'s Node,
    ) {
        let (Some(Template::Literal(_)), Some(document)) = (
            arguments,
            function
                .get("input")
                .and_then(|input| input.get("schema")?.get("document")),
        ) else {
            return;
        };
        let Ok(schema) = Schema::compile(&document.to_serde()) else {
            return;
        };
        for violation in schema.violations(&with.to_serde()) {
            let message = format!("the arguments violate the function's schema: {violation}");
            self.error(code::ARGUMENTS, with.span, message);
        }
    }

    /// Compiles a function that no task calls, and forgets the result.
    pub(crate) fn check_function(&mut self, function: &'s Entry) {
        let (nodes, scopes, listens) = (self.nodes.len(), self.scopes.len(), self.listens.len());
        let reference = format!("/use/functions/{}", escape(&function.key));
        self.inline(function, NodeId(0), reference);
        self.nodes.truncate(nodes);
        self.spans.truncate(nodes);
        self.scopes.truncate(scopes);
        self.listens.truncate(listens);
    }
}
