//! The properties, one small function each. `Err` says why the evidence does not suffice.

mod actions;
mod commits;
mod members;
mod recovery;
mod runs;

use super::lives::Life;
use super::{
    Entry, Evidence, Finding, Held, Nanos, Report, Rules, RunEntry, Verdict, Violation, What,
};
use crate::witness::Mark;
use std::collections::{BTreeMap, BTreeSet};

/// The violations found, or why there is nothing to check.
pub(super) type Checked = Result<Vec<Violation>, String>;

type Check = fn(&Case) -> Checked;

const CHECKS: [(&str, &str, Check); 19] = [
    (
        "S1",
        "one committer for each branch and epoch",
        commits::one_committer,
    ),
    ("S2", "each transition exactly once", commits::exactly_once),
    ("S3", "no acknowledged run is lost", runs::none_lost),
    ("S4", "no premature failover", members::none_premature),
    (
        "S5",
        "no action of a branch beside another",
        actions::none_at_once,
    ),
    (
        "S6",
        "each step at least once, under one name",
        actions::at_least_once,
    ),
    (
        "S7",
        "back exactly to the last commit point",
        commits::back_to_the_break,
    ),
    (
        "S8",
        "what waits is not taken over",
        commits::waiting_is_left_alone,
    ),
    (
        "S9",
        "branches arrive and waits go on once",
        runs::goes_on_once,
    ),
    ("S10", "the end is final", runs::end_is_final),
    ("S11", "no more members than allowed", members::not_too_many),
    ("S12", "who is dead stays dead", members::dead_stays_dead),
    ("L1", "the dead are found in time", recovery::found_in_time),
    (
        "L2",
        "what was freed is claimed in time",
        recovery::resumed_in_time,
    ),
    (
        "L3",
        "an owner notices its own loss first",
        actions::own_loss_first,
    ),
    (
        "L4",
        "every run ends once the faults are over",
        runs::all_end,
    ),
    ("L5", "what is ready is claimed in time", recovery::fair),
    (
        "L6",
        "after a drain nothing waits for a window",
        recovery::drained,
    ),
    (
        "L7",
        "a poisoned branch costs few engines",
        recovery::poison_bounded,
    ),
];

/// The evidence with what follows from it.
pub(super) struct Case<'e> {
    pub evidence: &'e Evidence,
    pub rules: &'e Rules,
    pub lives: Vec<Life>,
    /// Who said to hold a branch in an epoch: by claims and commits.
    pub owners: BTreeMap<(&'e str, u64), BTreeSet<&'e str>>,
    /// The claims and commits of the trail, by their run.
    told: BTreeMap<&'e str, Vec<&'e Entry>>,
    /// The marks, by their branch.
    marks: BTreeMap<&'e str, Vec<&'e Mark>>,
}

/// Runs every check.
pub(super) fn all(case: &Case) -> Report {
    let findings = CHECKS.iter().map(|(rule, title, check)| {
        let verdict = match check(case) {
            Err(why) => Verdict::NotChecked(why),
            Ok(violations) if violations.is_empty() => Verdict::Holds,
            Ok(violations) => Verdict::Broken(violations),
        };
        Finding {
            rule,
            title,
            verdict,
        }
    });
    Report {
        findings: findings.collect(),
    }
}

impl<'e> Case<'e> {
    pub fn new(evidence: &'e Evidence, rules: &'e Rules) -> Case<'e> {
        let mut owners: BTreeMap<(&str, u64), BTreeSet<&str>> = BTreeMap::new();
        let mut told: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &evidence.trail {
            let (What::Claimed { branch, .. } | What::Committed { branch, .. }) = &entry.what
            else {
                continue;
            };
            let holders = owners.entry((&branch.branch, branch.epoch)).or_default();
            holders.insert(&entry.engine);
            told.entry(&branch.run).or_default().push(entry);
        }
        let mut marks: BTreeMap<&str, Vec<&Mark>> = BTreeMap::new();
        for mark in &evidence.marks {
            marks.entry(mark.branch()).or_default().push(mark);
        }
        Case {
            evidence,
            rules,
            lives: Life::all(&evidence.trail, &evidence.deeds),
            owners,
            told,
            marks,
        }
    }

    /// The claims and commits of a run in the trail.
    pub fn told_of(&self, run: &str) -> &[&'e Entry] {
        self.told.get(run).map_or(&[], Vec::as_slice)
    }

    /// The marks of a branch.
    pub fn marks_of(&self, branch: &str) -> &[&'e Mark] {
        self.marks.get(branch).map_or(&[], Vec::as_slice)
    }

    /// Who held the branch in that epoch, as far as the trail tells.
    pub fn owner(&self, branch: &str, epoch: u64) -> Option<&'e str> {
        let holders = self.owners.get(&(branch, epoch))?;
        holders.first().copied()
    }

    /// The same where there was no other: an epoch that was lost begins again, with another owner.
    pub fn only_owner(&self, branch: &str, epoch: u64) -> Option<&'e str> {
        let holders = self.owners.get(&(branch, epoch))?;
        holders.first().copied().filter(|_| holders.len() == 1)
    }

    pub fn life(&self, engine: &str) -> Option<&Life> {
        self.lives.iter().find(|life| life.engine == engine)
    }

    /// Says why not, unless all that was acknowledged is in the one history of the database.
    pub fn nothing_undone(&self) -> Result<(), String> {
        match self.rules.lost_tail {
            true => Err("the database lost its last commits".to_owned()),
            false => Ok(()),
        }
    }

    /// The trail, if the engines left one.
    pub fn trail(&self) -> Result<&'e [Entry], String> {
        match self.evidence.trail.as_slice() {
            [] => Err("no engine left a trail".to_owned()),
            trail => Ok(trail),
        }
    }

    /// The runs of the record, if there are any.
    pub fn runs(&self) -> Result<&'e [RunEntry], String> {
        match self.evidence.record.runs.as_slice() {
            [] => Err("the database has no run".to_owned()),
            runs => Ok(runs),
        }
    }

    /// Commits in the trail: who, when, which, and what came then.
    pub fn committed(&self) -> impl Iterator<Item = (&'e Entry, &'e Held, &'e str)> + use<'e> {
        self.evidence
            .trail
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Committed { branch, then } => Some((entry, branch, then.as_str())),
                _ => None,
            })
    }

    /// Whether an operator has sent the branch back after it had failed.
    pub fn was_sent_back(&self, branch: &str) -> bool {
        let mut all = self
            .evidence
            .record
            .runs
            .iter()
            .flat_map(|run| &run.takeovers);
        all.any(|takeover| takeover.recovered && takeover.branch == branch)
    }

    pub fn slack(&self) -> Nanos {
        self.rules.slack.as_nanos() as Nanos
    }

    /// Whether the machine stood still for longer than this, in that time.
    pub fn stalled(&self, longer: Nanos, from: Nanos, to: Nanos) -> bool {
        self.evidence.deeds.iter().any(|deed| match deed.did {
            super::Did::Stalled(since) => {
                deed.at.saturating_sub(since) > longer && deed.at >= from && since <= to
            }
            _ => false,
        })
    }
}

/// About a branch in somebody's hands.
pub(super) fn about(held: &Held, says: String) -> Violation {
    Violation::new(says)
        .run(&held.run)
        .branch(&held.branch)
        .epoch(held.epoch)
}

/// Seconds for a person.
pub(super) fn secs(nanos: Nanos) -> String {
    format!(
        "{:.3} s",
        std::time::Duration::from_nanos(nanos).as_secs_f64()
    )
}
