//! Runs, branches, commits.

use super::time;
use crate::names;
use flux_core::branch;
use flux_core::chart;
use flux_core::ids::RunId;
use flux_core::ports::runs::{BranchRecord, HistoryRecord, Outcome, RunRecord};
use flux_proto::v1::{Branch, BranchState, Commit, Fault, Run, RunState};

/// A run.
pub(crate) fn run(record: RunRecord) -> Run {
    let (output_json, fault) = match record.outcome {
        Some(Outcome::Completed { output }) => (output, None),
        Some(Outcome::Faulted { fault: raised }) => (String::new(), Some(fault(raised))),
        Some(Outcome::Cancelled) | None => (String::new(), None),
    };
    let parent = record.parent.map(names::branch_of_some_run);
    Run {
        name: names::run(record.id),
        workflow: names::workflow(&record.name),
        state: state(record.state).into(),
        input_json: record.input,
        output_json,
        fault,
        create_time: Some(time(record.started_at)),
        end_time: record.ended_at.map(time),
        parent_branch: parent.unwrap_or_default(),
        priority: record.priority,
    }
}

/// The state of a run.
pub(crate) fn state(state: branch::RunState) -> RunState {
    match state {
        branch::RunState::Pending => RunState::Pending,
        branch::RunState::Running => RunState::Running,
        branch::RunState::Waiting => RunState::Waiting,
        branch::RunState::Suspended => RunState::Suspended,
        branch::RunState::Cancelled => RunState::Cancelled,
        branch::RunState::Faulted => RunState::Faulted,
        branch::RunState::Completed => RunState::Completed,
    }
}

/// What a client calls a state; `None` for what is no state.
pub(crate) fn of_state(wanted: i32) -> Option<branch::RunState> {
    let wanted = RunState::try_from(wanted).ok()?;
    let mut all = branch::RunState::ALL.into_iter();
    all.find(|known| state(*known) == wanted)
}

fn fault(fault: chart::Fault) -> Fault {
    Fault {
        r#type: fault.kind,
        status: i32::from(fault.status),
        title: fault.title.unwrap_or_default(),
        detail: fault.detail.unwrap_or_default(),
        instance: fault.instance.unwrap_or_default(),
    }
}

/// A branch.
pub(crate) fn branch(record: BranchRecord) -> Branch {
    let parent = record
        .parent
        .map(|parent| names::branch(record.run, parent));
    let incarnation = record.owner.map(|owner| owner.to_string());
    Branch {
        name: names::branch(record.run, record.id),
        parent: parent.unwrap_or_default(),
        index: i32::try_from(record.index).unwrap_or(i32::MAX),
        state: branch_state(record.state).into(),
        engine: record.engine.unwrap_or_default(),
        incarnation: incarnation.unwrap_or_default(),
        epoch: record.epoch.get(),
        commit_no: record.commit_no.get(),
        node: record.node,
        due_time: record.due_at.map(time),
        awaits_events: record.awaits_signals,
        awaits_branches: record.awaits_join,
        pool: record.pool.unwrap_or_default(),
        lost_engines: i32::try_from(record.lost).unwrap_or(i32::MAX),
        fault: record.fault.map(fault),
        update_time: Some(time(record.updated_at)),
    }
}

fn branch_state(state: branch::BranchState) -> BranchState {
    match state {
        branch::BranchState::Ready => BranchState::Ready,
        branch::BranchState::Running => BranchState::Running,
        branch::BranchState::Waiting => BranchState::Waiting,
        branch::BranchState::Paused => BranchState::Paused,
        branch::BranchState::Failed => BranchState::Failed,
        branch::BranchState::Finished => BranchState::Finished,
    }
}

/// A commit point of a run, or a takeover.
pub(crate) fn commit(run: RunId, record: HistoryRecord) -> Commit {
    Commit {
        branch: names::branch(run, record.branch),
        commit_no: record.commit_no.get(),
        epoch: record.epoch.get(),
        engine: record.engine,
        commit_time: Some(time(record.at)),
        node: record.node,
        events_json: record.events,
    }
}
