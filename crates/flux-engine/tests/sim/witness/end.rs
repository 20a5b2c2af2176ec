//! What must be true of a run that has ended: S2, S3, S6, S7.

use super::{Ended, Witness};
use crate::workflow::Workflow;
use flux_core::branch::RunState;
use flux_core::ids::BranchId;
use flux_core::ports::runs::{HistoryRecord, Outcome, RunRecord};
use std::collections::{BTreeMap, BTreeSet};

impl Witness {
    pub fn judge(&mut self, record: &RunRecord, history: &[HistoryRecord], workflow: &Workflow) {
        self.numbers_have_no_gap(history);
        let poisoned = record
            .outcome
            .as_ref()
            .is_some_and(Witness::outcome_was_poison);
        if poisoned {
            return;
        }
        let expected = match workflow.completes {
            true => RunState::Completed,
            false => RunState::Faulted,
        };
        let (run, state) = (record.id, record.state);
        self.must(state == expected, "S3", |n| {
            format!(
                "{} ended {state:?}, not {expected:?}: {:?}",
                n.run(run),
                record.outcome
            )
        });
        if let Some(Outcome::Completed { output }) = &record.outcome {
            let output = serde_json::from_str(output).unwrap_or_default();
            self.output_is_of_the_commits(record, &output, history, workflow);
        }
    }

    /// Each commit point of a branch has its number, and each number one commit point.
    fn numbers_have_no_gap(&mut self, history: &[HistoryRecord]) {
        let mut numbers: BTreeMap<BranchId, Vec<u64>> = BTreeMap::new();
        let commits = history
            .iter()
            .filter(|row| !row.events.contains("\"takeover\""));
        for row in commits {
            numbers
                .entry(row.branch)
                .or_default()
                .push(row.commit_no.get());
        }
        for (branch, mut found) in numbers {
            found.sort_unstable();
            let expected: Vec<u64> = (1..=found.len() as u64).collect();
            self.must(found == expected, "S2", |n| {
                format!("{} has the commit points {found:?}", n.branch(branch))
            });
        }
    }

    /// What a run has come to was made by attempts whose end is behind a commit of their own epoch.
    fn output_is_of_the_commits(
        &mut self,
        record: &RunRecord,
        output: &serde_json::Value,
        history: &[HistoryRecord],
        workflow: &Workflow,
    ) {
        for (step, times) in &workflow.certain {
            let value = &output[step];
            self.must(output.get(step).is_some(), "S3", |n| {
                format!("{} of {} left no output: {output}", step, n.run(record.id))
            });
            if step.starts_with('s') && !value.is_null() {
                self.made_by_a_commit(step, value, *times, history);
            }
        }
    }

    fn made_by_a_commit(
        &mut self,
        step: &str,
        value: &serde_json::Value,
        times: u32,
        history: &[HistoryRecord],
    ) {
        let branches: BTreeSet<BranchId> = history.iter().map(|row| row.branch).collect();
        let suffix = format!("/{step}");
        let of_step =
            |p: &&super::Performed| p.node.ends_with(&suffix) && branches.contains(&p.branch);
        let attempts: Vec<_> = self.performed.iter().filter(of_step).collect();
        let keys: BTreeSet<&str> = attempts.iter().map(|p| p.key.as_str()).collect();
        let keys = keys.len();
        let nonce = value["nonce"].as_u64();
        let made = attempts
            .iter()
            .find(|p| Some(p.nonce) == nonce && p.ended == Ended::Well);
        let committed = made.is_some_and(|made| {
            let commits = self.commits.get(&(made.branch, made.epoch));
            commits.is_some_and(|last| *last >= made.at)
        });
        self.must(made.is_some(), "S6", |_| {
            format!("nobody performed {step} to its end: {value}")
        });
        self.must(committed, "S7", |_| {
            format!("the output of {step} is of an attempt that was not committed: {value}")
        });
        self.must(keys == times as usize, "S6", |_| {
            format!("{step} is performed {times} times, under {keys} keys")
        });
    }
}
