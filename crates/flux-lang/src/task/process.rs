//! `run`: processes and other workflows.

use super::Task;
use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::fields::Fields;
use crate::tree::{Data, Entry, Node};
use flux_core::chart::{Action, ActionKind, Kind, SubWorkflow, Template, literal};
use flux_core::value;

const KINDS: [&str; 4] = ["shell", "script", "workflow", "container"];

/// What of a process becomes the output.
pub(super) const PROCESS_RETURN: [(&str, &str); 5] = [
    ("stdout", "stdout"),
    ("stderr", "stderr"),
    ("code", "code"),
    ("all", "all"),
    ("none", "none"),
];

/// Languages of scripts and the interpreter that runs them.
const LANGUAGES: [(&str, &str); 5] = [
    ("python", "python3"),
    ("js", "node"),
    ("javascript", "node"),
    ("sh", "sh"),
    ("bash", "bash"),
];

type Parts = Vec<(String, Template)>;

/// A text as it is.
pub(super) fn literal_text(text: &str) -> Template {
    literal(value::text(text))
}

impl<'s> Cx<'s> {
    pub(super) fn run(&mut self, task: &Task<'s>) -> Option<Kind> {
        let node = task.get("run")?;
        let known: Vec<_> = KINDS.into_iter().chain(["await", "return"]).collect();
        let fields = self.map(node, "`run`", &known)?;
        let kinds: Vec<&'s Entry> = KINDS.iter().filter_map(|kind| fields.entry(kind)).collect();
        let [entry] = kinds.as_slice() else {
            let message = format!("`run` has one of {}", KINDS.join(", "));
            let span = kinds.get(1).map_or(node.span, |entry| entry.key_span);
            let code = if kinds.is_empty() {
                code::MISSING_KEY
            } else {
                code::CONFLICT
            };
            self.error(code, span, message);
            return None;
        };
        let wait = match fields.get("await") {
            Some(node) => self.boolean(node, "`run.await`")?,
            None => true,
        };
        match entry.key.as_str() {
            "workflow" => self.workflow(&entry.value, fields, wait),
            "container" => {
                let message = "`run: container` is not supported";
                let help = "call the container tool yourself with `run: shell`";
                self.error_help(code::NO_CONTAINER, entry.key_span, message, help);
                None
            }
            _ => self.command(task, entry, fields, wait),
        }
    }

    fn command(
        &mut self,
        task: &Task<'s>,
        entry: &'s Entry,
        run: Fields<'s>,
        wait: bool,
    ) -> Option<Kind> {
        if let Some(node) = run.get("await").filter(|_| !wait) {
            let message = "a process that nobody waits for is not supported";
            let help = "put it into a `fork` whose join does not need it";
            self.error_help(code::NO_DETACH, node.span, message, help);
        }
        let mut parts = Parts::new();
        let kind = match entry.key.as_str() {
            "shell" => self.shell(&entry.value, &mut parts)?,
            _ => self.script(&entry.value, &mut parts)?,
        };
        if let Some(node) = run.get("return") {
            let choice = self.choice(node, "`run.return`", &PROCESS_RETURN)?;
            parts.push(("return".to_owned(), literal_text(choice)));
        }
        for entry in &task.flux.process {
            parts.push(self.process_setting(entry)?);
        }
        Some(Kind::Action(Action {
            kind,
            with: Template::Object(parts),
        }))
    }

    fn shell(&mut self, node: &'s Node, parts: &mut Parts) -> Option<ActionKind> {
        let known = ["command", "arguments", "environment", "stdin"];
        let fields = self.map(node, "`run.shell`", &known)?;
        let command = self.require(fields, "command", "`run.shell`")?;
        let command = self.code_template(command, "`shell.command`")?;
        parts.push(("command".to_owned(), command));
        self.arguments(fields, parts);
        self.environment(fields, parts);
        Some(ActionKind::Shell)
    }

    fn script(&mut self, node: &'s Node, parts: &mut Parts) -> Option<ActionKind> {
        let known = [
            "language",
            "code",
            "source",
            "arguments",
            "environment",
            "stdin",
        ];
        let fields = self.map(node, "`run.script`", &known)?;
        if let Some(entry) = fields.entry("source") {
            let message = "scripts from external resources are not supported";
            self.error_help(
                code::NO_RESOURCE,
                entry.key_span,
                message,
                "put the script into `code`",
            );
            return None;
        }
        let language = self.require(fields, "language", "`run.script`")?;
        let text = self.literal(language, "`script.language`")?;
        let Some((_, program)) = LANGUAGES.iter().find(|(name, _)| *name == text) else {
            let names = LANGUAGES.map(|(name, _)| name);
            let message = format!("scripts in `{text}` are not supported");
            let help = format!("one of {}; others with `run: shell`", names.join(", "));
            self.error_help(code::NO_LANGUAGE, language.span, message, help);
            return None;
        };
        let code = self.require(fields, "code", "`run.script`")?;
        parts.push(("language".to_owned(), literal_text(program)));
        parts.push((
            "code".to_owned(),
            self.code_template(code, "`script.code`")?,
        ));
        self.arguments(fields, parts);
        self.environment(fields, parts);
        Some(ActionKind::Script)
    }

    fn arguments(&mut self, fields: Fields<'s>, parts: &mut Parts) {
        let Some(node) = fields.get("arguments") else {
            return;
        };
        match &node.data {
            Data::List(_) | Data::Map(_) => {}
            Data::Text(text) if crate::expression::is_expression(text) => {}
            _ => self.wrong_type(node, "`arguments`", "a list"),
        }
        if let Some(template) = self.template(node, Place::Task) {
            parts.push(("arguments".to_owned(), template));
        }
    }

    /// `environment` and `stdin`.
    pub(super) fn environment(&mut self, fields: Fields<'s>, parts: &mut Parts) {
        if let Some(node) = fields.get("environment") {
            match &node.data {
                Data::Map(_) => {}
                Data::Text(text) if crate::expression::is_expression(text) => {}
                _ => self.wrong_type(node, "`environment`", "an object"),
            }
            if let Some(template) = self.template(node, Place::Task) {
                parts.push(("environment".to_owned(), template));
            }
        }
        if let Some(node) = fields.get("stdin")
            && let Some(template) = self.code_template(node, "`stdin`")
        {
            parts.push(("stdin".to_owned(), template));
        }
    }

    fn workflow(&mut self, node: &'s Node, run: Fields<'s>, wait: bool) -> Option<Kind> {
        if let Some(entry) = run.entry("return") {
            let message = "`return` belongs to processes; a workflow returns its output";
            self.error(code::UNKNOWN_KEY, entry.key_span, message);
        }
        let known = ["namespace", "name", "version", "input"];
        let fields = self.map(node, "`run.workflow`", &known)?;
        let mut name = |key: &str| {
            let node = self.require(fields, key, "`run.workflow`")?;
            let text = self.literal(node, &format!("`workflow.{key}`"))?;
            self.document_name(node, key, text).then(|| text.to_owned())
        };
        let (namespace, name) = (name("namespace"), name("name"));
        let version = match fields.get("version") {
            Some(node) => {
                let text = self.literal(node, "`workflow.version`")?;
                if text != "latest" {
                    self.semver(node, text);
                }
                text.to_owned()
            }
            None => "latest".to_owned(),
        };
        let input = match fields.get("input") {
            Some(node) => Some(self.template(node, Place::Task)?),
            None => None,
        };
        let (namespace, name) = (namespace?, name?);
        Some(Kind::Run(SubWorkflow {
            namespace,
            name,
            version,
            input,
            wait,
        }))
    }
}
