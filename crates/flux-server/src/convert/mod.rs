//! Records of the store as messages.

mod engine;
mod run;

pub(crate) use engine::{engine, failover, takeover, throttle};
pub(crate) use run::{branch, commit, of_state, run};

use flux_core::clock::Timestamp;
use std::time::Duration;

/// A moment.
pub(crate) fn time(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    }
}

/// A length of time.
pub(crate) fn duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: length.subsec_nanos() as i32,
    }
}
