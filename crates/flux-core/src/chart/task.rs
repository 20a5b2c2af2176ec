//! What the kinds of task carry.

use super::{FaultFilter, Next, NodeId, Template};
use crate::expr::Expr;
use crate::value::Value;
use std::time::Duration;

/// What a node does. Free kinds are evaluated in line, actions need an owner, triggers park.
#[derive(Debug)]
pub enum Kind {
    // Free: composite
    /// A sequence; `None` when it is empty.
    Do {
        /// First task.
        first: Option<NodeId>,
    },
    /// A sequential loop over a collection.
    For(For),
    /// A block whose errors are caught.
    Try(Box<Try>),
    /// A split into branches, and their join.
    Fork(Fork),

    // Free: leaves
    /// Its output is this.
    Set(Template),
    /// The first case that holds says what follows; none: the node's own `next`.
    Switch(Vec<Case>),
    /// Raises an error: an object `{type, status, title, detail, instance}` after evaluation.
    Raise(Template),
    /// Publishes an event: an object of CloudEvents attributes after evaluation. Published by the
    /// next commit, so exactly once; `id`, `time`, `specversion`, `source` are filled in.
    Emit(Template),

    // Actions: at-least-once between two commit points
    /// Work done outside the engine's memory.
    Action(Action),

    // Triggers: always transaction breaks, owned by nobody while they wait
    /// Waits for a duration: ISO 8601 text or an object of units after evaluation.
    Wait(Template),
    /// Waits until a wall-clock instant given by a time expression from now, such as `+3m`.
    WaitUntil(Template),
    /// Waits for events.
    Listen(Listen),
    /// Waits for a file to appear.
    File(FileTrigger),
    /// Starts a run of another workflow and, normally, waits for its end.
    Run(SubWorkflow),
}

/// `for`.
#[derive(Debug)]
pub struct For {
    /// Variable that holds the item, without `$`.
    pub each: String,
    /// Variable that holds the index.
    pub at: String,
    /// Evaluates to the array.
    pub items: Template,
    /// `while`: checked before each turn.
    pub condition: Option<Expr>,
    /// First task of the body.
    pub first: Option<NodeId>,
}

/// `try`.
#[derive(Debug)]
pub struct Try {
    /// First task of the block.
    pub first: Option<NodeId>,
    /// Which errors are caught.
    pub filter: FaultFilter,
    /// Variable that holds the error in `when`, `exceptWhen` and the handler, without `$`.
    pub name: String,
    /// Caught only when this holds.
    pub when: Option<Expr>,
    /// Not caught when this holds.
    pub except_when: Option<Expr>,
    /// Tried first; the handler follows when it is exhausted.
    pub retry: Option<Retry>,
    /// First task of the handler.
    pub handler: Option<NodeId>,
    /// `catch.then`: what follows when an error was caught; otherwise the node's own `next`.
    pub then: Option<Next>,
}

/// A retry policy; durations are templates of ISO 8601 text or objects of units.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Retry only when this holds.
    pub when: Option<Expr>,
    /// Do not retry when this holds.
    pub except_when: Option<Expr>,
    /// Base delay; zero when absent.
    pub delay: Option<Template>,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Added at random: from, to.
    pub jitter: Option<(Template, Template)>,
    /// At most this many attempts, the first included.
    pub attempts: Option<u32>,
    /// Longest duration of one attempt.
    pub attempt_duration: Option<Template>,
    /// Longest duration of all attempts together.
    pub duration: Option<Template>,
}

/// Growth of the delay between attempts, capped by the walker at one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// delay
    Constant,
    /// delay * attempt
    Linear,
    /// delay * 2^(attempt - 1)
    Exponential,
}

/// `fork`.
#[derive(Debug)]
pub struct Fork {
    /// Branches in declaration order; each is one node whose parent is the fork.
    pub branches: Vec<NodeId>,
    /// When the fork is done.
    pub join: Join,
    /// What happens to branches that are not done then.
    pub rest: Rest,
    /// `compete`: the output is the winner's instead of an array in declaration order.
    pub compete: bool,
}

/// Join rule.
#[derive(Debug)]
pub enum Join {
    /// All branches succeeded.
    All,
    /// This many branches succeeded (1 for `compete`).
    Count(u32),
    /// This holds over `{arrived: [{name, index, output, fault}]}`, checked at every arrival.
    When(Expr),
}

/// What becomes of the branches that a satisfied join did not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are cancelled.
    Cancel,
    /// They run to their end; their results are discarded.
    Leave,
}

/// A case of `switch`.
#[derive(Debug)]
pub struct Case {
    /// Holds always when absent.
    pub when: Option<Expr>,
    /// What follows.
    pub then: Next,
}

/// Work outside the engine's memory.
#[derive(Debug)]
pub struct Action {
    /// Which action.
    pub kind: ActionKind,
    /// Its parameters; evaluates to the object that the kind documents.
    pub with: Template,
}

/// The actions. Each evaluates `with` to an object of the shape given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// `{method, endpoint, headers?, query?, body?, output?: content|response|raw, redirect?: bool,
    /// authentication?: {basic: {username, password}} | {bearer: {token}} | {oauth2: {..}} | ..}`
    Http,
    /// `{command, arguments?: [text] | {name: value}, environment?, stdin?, return?, workingDirectory?,
    /// maxOutput?: bytes, exitCodes?: [int]}`, run by `/bin/sh -c`.
    Shell,
    /// `{language, code, arguments?, environment?, stdin?, return?, workingDirectory?, maxOutput?,
    /// exitCodes?}`, run by the language's interpreter.
    Script,
    /// `{command: [program, argument..], environment?, stdin?, return?, workingDirectory?,
    /// maxOutput?, exitCodes?}`, run without a shell.
    Process,
}

impl ActionKind {
    /// Lower-case name for logs and telemetry.
    pub fn name(self) -> &'static str {
        match self {
            ActionKind::Http => "http",
            ActionKind::Shell => "shell",
            ActionKind::Script => "script",
            ActionKind::Process => "process",
        }
    }
}

/// `listen`.
#[derive(Debug)]
pub struct Listen {
    /// Which events end the wait.
    pub to: Expect,
    /// What of an event goes into the output array.
    pub read: Read,
    /// `foreach`: run for each event as it is consumed: item and index variables, first task.
    pub foreach: Option<Foreach>,
}

/// Which events a listener waits for.
#[derive(Debug)]
pub enum Expect {
    /// One event that passes the filter.
    One(EventFilter),
    /// One event that passes any of the filters (all events when empty); with `until`, collects.
    Any {
        /// The filters.
        filters: Vec<EventFilter>,
        /// Collects until this.
        until: Option<Until>,
    },
    /// One event for each filter.
    All(Vec<EventFilter>),
}

/// When a collecting listener stops.
#[derive(Debug)]
pub enum Until {
    /// This holds over the array of what was read so far.
    Condition(Expr),
    /// Events that pass these are consumed (all of them when `all`, else any one).
    Consumed {
        /// The filters.
        filters: Vec<EventFilter>,
        /// Whether all of them must be met.
        all: bool,
    },
}

/// Which events pass.
#[derive(Debug)]
pub struct EventFilter {
    /// Attribute, and what it must be: a template that is compared, or for `data` an expression
    /// over the data that must hold.
    pub with: Vec<(String, Attribute)>,
    /// Correlations.
    pub correlate: Vec<Correlation>,
}

/// How an attribute is tested.
#[derive(Debug)]
pub enum Attribute {
    /// Must equal this.
    Equals(Template),
    /// Must hold, with the attribute's value as input.
    Holds(Expr),
}

/// `correlate`: a key taken from the event and what it must equal; without `expect` the first
/// event fixes the value for the listener.
#[derive(Debug)]
pub struct Correlation {
    /// Name of the key.
    pub key: String,
    /// Over the event's data... the whole event is `.`.
    pub from: Expr,
    /// Constant or expression over the listener's input.
    pub expect: Option<Template>,
}

/// What of an event a listener hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Its data.
    Data,
    /// The whole CloudEvent.
    Envelope,
}

/// `listen.foreach`.
#[derive(Debug)]
pub struct Foreach {
    /// Variable for the event, without `$`.
    pub item: String,
    /// Variable for the index.
    pub at: String,
    /// First task of the body; its parent is the listen node.
    pub first: Option<NodeId>,
}

/// `call: file:1@default`: waits until a path that matches exists.
#[derive(Debug)]
pub struct FileTrigger {
    /// Evaluates to `{path: glob}`.
    pub with: Template,
    /// How often to look.
    pub every: Duration,
    /// How long size and modification time must not have changed.
    pub stable: Duration,
}

/// `run: workflow`.
#[derive(Debug)]
pub struct SubWorkflow {
    /// Namespace of the definition.
    pub namespace: String,
    /// Name of the definition.
    pub name: String,
    /// Version, or `latest`.
    pub version: String,
    /// Input of the child; the task's input when absent.
    pub input: Option<Template>,
    /// Wait for its end.
    pub wait: bool,
}

/// A value for which no expression needs to be evaluated.
pub fn literal(value: Value) -> Template {
    Template::Literal(value)
}
