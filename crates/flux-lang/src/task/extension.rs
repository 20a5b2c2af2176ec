//! `call: name:version@default`: the functions that Flux adds to the standard.

use super::Task;
use super::process::{PROCESS_RETURN, literal_text};
use crate::code;
use crate::cx::{Cx, did_you_mean};
use crate::expression::Place;
use crate::metadata::PROCESS_KEYS;
use crate::tree::Node;
use flux_core::chart::{Action, ActionKind, FileTrigger, Kind, Template};
use flux_core::time_expression::TimeExpression;
use std::time::Duration;

/// As they are written.
pub(super) const FUNCTIONS: [&str; 3] = ["process:1@default", "file:1@default", "timer:1@default"];

impl<'s> Cx<'s> {
    pub(super) fn extension(
        &mut self,
        task: &Task<'s>,
        call: &'s Node,
        function: &str,
        catalog: &str,
    ) -> Option<Kind> {
        if catalog != "default" {
            let message = format!("the catalog `{catalog}` is not supported");
            let help = "only `default` is: the functions that are built in";
            self.error_help(code::NO_CATALOG, call.span, message, help);
            return None;
        }
        let (name, version) = function.split_once(':').unwrap_or((function, ""));
        if !matches!(version, "1" | "1.0" | "1.0.0")
            || !["process", "file", "timer"].contains(&name)
        {
            let message = format!("there is no function `{function}@{catalog}`");
            let help = did_you_mean(&format!("{function}@{catalog}"), FUNCTIONS)
                .unwrap_or_else(|| format!("one of {}", FUNCTIONS.join(", ")));
            self.error_help(code::UNKNOWN_NAME, call.span, message, help);
            return None;
        }
        let with = self.require(task.fields, "with", "this call")?;
        match name {
            "process" => self.process(with),
            "file" => self.file(with),
            _ => self.timer(with),
        }
    }

    fn process(&mut self, with: &'s Node) -> Option<Kind> {
        let known = ["command", "environment", "stdin", "return"];
        let known: Vec<_> = known.into_iter().chain(PROCESS_KEYS).collect();
        let fields = self.map(with, "`with` of a process", &known)?;
        let command = self.require(fields, "command", "a process")?;
        match command
            .as_text()
            .is_some_and(crate::expression::is_expression)
        {
            true => {}
            false if self.list(command, "`command`")?.is_empty() => {
                self.error(code::EMPTY_BODY, command.span, "`command` names no program");
                return None;
            }
            false => {}
        }
        let mut parts = vec![("command".to_owned(), self.template(command, Place::Task)?)];
        self.environment(fields, &mut parts);
        if let Some(node) = fields.get("return") {
            let choice = self.choice(node, "`return`", &PROCESS_RETURN)?;
            parts.push(("return".to_owned(), literal_text(choice)));
        }
        for key in PROCESS_KEYS {
            if let Some(entry) = fields.entry(key) {
                parts.push(self.process_setting(entry)?);
            }
        }
        Some(Kind::Action(Action {
            kind: ActionKind::Process,
            with: Template::Object(parts),
        }))
    }

    fn file(&mut self, with: &'s Node) -> Option<Kind> {
        let fields = self.map(
            with,
            "`with` of a file trigger",
            &["path", "every", "stable"],
        )?;
        let path = self.require(fields, "path", "a file trigger")?;
        self.text(path, "`path`")?;
        let path = self.template(path, Place::Task);
        let mut duration = |key: &str, default| match fields.get(key) {
            Some(node) => self.literal_duration(node, &format!("`{key}`")),
            None => Some(default),
        };
        let every = duration("every", Duration::from_secs(3));
        let stable = duration("stable", Duration::ZERO);
        if every.is_some_and(|every| every.is_zero())
            && let Some(node) = fields.get("every")
        {
            self.error(
                code::DURATION,
                node.span,
                "`every` must be longer than nothing",
            );
        }
        let with = Template::Object(vec![("path".to_owned(), path?)]);
        Some(Kind::File(FileTrigger {
            with,
            every: every?,
            stable: stable?,
        }))
    }

    fn timer(&mut self, with: &'s Node) -> Option<Kind> {
        let fields = self.map(with, "`with` of a timer", &["at"])?;
        let at = self.require(fields, "at", "a timer")?;
        let text = self.text(at, "`at`")?;
        let template = self.template(at, Place::Task)?;
        if matches!(template, Template::Literal(_))
            && let Err(error) = text.parse::<TimeExpression>()
        {
            let message = format!("`{text}` is no time expression: {error}");
            self.error_help(code::TIME, at.span, message, "such as `+3m` or `+1d`");
            return None;
        }
        Some(Kind::WaitUntil(template))
    }
}
