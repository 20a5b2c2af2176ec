//! Looking at what is stored.

use flux_core::branch::{BranchState, RunState};
use flux_core::chart::{ChartId, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{CommitNo, Epoch, RunId};
use flux_core::labels::serves;
use flux_core::ports::branches::Outlook;
use flux_core::ports::definitions::{DefinitionRecord, ScheduleRecord};
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::runs::{BranchRecord, HistoryRecord, Outcome, RunFilter, RunRecord};

use super::state::{Branch, Ended, Run, State};

/// The state of a run that ended like this.
pub(super) fn final_state(outcome: &Outcome) -> RunState {
    match outcome {
        Outcome::Completed { .. } => RunState::Completed,
        Outcome::Faulted { .. } => RunState::Faulted,
        Outcome::Cancelled => RunState::Cancelled,
    }
}

impl State {
    pub(super) fn outlook(&self, pool: Option<&str>, now: Timestamp) -> Outlook {
        let served =
            || (self.branches.values()).filter(|branch| serves(pool, branch.pool.as_deref()));
        let waiting = || served().filter(|branch| branch.state == BranchState::Waiting);
        let due = || waiting().filter_map(|branch| branch.due_at);
        let is_ready = served().any(|branch| branch.state == BranchState::Ready);
        let firings = self.schedules.values();
        Outlook {
            ready: is_ready || due().any(|due| due <= now),
            next_due: due().filter(|due| *due > now).min(),
            next_firing: firings.filter_map(|schedule| schedule.due_at).min(),
        }
    }

    pub(super) fn show_run(&self, id: RunId) -> Option<RunRecord> {
        self.runs.get(&id).map(|run| self.run_record(run))
    }

    pub(super) fn list(&self, filter: &RunFilter) -> Vec<RunRecord> {
        let before = filter.before.and_then(|id| self.runs.get(&id));
        let mut runs: Vec<_> = self.runs.values().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.number));
        let older = runs
            .into_iter()
            .filter(|run| before.is_none_or(|before| run.number < before.number))
            .map(|run| self.run_record(run));
        let passing = older.filter(|record| passes(filter, record));
        passing.take(filter.limit as usize).collect()
    }

    fn run_record(&self, run: &Run) -> RunRecord {
        RunRecord {
            id: run.new.id,
            name: run.new.name.clone(),
            chart: run.new.chart.clone(),
            state: self.run_state(run),
            input: run.new.input.clone(),
            outcome: run.ended.as_ref().map(|(outcome, _)| outcome.clone()),
            started_at: run.new.at,
            ended_at: run.ended.as_ref().map(|(_, at)| *at),
            parent: run.parent,
            pool: run.new.pool.clone(),
            priority: run.new.priority,
        }
    }

    /// What the branches of a run that has not ended make of it.
    fn run_state(&self, run: &Run) -> RunState {
        if let Some((outcome, _)) = &run.ended {
            return final_state(outcome);
        }
        let branches = || self.branches.values().filter(|b| b.run == run.new.id);
        let in_state = |state| branches().any(|branch: &Branch| branch.state == state);
        if branches().all(|b| b.epoch == Epoch(0) && b.commit_no == CommitNo(0)) {
            RunState::Pending
        } else if in_state(BranchState::Ready) || in_state(BranchState::Running) {
            RunState::Running
        } else if in_state(BranchState::Paused) {
            RunState::Suspended
        } else {
            RunState::Waiting
        }
    }

    pub(super) fn show_branches(&self, run: RunId) -> Vec<BranchRecord> {
        let open = self.branches.values();
        let open = open.map(|branch| (branch, branch.pool.clone(), None));
        let ended = self.ended.values();
        let ended = ended.map(|Ended { branch, fault }| (branch, None, fault.clone()));
        let all = open.chain(ended);
        let mut found: Vec<_> = all.filter(|(branch, ..)| branch.run == run).collect();
        found.sort_by_key(|(branch, ..)| (branch.created_at, branch.index, branch.id));
        let records = found.into_iter().map(|(branch, pool, fault)| BranchRecord {
            pool,
            fault,
            ..self.branch_record(branch)
        });
        records.collect()
    }

    fn branch_record(&self, branch: &Branch) -> BranchRecord {
        let waiting = branch.state == BranchState::Waiting;
        let engine = branch.owner.and_then(|owner| self.members.get(&owner));
        BranchRecord {
            id: branch.id,
            run: branch.run,
            parent: branch.parent,
            index: branch.index,
            state: branch.state,
            owner: branch.owner,
            engine: engine.map(|member| member.name.clone()),
            epoch: branch.epoch,
            commit_no: branch.commit_no,
            node: branch.node.clone(),
            due_at: branch
                .due_at
                .filter(|_| branch.state != BranchState::Running),
            awaits_signals: waiting && branch.signals_after.is_some(),
            awaits_join: waiting && branch.join.is_some(),
            lost: branch.lost,
            pool: None,
            fault: None,
            updated_at: branch.updated_at,
        }
    }

    pub(super) fn show_history(&self, run: RunId) -> Vec<HistoryRecord> {
        let rows = self.history.iter().filter(|(of, _)| *of == run);
        let mut rows: Vec<_> = rows.map(|(_, row)| row.clone()).collect();
        rows.sort_by_key(|row| (row.at, row.branch, row.commit_no, row.epoch));
        rows
    }

    pub(super) fn show_members(&self) -> Vec<Member> {
        let members = self.members.values().map(|member| Member {
            running: self.owned(member.incarnation).len() as u64,
            ..member.clone()
        });
        let shown = members.filter(|m| m.state != MemberState::Dead || m.running > 0);
        let mut shown: Vec<_> = shown.collect();
        shown.sort_by_key(|m| (m.started_at, m.name.clone(), m.incarnation));
        shown
    }

    pub(super) fn find(&self, name: &WorkflowName) -> Option<ChartId> {
        let of_name = self.definitions.iter().rev().find(|definition| {
            definition.name.namespace == name.namespace
                && definition.name.name == name.name
                && (name.version == "latest" || definition.name.version == name.version)
        });
        of_name.map(|definition| definition.chart.clone())
    }

    pub(super) fn show_definitions(&self) -> Vec<DefinitionRecord> {
        let records = self.definitions.iter().map(|definition| DefinitionRecord {
            chart: definition.chart.clone(),
            name: definition.name.clone(),
            at: definition.at,
        });
        let mut records: Vec<_> = records.collect();
        // Stable: those of one name stay in the order of their deployment.
        records.sort_by(|a, b| {
            let key = |r: &DefinitionRecord| (r.name.namespace.clone(), r.name.name.clone());
            key(a).cmp(&key(b))
        });
        records
    }

    pub(super) fn show_schedules(&self) -> Vec<ScheduleRecord> {
        let ended = |id| self.runs.get(&id).is_none_or(|run| run.ended.is_some());
        let records = self.schedules.values().map(|schedule| ScheduleRecord {
            chart: schedule.chart.clone(),
            name: schedule.name.clone(),
            due_at: schedule.due_at,
            last_run: schedule.last_run,
            last_run_ended: schedule.last_run.is_none_or(ended),
        });
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|record| (record.due_at.is_none(), record.due_at));
        records
    }
}

fn passes(filter: &RunFilter, record: &RunRecord) -> bool {
    let same = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
    (filter.states.is_empty() || filter.states.contains(&record.state))
        && same(&filter.namespace, &record.name.namespace)
        && same(&filter.name, &record.name.name)
        && filter.since.is_none_or(|since| record.started_at >= since)
}
