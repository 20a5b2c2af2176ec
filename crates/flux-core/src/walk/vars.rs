//! The variables that expressions see: `$context`, `$input`, `$output`, `$workflow`, `$task`,
//! `$runtime`, and what the scopes around a task define.

use super::memory::{Frame, Local, Phase, Variable};
use super::{Env, Walk};
use crate::chart::{Chart, Fault, Filter, Kind, Node};
use crate::expr::{EvalError, Scope};
use crate::value::{self, Value};

/// Values that do not change during a walk.
#[derive(Debug)]
pub(super) struct Constants {
    workflow: Value,
    runtime: Value,
}

impl Constants {
    pub fn of(chart: &Chart, env: &Env) -> Constants {
        let workflow = value::object([
            ("id", value::text(&env.run.to_string())),
            ("definition", chart.document.clone()),
            ("input", env.run_input.clone()),
            ("startedAt", started_at(env.run_started_at)),
        ]);
        let runtime = value::object([
            ("name", value::text("flux")),
            ("version", value::text(env.version)),
        ]);
        Constants { workflow, runtime }
    }
}

/// As the DSL gives instants: `{iso8601, epoch: {seconds, milliseconds}}`.
fn started_at(at: crate::clock::Timestamp) -> Value {
    let micros = at.as_micros();
    value::from_serde(serde_json::json!({
        "iso8601": at.to_string(),
        "epoch": { "seconds": micros / 1_000_000, "milliseconds": micros / 1_000 },
    }))
}

impl Walk {
    /// What is visible at a node: `input` is its transformed input, when it is known.
    pub(super) fn scope(&self, node: &Node, raw: &Value, input: Option<&Value>) -> Scope {
        let mut scope = Scope::new();
        scope.set("context", self.memory.context.clone());
        scope.set("workflow", self.constants.workflow.clone());
        scope.set("runtime", self.constants.runtime.clone());
        scope.set("input", input.unwrap_or(raw).clone());
        scope.set("task", self.task(node, raw));
        for variable in self.locals() {
            scope.set(variable.name, variable.value);
        }
        scope
    }

    fn task(&self, node: &Node, raw: &Value) -> Value {
        value::object([
            ("name", value::text(&node.name)),
            ("reference", value::text(&node.reference)),
            ("definition", node.definition.clone()),
            ("input", raw.clone()),
            ("startedAt", started_at(self.now)),
        ])
    }

    /// Variables of the scopes around, outermost first, so that inner ones win.
    pub(super) fn locals(&self) -> Vec<Variable> {
        let mut all = self.memory.inherited.clone();
        for frame in &self.memory.frames {
            self.locals_of(frame, &mut all);
        }
        all
    }

    fn locals_of(&self, frame: &Frame, into: &mut Vec<Variable>) {
        let mut add = |name: &str, value: Value| {
            into.push(Variable {
                name: name.to_owned(),
                value,
            });
        };
        match (&self.chart.node(frame.node).kind, &frame.local) {
            (Kind::For(each), Local::For { items, index }) => {
                add(&each.each, value::item(items, *index));
                add(&each.at, value::integer(*index));
            }
            (Kind::Try(block), Local::Try(local)) => {
                if let Phase::Handler { fault } = &local.phase {
                    add(&block.name, fault_value(fault));
                }
            }
            (Kind::Listen(listen), Local::Listen(heard)) => {
                if let (Some(foreach), Some(event)) = (&listen.foreach, heard.current()) {
                    add(&foreach.item, event.clone());
                    add(&foreach.at, value::integer(heard.count() - 1));
                }
            }
            _ => {}
        }
    }

    /// Applies `from` or `as`, then checks the schema.
    pub(super) fn filter(
        &self,
        filter: &Filter,
        what: &str,
        data: Value,
        scope: &Scope,
    ) -> Result<Value, Fault> {
        let data = match &filter.template {
            Some(template) => template.eval(&data, scope)?,
            None => data,
        };
        super::begin::check(filter, what, &data)?;
        Ok(data)
    }
}

/// An error as data.
pub(super) fn fault_value(fault: &Fault) -> Value {
    let json = serde_json::to_value(fault).expect("a fault is plain data");
    value::from_serde(json)
}

/// Whether a condition holds: jq's notion of truth.
pub(super) fn holds(
    expr: &crate::expr::Expr,
    input: &Value,
    scope: &Scope,
) -> Result<bool, EvalError> {
    Ok(value::is_truthy(&expr.eval(input, scope)?))
}
