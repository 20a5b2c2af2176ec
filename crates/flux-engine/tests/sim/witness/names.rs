//! Short names for what has long ids.

use flux_core::ids::{BranchId, Incarnation, RunId};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Names {
    runs: BTreeMap<RunId, String>,
    branches: BTreeMap<BranchId, String>,
    incarnations: BTreeMap<Incarnation, String>,
}

impl Names {
    pub fn name_run(&mut self, run: RunId) {
        let name = format!("r{}", self.runs.len() + 1);
        self.runs.entry(run).or_insert(name);
    }

    pub fn name_branch(&mut self, run: RunId, branch: BranchId) {
        self.name_run(run);
        let name = format!("{}.{}", self.run(run), self.branches.len() + 1);
        self.branches.entry(branch).or_insert(name);
    }

    /// `engine`: on which machine it lives.
    pub fn name_incarnation(&mut self, who: Incarnation, engine: &str) {
        let name = format!("{engine}#{}", self.incarnations.len() + 1);
        self.incarnations.entry(who).or_insert(name);
    }

    pub fn run(&self, run: RunId) -> String {
        self.runs.get(&run).cloned().unwrap_or(run.to_string())
    }

    pub fn branch(&self, branch: BranchId) -> String {
        let name = self.branches.get(&branch).cloned();
        name.unwrap_or(branch.to_string())
    }

    /// The text with names in the place of ids.
    pub fn shorten(&self, text: &str) -> String {
        let runs = self.runs.iter().map(|(id, name)| (id.to_string(), name));
        let branches = self
            .branches
            .iter()
            .map(|(id, name)| (id.to_string(), name));
        let members = self
            .incarnations
            .iter()
            .map(|(id, name)| (id.to_string(), name));
        let all = runs.chain(branches).chain(members);
        all.fold(text.to_owned(), |text, (id, name)| text.replace(&id, name))
    }

    pub fn incarnation(&self, who: Incarnation) -> String {
        let name = self.incarnations.get(&who).cloned();
        name.unwrap_or(who.to_string())
    }
}
