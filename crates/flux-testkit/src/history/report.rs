//! What the checks found, for a person.

use std::fmt;

/// A rule that was broken: where, and what the evidence says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The run, where one is concerned.
    pub run: Option<String>,
    /// The branch, where one is concerned.
    pub branch: Option<String>,
    /// Its epoch, where one is concerned.
    pub epoch: Option<u64>,
    /// The records that contradict the rule, in a sentence.
    pub says: String,
}

impl Violation {
    /// Of no run in particular.
    pub fn new(says: impl Into<String>) -> Violation {
        Violation {
            says: says.into(),
            ..Violation::default()
        }
    }

    /// Of this run.
    #[must_use]
    pub fn run(mut self, run: &str) -> Violation {
        self.run = Some(run.to_owned());
        self
    }

    /// Of this branch.
    #[must_use]
    pub fn branch(mut self, branch: &str) -> Violation {
        self.branch = Some(branch.to_owned());
        self
    }

    /// Of this epoch.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Violation {
        self.epoch = Some(epoch);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(run) = &self.run {
            write!(f, "run {run}: ")?;
        }
        if let Some(branch) = &self.branch {
            write!(f, "branch {branch}: ")?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, "epoch {epoch}: ")?;
        }
        f.write_str(&self.says)
    }
}

/// What became of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Holds,
    /// It was broken.
    Broken(Vec<Violation>),
    /// The evidence does not suffice, for this reason.
    NotChecked(String),
}

/// One property and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Such as `S1`.
    pub rule: &'static str,
    /// The property in words.
    pub title: &'static str,
    /// What became of it.
    pub verdict: Verdict,
}

/// All properties and their verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// S1 to S12, then L1 to L7.
    pub findings: Vec<Finding>,
}

impl Report {
    /// What became of this property.
    pub fn verdict(&self, rule: &str) -> &Verdict {
        let finding = self.findings.iter().find(|finding| finding.rule == rule);
        &finding
            .unwrap_or_else(|| panic!("{rule} is no property"))
            .verdict
    }

    /// The properties that were broken.
    pub fn broken(&self) -> Vec<&'static str> {
        let broken = |finding: &&Finding| matches!(finding.verdict, Verdict::Broken(_));
        self.findings
            .iter()
            .filter(broken)
            .map(|f| f.rule)
            .collect()
    }

    /// Panics with the whole report when a property was broken.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.broken().is_empty(), "{self}");
    }
}

/// Most violations of one property that are printed: the first ones tell what is wrong.
const SHOWN: usize = 10;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the history of this test:")?;
        for finding in &self.findings {
            let Finding { rule, title, .. } = finding;
            match &finding.verdict {
                Verdict::Holds => writeln!(f, "  {rule:3} holds        {title}")?,
                Verdict::NotChecked(why) => {
                    writeln!(f, "  {rule:3} not checked  {title}: {why}")?;
                }
                Verdict::Broken(violations) => {
                    writeln!(f, "  {rule:3} BROKEN       {title}")?;
                    for violation in violations.iter().take(SHOWN) {
                        writeln!(f, "      {violation}")?;
                    }
                    if violations.len() > SHOWN {
                        writeln!(f, "      and {} more", violations.len() - SHOWN)?;
                    }
                }
            }
        }
        Ok(())
    }
}
