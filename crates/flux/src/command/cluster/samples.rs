//! Members and failovers for the tests of this command.

use std::time::Duration;

use flux_core::clock::{ClockOffset, Timestamp};
use flux_core::ids::Incarnation;
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::runs::FailoverRecord;
use uuid::Uuid;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

pub fn incarnation(number: u128) -> Incarnation {
    Incarnation::new(Uuid::from_u128(number << 96))
}

/// An engine that beat a second ago.
pub fn engine(name: &str, number: u128) -> Member {
    Member {
        incarnation: incarnation(number),
        name: name.to_owned(),
        window: Duration::from_secs(30),
        heartbeat_seq: 7,
        state: MemberState::Alive,
        heartbeat_at: at(100),
        heartbeat_age: Duration::from_secs(1),
        clock_offset: ClockOffset::default(),
        started_at: at(30),
        host: "host".to_owned(),
        pid: 4711,
        version: "0.1.0".to_owned(),
        pool: None,
        concurrency: 10,
        address: None,
        running: 3,
        heard: None,
    }
}

/// The same with a clock that is ahead by this many seconds.
pub fn ahead(member: Member, second: i64) -> Member {
    Member {
        clock_offset: ClockOffset::between(at(second), at(0)),
        ..member
    }
}

pub fn failover(from: &Member, by: &Member, branches: u64) -> FailoverRecord {
    FailoverRecord {
        from: from.incarnation,
        from_name: from.name.clone(),
        heartbeat_seq: from.heartbeat_seq,
        heartbeat_at: from.heartbeat_at,
        by: by.incarnation,
        by_name: by.name.clone(),
        at: at(131),
        evidence: "its heartbeat 7 had not changed for 30.2 s".to_owned(),
        branches,
    }
}
