//! Time as the rules see it: calendar time to show and to plan by, boot time to measure by.
//!
//! The two are separate types on purpose. Calendar time may jump, and no two machines agree on
//! it, so ownership is never decided by it; see the `ownership` module.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod offset;

pub use offset::ClockOffset;

/// A moment of calendar time: microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after the Unix epoch (before it, when negative).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment moved forward by `by`, at most to the last moment that can be told.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// This moment moved back by `by`, at most to the first moment that can be told.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// What a clock that is ahead by `by` says at this moment.
    #[must_use]
    pub const fn ahead(self, by: ClockOffset) -> Self {
        Self(self.0.saturating_add(by.as_micros()))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        Duration::from_micros(self.0.abs_diff(earlier.0))
    }
}

/// `by` in whole microseconds, or the highest number of them.
fn micros(by: Duration) -> i64 {
    i64::try_from(by.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; outside of the years that format can express, the bare microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A reading of a clock that runs evenly from the start of the machine, also while it sleeps:
/// nanoseconds. It means nothing on another machine or after a restart, so only the difference
/// of two readings is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// The reading of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The reading in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The reading `by` later, at most the highest there is.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// The time from `earlier` to this reading; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// `by` in whole nanoseconds, or the highest number of them (584 years).
fn nanos(by: Duration) -> u64 {
    u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)
}

/// Where the time comes from. The rules never read a clock themselves; they are told.
pub trait Clock: Send + Sync {
    /// Calendar time now: to show and to plan by.
    fn now(&self) -> Timestamp;

    /// Boot time now: to measure by.
    fn boot(&self) -> BootTime;
}

/// A clock that moves only when told to: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    reading: Mutex<(Timestamp, BootTime)>,
}

impl ManualClock {
    /// A clock that stands at `now`, with a boot time of zero.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            reading: Mutex::new((now, BootTime::default())),
        }
    }

    /// Lets `by` pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.with(|(now, boot)| (now.plus(by), boot.plus(by)));
    }

    /// Sets calendar time alone, as an administrator or NTP does.
    pub fn set_now(&self, now: Timestamp) {
        self.with(|(_, boot)| (now, boot));
    }

    fn with(&self, change: impl FnOnce((Timestamp, BootTime)) -> (Timestamp, BootTime)) {
        let mut reading = self.lock();
        *reading = change(*reading);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, BootTime)> {
        // A pair of numbers cannot be left half changed, so a panic elsewhere does not matter.
        self.reading
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn boot(&self) -> BootTime {
        self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_timestamp_shows_as_rfc_3339() {
        let moment = Timestamp::from_micros(1_700_000_000_250_000);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.25Z");
        assert_eq!(
            Timestamp::from_micros(i64::MAX).to_string(),
            format!("{}us", i64::MAX)
        );
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let last = Timestamp::from_micros(i64::MAX);
        assert_eq!(last.plus(SECOND), last);
        assert_eq!(Timestamp::default().plus(Duration::MAX), last);
        let first = Timestamp::from_micros(i64::MIN);
        assert_eq!(first.minus(SECOND), first);
        assert_eq!(last.since(first), Duration::from_micros(u64::MAX));
        assert_eq!(first.since(last), Duration::ZERO);
        let reading = BootTime::from_nanos(5);
        assert_eq!(reading.plus(Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(BootTime::default().since(reading), Duration::ZERO);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
        clock.advance(SECOND);
        assert_eq!(clock.now().as_micros(), 1_000_007);
        assert_eq!(clock.boot().as_nanos(), 1_000_000_000);
        clock.set_now(Timestamp::default());
        assert_eq!(clock.now(), Timestamp::default());
        assert_eq!(clock.boot().as_nanos(), 1_000_000_000);
    }
}
