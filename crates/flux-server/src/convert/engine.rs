//! Engines and failovers.

use super::{duration, time};
use crate::names;
use flux_core::balance;
use flux_core::clock::ClockOffset;
use flux_core::explain::standing;
use flux_core::ports::members::Member;
use flux_core::ports::runs::{FailoverRecord, Resumed, TakeoverRecord};
use flux_core::ports::throttles::ThrottleRecord;
use flux_proto::v1::{Engine, EngineState, Failover, Load, Takeover, Throttle, ThrottleHolder};
use std::time::Duration;

/// An engine, and what is known of its load.
pub(crate) fn engine(member: Member, load: Option<(balance::Load, Duration)>) -> Engine {
    let state = match standing(&member) {
        "dead" => EngineState::Dead,
        "suspect" => EngineState::Suspect,
        "draining" => EngineState::Draining,
        _ => EngineState::Alive,
    };
    Engine {
        name: names::engine(member.incarnation),
        display_name: member.name,
        state: state.into(),
        host: member.host,
        pid: member.pid,
        version: member.version,
        running: member.running,
        concurrency_level: member.concurrency,
        failover_time_window: Some(duration(member.window)),
        heartbeat_seq: member.heartbeat_seq,
        heartbeat_age: Some(duration(member.heartbeat_age)),
        clock_offset: Some(offset(member.clock_offset)),
        start_time: Some(time(member.started_at)),
        address: member.address.unwrap_or_default(),
        pool: member.pool.unwrap_or_default(),
        load: load.map(|(load, age)| self::load(load, age)),
    }
}

fn offset(offset: ClockOffset) -> prost_types::Duration {
    let micros = offset.as_micros();
    prost_types::Duration {
        seconds: micros / 1_000_000,
        nanos: (micros % 1_000_000 * 1_000) as i32,
    }
}

fn load(load: balance::Load, age: Duration) -> Load {
    Load {
        running: load.running,
        concurrency_level: load.concurrency,
        resources: load.score.map(|score| score.available),
        age: Some(duration(age)),
    }
}

/// A throttle, and the use that is made of it.
pub(crate) fn throttle(record: ThrottleRecord) -> Throttle {
    let holder = |(display_name, running)| ThrottleHolder {
        display_name,
        running,
    };
    Throttle {
        name: names::throttle(&record.throttle.scope),
        cluster_limit: record.throttle.limits.cluster,
        engine_limit: record.throttle.limits.engine,
        holders: record.holders.into_iter().map(holder).collect(),
        waiting: record.waiting,
    }
}

/// An engine that was declared dead.
pub(crate) fn failover(record: FailoverRecord) -> Failover {
    Failover {
        engine: names::engine(record.from),
        display_name: record.from_name,
        heartbeat_seq: record.heartbeat_seq,
        heartbeat_time: Some(time(record.heartbeat_at)),
        convicted_by: names::engine(record.by),
        convicted_by_display_name: record.by_name,
        convict_time: Some(time(record.at)),
        evidence: record.evidence,
        branches: record.branches,
    }
}

/// What became of a branch of an engine that was declared dead.
pub(crate) fn takeover(record: TakeoverRecord) -> Takeover {
    let (resumed_by, resume_time) = match &record.resumed {
        Resumed::By { engine, at } => (engine.clone(), Some(time(*at))),
        Resumed::NotYet | Resumed::Never => (String::new(), None),
    };
    Takeover {
        branch: names::branch(record.run, record.branch),
        epoch: record.epoch.get(),
        commit_no: record.commit_no.get(),
        node: record.node,
        lost_engines: record.lost,
        poisoned: record.poisoned,
        free_time: Some(time(record.at)),
        resumed_by,
        resume_time,
        ended: record.resumed == Resumed::Never,
    }
}
