//! `use`: what tasks refer to by name. Entries are compiled where they are used, because only
//! there it is known which variables they see; those never used are compiled at the end.

use crate::code;
use crate::cx::{Cx, did_you_mean};
use crate::finding::Finding;
use crate::tree::{Entry, Node};
use std::collections::HashSet;

/// A section of `use` whose entries have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Section {
    Retries,
    Errors,
    Timeouts,
    Functions,
    Authentications,
}

impl Section {
    pub(crate) const ALL: [Section; 5] = [
        Section::Retries,
        Section::Errors,
        Section::Timeouts,
        Section::Functions,
        Section::Authentications,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Retries => "retries",
            Section::Errors => "errors",
            Section::Timeouts => "timeouts",
            Section::Functions => "functions",
            Section::Authentications => "authentications",
        }
    }
}

/// The `use` section, and which of its entries were used.
#[derive(Default)]
pub(crate) struct Reuse<'s> {
    node: Option<&'s Node>,
    used: HashSet<(Section, &'s str)>,
}

impl<'s> Reuse<'s> {
    pub(crate) fn of(root: &'s Node) -> Reuse<'s> {
        Reuse {
            node: root.get("use"),
            used: HashSet::new(),
        }
    }

    pub(crate) fn entries(&self, section: Section) -> &'s [Entry] {
        self.node
            .and_then(|node| node.get(section.name()))
            .map_or(&[], Node::entries)
    }
}

const KEYS: [&str; 8] = [
    "authentications",
    "errors",
    "extensions",
    "functions",
    "retries",
    "secrets",
    "timeouts",
    "catalogs",
];

impl<'s> Cx<'s> {
    /// Checks the shape of `use` and refuses what is not supported.
    pub(crate) fn check_use(&mut self) {
        let Some(node) = self.reuse.node else { return };
        let Some(fields) = self.map(node, "`use`", &KEYS) else {
            return;
        };
        for section in Section::ALL {
            if let Some(node) = fields.get(section.name()) {
                let what = format!("`use.{}`", section.name());
                self.object(node, &what);
            }
        }
        if let Some(entry) = fields.entry("extensions") {
            let help = "write the tasks out before and after the ones they extend";
            self.unsupported(code::NO_EXTENSIONS, entry, help);
        }
        if let Some(entry) = fields.entry("catalogs") {
            let help = "define the functions under `use.functions`";
            self.unsupported(code::NO_CATALOG, entry, help);
        }
        if let Some(entry) = fields.entry("secrets") {
            let help = "pass it as input, or let a process read it from its environment";
            self.unsupported(code::NO_SECRETS, entry, help);
        }
    }

    fn unsupported(&mut self, code: &'static str, entry: &Entry, help: &str) {
        let message = format!("`use.{}` is not supported", entry.key);
        self.error_help(code, entry.key_span, message, help);
    }

    /// The entry with the name that is written here; reports a name that is not defined.
    pub(crate) fn named(&mut self, section: Section, written: &'s Node) -> Option<&'s Entry> {
        let what = format!("a name of `use.{}`", section.name());
        let name = self.literal(written, &what)?;
        let entries = self.reuse.entries(section);
        if let Some(entry) = entries.iter().find(|entry| entry.key == name) {
            self.reuse.used.insert((section, &entry.key));
            return Some(entry);
        }
        let message = format!("`{name}` is not defined under `use.{}`", section.name());
        let mut finding = Finding::error(code::UNKNOWN_NAME, written.span, message);
        finding.help = did_you_mean(name, entries.iter().map(|entry| entry.key.as_str()));
        self.findings.push(finding);
        None
    }

    /// Marks and returns the entry, when there is one.
    pub(crate) fn find_named(&mut self, section: Section, name: &str) -> Option<&'s Entry> {
        let entry = self
            .reuse
            .entries(section)
            .iter()
            .find(|entry| entry.key == name)?;
        self.reuse.used.insert((section, &entry.key));
        Some(entry)
    }

    /// Compiles what no task used, for its diagnostics only.
    pub(crate) fn check_unused(&mut self) {
        for section in Section::ALL {
            for entry in self.reuse.entries(section) {
                if !self.reuse.used.contains(&(section, entry.key.as_str())) {
                    self.check_entry(section, entry);
                }
            }
        }
    }

    fn check_entry(&mut self, section: Section, entry: &'s Entry) {
        match section {
            Section::Retries => {
                self.with_vars(&["error"], |cx| cx.retry_policy(&entry.value));
            }
            Section::Errors => {
                self.error_definition(&entry.value);
            }
            Section::Timeouts => {
                self.timeout_policy(&entry.value);
            }
            Section::Authentications => {
                self.authentication_policy(&entry.value);
            }
            Section::Functions => self.check_function(entry),
        }
    }
}
