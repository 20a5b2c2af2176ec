//! `metadata.flux`: what Flux adds to the standard. Other metadata is free.

use crate::code;
use crate::cx::Cx;
use crate::expression::Place;
use crate::tree::{Entry, Node};
use flux_core::chart::{Breaks, Join, Rest, Template};
use flux_core::labels::Labels;

const TASK_KEYS: [&str; 7] = [
    "break",
    "onError",
    "join",
    "workingDirectory",
    "maxOutput",
    "exitCodes",
    "requires",
];

/// Settings of a process that the standard has no place for.
pub(crate) const PROCESS_KEYS: [&str; 3] = ["workingDirectory", "maxOutput", "exitCodes"];

/// What `metadata.flux` of a task says.
#[derive(Default)]
pub(crate) struct TaskFlux<'s> {
    pub breaks: Option<Breaks>,
    pub continue_on_error: bool,
    /// `join`, compiled by the fork.
    pub join: Option<&'s Entry>,
    /// Settings of a process.
    pub process: Vec<&'s Entry>,
    /// Labels of the engines that may perform it.
    pub requires: Labels,
}

impl<'s> Cx<'s> {
    /// Reads `metadata` of a task.
    pub(crate) fn task_flux(&mut self, metadata: Option<&'s Node>) -> TaskFlux<'s> {
        let mut flux = TaskFlux::default();
        let Some(metadata) = metadata else {
            return flux;
        };
        self.object(metadata, "`metadata`");
        let Some(node) = metadata.get("flux") else {
            return flux;
        };
        let Some(fields) = self.map(node, "`metadata.flux` of a task", &TASK_KEYS) else {
            return flux;
        };
        if let Some(node) = fields.get("break") {
            let breaks = |before, after| Breaks { before, after };
            flux.breaks = self.choice(
                node,
                "`break`",
                &[
                    ("none", breaks(false, false)),
                    ("before", breaks(true, false)),
                    ("after", breaks(false, true)),
                    ("around", breaks(true, true)),
                ],
            );
        }
        if let Some(node) = fields.get("onError") {
            flux.continue_on_error =
                self.choice(node, "`onError`", &[("continue", true), ("fail", false)])
                    == Some(true);
        }
        flux.join = fields.entry("join");
        if let Some(node) = fields.get("requires") {
            flux.requires = self.labels(node);
        }
        flux.process = PROCESS_KEYS
            .iter()
            .filter_map(|key| fields.entry(key))
            .collect();
        flux
    }

    /// `requires`: names and values of labels.
    pub(crate) fn labels(&mut self, node: &'s Node) -> Labels {
        let mut labels = Labels::default();
        let Some(fields) = self.object(node, "`requires`") else {
            return labels;
        };
        for entry in fields.entries() {
            let what = format!("the label `{}`", entry.key);
            let Some(value) = self.literal(&entry.value, &what) else {
                continue;
            };
            if let Err(message) = labels.insert(&entry.key, value) {
                let help = "such as `requires: { gpu: a100 }`";
                self.error_help(code::WRONG_VALUE, entry.value.span, message, help);
            }
        }
        labels
    }

    /// Reports settings that the kind of task has no use for.
    pub(crate) fn check_flux(&mut self, flux: &TaskFlux<'s>, kind: &str, process: bool) {
        if let Some(entry) = flux.join.filter(|_| kind != "fork") {
            let message = "`join` belongs to a `fork`";
            self.error(code::UNKNOWN_KEY, entry.key_span, message);
        }
        for entry in flux.process.iter().filter(|_| !process) {
            let message = format!("`{}` belongs to `run: shell` or `run: script`", entry.key);
            self.error(code::UNKNOWN_KEY, entry.key_span, message);
        }
    }

    /// Settings of a process, wherever they are written.
    pub(crate) fn process_setting(&mut self, entry: &'s Entry) -> Option<(String, Template)> {
        let node = &entry.value;
        let template = match entry.key.as_str() {
            "workingDirectory" => {
                self.text(node, "`workingDirectory`")?;
                self.template(node, Place::Task)?
            }
            "maxOutput" => {
                self.integer(node, "`maxOutput`", 1..=1 << 30)?;
                Template::Literal(node.to_value())
            }
            _ => {
                for code in self.list(node, "`exitCodes`")? {
                    self.integer(code, "an exit code", 0..=255)?;
                }
                Template::Literal(node.to_value())
            }
        };
        Some((entry.key.clone(), template))
    }

    /// `metadata.flux.join` of a fork with this many branches.
    pub(crate) fn join(&mut self, entry: &'s Entry, branches: usize) -> Option<(Join, Rest)> {
        let fields = self.map(&entry.value, "`join`", &["count", "when", "rest"])?;
        let rest = match fields.get("rest") {
            Some(node) => self.choice(
                node,
                "`join.rest`",
                &[("cancel", Rest::Cancel), ("leave", Rest::Leave)],
            )?,
            None => Rest::Cancel,
        };
        let join = match (fields.get("count"), fields.get("when")) {
            (Some(_), Some(when)) => {
                self.error(
                    code::CONFLICT,
                    when.span,
                    "a join has `count` or `when`, not both",
                );
                return None;
            }
            (Some(count), None) => {
                let most = i64::try_from(branches.max(1)).unwrap_or(i64::MAX);
                let count = self.integer(count, "`join.count`", 1..=most)?;
                Join::Count(u32::try_from(count).unwrap_or(u32::MAX))
            }
            (None, Some(when)) => Join::When(self.bare(when, "`join.when`", Place::Task)?),
            (None, None) => Join::All,
        };
        Some((join, rest))
    }
}
