//! Messages as records of the ports. What cannot be read says which field of which message.

use super::*;
use flux_core::clock::ClockOffset;
use flux_core::ports::members::MemberState;
use flux_core::ports::runs::{Outcome, Resumed};
use flux_core::ports::throttles::ThrottleRecord;
use flux_core::throttle::{Limits, Scope, Throttle};
use std::time::Duration;

fn wrong(field: &str, value: &str) -> Error {
    Error::Refused(format!(
        "the engine's answer cannot be read: {field} is `{value}`; is it of a later version?"
    ))
}

fn uuid(field: &str, text: &str) -> Result<Uuid, Error> {
    let last = text.rsplit('/').next().unwrap_or_default();
    Uuid::parse_str(last).map_err(|_| wrong(field, text))
}

pub fn run_id(name: &str) -> Result<RunId, Error> {
    Ok(RunId::new(uuid("run", name)?))
}

fn time(at: Option<flux_client::Timestamp>) -> Timestamp {
    at.map_or_else(Timestamp::default, |at| {
        let micros = at.seconds.saturating_mul(1_000_000);
        Timestamp::from_micros(micros.saturating_add(i64::from(at.nanos / 1_000)))
    })
}

fn duration(length: Option<&flux_client::Duration>) -> Duration {
    let whole = length.map_or(0, |l| u64::try_from(l.seconds).unwrap_or_default());
    let nanos = length.map_or(0, |l| u32::try_from(l.nanos).unwrap_or_default());
    Duration::new(whole, nanos.min(999_999_999))
}

/// `namespaces/{namespace}/workflows/{workflow}/versions/{version}`.
fn name(text: &str) -> Result<WorkflowName, Error> {
    let mut parts = text.split('/');
    let parsed = (|| {
        let mut part = |is: &str| (parts.next() == Some(is)).then(|| parts.next()).flatten();
        Some(WorkflowName {
            namespace: part("namespaces")?.to_owned(),
            name: part("workflows")?.to_owned(),
            version: part("versions")?.to_owned(),
        })
    })();
    parsed.ok_or_else(|| wrong("workflow", text))
}

fn fault(fault: v1::Fault) -> Fault {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Fault {
        kind: fault.r#type,
        status: u16::try_from(fault.status).unwrap_or_default(),
        title: given(fault.title),
        detail: given(fault.detail),
        instance: given(fault.instance),
    }
}

pub fn filter(filter: &RunFilter) -> v1::RunFilter {
    v1::RunFilter {
        states: filter.states.iter().map(|s| run_state(*s) as i32).collect(),
        namespace: filter.namespace.clone().unwrap_or_default(),
        workflow: filter.name.clone().unwrap_or_default(),
        since: filter.since.map(|since| {
            let micros = since.as_micros();
            flux_client::Timestamp {
                seconds: micros.div_euclid(1_000_000),
                nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default(),
            }
        }),
    }
}

fn run_state(state: RunState) -> v1::RunState {
    match state {
        RunState::Pending => v1::RunState::Pending,
        RunState::Running => v1::RunState::Running,
        RunState::Waiting => v1::RunState::Waiting,
        RunState::Suspended => v1::RunState::Suspended,
        RunState::Cancelled => v1::RunState::Cancelled,
        RunState::Faulted => v1::RunState::Faulted,
        RunState::Completed => v1::RunState::Completed,
    }
}

pub fn run(run: v1::Run) -> Result<RunRecord, Error> {
    let told = run.state();
    let state = RunState::ALL.into_iter().find(|s| run_state(*s) == told);
    let state = state.ok_or_else(|| wrong("state", &run.state.to_string()))?;
    let outcome = match state {
        RunState::Completed => Some(Outcome::Completed {
            output: run.output_json,
        }),
        RunState::Faulted => Some(Outcome::Faulted {
            fault: fault(run.fault.unwrap_or_default()),
        }),
        RunState::Cancelled => Some(Outcome::Cancelled),
        _ => None,
    };
    let parent = (!run.parent_branch.is_empty()).then(|| uuid("parent_branch", &run.parent_branch));
    Ok(RunRecord {
        id: run_id(&run.name)?,
        name: name(&run.workflow)?,
        chart: ChartId(run.workflow),
        state,
        input: run.input_json,
        outcome,
        started_at: time(run.create_time),
        ended_at: run.end_time.map(|at| time(Some(at))),
        parent: parent.transpose()?.map(BranchId::new),
        pool: None,
        priority: run.priority,
    })
}

pub fn branch(run: RunId, branch: v1::Branch) -> Result<BranchRecord, Error> {
    let state = match branch.state() {
        v1::BranchState::Ready => BranchState::Ready,
        v1::BranchState::Running => BranchState::Running,
        v1::BranchState::Waiting => BranchState::Waiting,
        v1::BranchState::Paused => BranchState::Paused,
        v1::BranchState::Failed => BranchState::Failed,
        v1::BranchState::Finished => BranchState::Finished,
        v1::BranchState::Unspecified => return Err(wrong("state", &branch.state.to_string())),
    };
    let given = |text: &str| !text.is_empty();
    let parent = given(&branch.parent).then(|| uuid("parent", &branch.parent));
    let owner = given(&branch.incarnation).then(|| uuid("incarnation", &branch.incarnation));
    Ok(BranchRecord {
        id: BranchId::new(uuid("branch", &branch.name)?),
        run,
        parent: parent.transpose()?.map(BranchId::new),
        index: u32::try_from(branch.index).unwrap_or_default(),
        state,
        owner: owner.transpose()?.map(Incarnation::new),
        engine: Some(branch.engine).filter(|engine| given(engine)),
        epoch: Epoch(branch.epoch),
        commit_no: CommitNo(branch.commit_no),
        node: branch.node,
        due_at: branch.due_time.map(|at| time(Some(at))),
        awaits_signals: branch.awaits_events,
        awaits_join: branch.awaits_branches,
        pool: Some(branch.pool).filter(|pool| !pool.is_empty()),
        lost: u32::try_from(branch.lost_engines).unwrap_or_default(),
        fault: branch.fault.map(fault),
        updated_at: time(branch.update_time),
    })
}

pub fn commit(commit: v1::Commit) -> Result<HistoryRecord, Error> {
    Ok(HistoryRecord {
        branch: BranchId::new(uuid("branch", &commit.branch)?),
        commit_no: CommitNo(commit.commit_no),
        epoch: Epoch(commit.epoch),
        engine: commit.engine,
        at: time(commit.commit_time),
        node: commit.node,
        events: commit.events_json,
    })
}

pub fn failover(failover: v1::Failover) -> Result<FailoverRecord, Error> {
    Ok(FailoverRecord {
        from: Incarnation::new(uuid("engine", &failover.engine)?),
        from_name: failover.display_name,
        heartbeat_seq: failover.heartbeat_seq,
        heartbeat_at: time(failover.heartbeat_time),
        by: Incarnation::new(uuid("convicted_by", &failover.convicted_by)?),
        by_name: failover.convicted_by_display_name,
        at: time(failover.convict_time),
        evidence: failover.evidence,
        branches: failover.branches,
    })
}

pub fn takeover(takeover: v1::Takeover) -> Result<TakeoverRecord, Error> {
    let run = takeover.branch.split('/').nth(1).unwrap_or_default();
    let resumed = match (takeover.ended, takeover.resume_time) {
        (true, _) => Resumed::Never,
        (false, None) => Resumed::NotYet,
        (false, at) => Resumed::By {
            engine: takeover.resumed_by,
            at: time(at),
        },
    };
    Ok(TakeoverRecord {
        run: run_id(run)?,
        branch: BranchId::new(uuid("branch", &takeover.branch)?),
        epoch: Epoch(takeover.epoch),
        commit_no: CommitNo(takeover.commit_no),
        node: takeover.node,
        lost: takeover.lost_engines,
        poisoned: takeover.poisoned,
        at: time(takeover.free_time),
        resumed,
    })
}

pub fn definition(workflow: v1::Workflow) -> Result<DefinitionRecord, Error> {
    Ok(DefinitionRecord {
        name: name(&workflow.name)?,
        at: time(workflow.create_time),
        chart: ChartId(workflow.name),
    })
}

pub fn schedule(schedule: v1::Schedule) -> Result<ScheduleRecord, Error> {
    let last_run = (!schedule.last_run.is_empty()).then(|| run_id(&schedule.last_run));
    Ok(ScheduleRecord {
        name: name(&schedule.workflow)?,
        chart: ChartId(schedule.workflow),
        last_run: last_run.transpose()?,
        // Without a due time the end of the last run is awaited.
        last_run_ended: schedule.due_time.is_some(),
        due_at: schedule.due_time.map(|at| time(Some(at))),
    })
}

/// The name of a scope's throttle.
pub fn throttle_name(scope: &Scope) -> String {
    match &scope.name {
        Some(name) => format!("namespaces/{}/workflows/{name}/throttle", scope.namespace),
        None => format!("namespaces/{}/throttle", scope.namespace),
    }
}

pub fn throttle(throttle: v1::Throttle) -> Result<ThrottleRecord, Error> {
    let parts: Vec<&str> = throttle.name.split('/').collect();
    let (namespace, name) = match parts[..] {
        ["namespaces", namespace, "throttle"] => (namespace, None),
        ["namespaces", namespace, "workflows", name, "throttle"] => (namespace, Some(name)),
        _ => return Err(wrong("throttle", &throttle.name)),
    };
    let holders = throttle.holders.into_iter();
    Ok(ThrottleRecord {
        throttle: Throttle {
            scope: Scope {
                namespace: namespace.to_owned(),
                name: name.map(str::to_owned),
            },
            limits: Limits {
                cluster: throttle.cluster_limit,
                engine: throttle.engine_limit,
            },
        },
        holders: holders
            .map(|holder| (holder.display_name, holder.running))
            .collect(),
        waiting: throttle.waiting,
    })
}

pub fn member(engine: v1::Engine) -> Result<Member, Error> {
    let state = match engine.state() {
        v1::EngineState::Alive | v1::EngineState::Suspect => MemberState::Alive,
        v1::EngineState::Draining => MemberState::Draining,
        v1::EngineState::Dead => MemberState::Dead,
        v1::EngineState::Unspecified => return Err(wrong("state", &engine.state.to_string())),
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let offset = engine.clock_offset.as_ref().map_or(0, |offset| {
        let micros = offset.seconds.saturating_mul(1_000_000);
        micros.saturating_add(i64::from(offset.nanos / 1_000))
    });
    Ok(Member {
        incarnation: Incarnation::new(uuid("engine", &engine.name)?),
        name: engine.display_name,
        window: duration(engine.failover_time_window.as_ref()),
        heartbeat_seq: engine.heartbeat_seq,
        state,
        heartbeat_at: Timestamp::default(),
        heartbeat_age: duration(engine.heartbeat_age.as_ref()),
        clock_offset: ClockOffset::from_micros(offset),
        started_at: time(engine.start_time),
        host: engine.host,
        pid: engine.pid,
        version: engine.version,
        pool: given(engine.pool),
        concurrency: engine.concurrency_level,
        address: given(engine.address),
        running: engine.running,
        heard: engine.load.map(|load| duration(load.age.as_ref())),
    })
}
