//! How far an engine's calendar clock is from that of the database.

use std::fmt;
use std::time::Duration;

use super::Timestamp;

/// How far an engine's calendar is ahead of the database's; behind it, when negative.
///
/// Measured at a heartbeat, so the time that the heartbeat was on its way is part of it: as if the
/// engine were behind. It is shown to people, and corrects the calendar of an engine whose clock is
/// the odd one. Nobody's life is judged by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockOffset(i64);

impl ClockOffset {
    /// Beyond this an offset is worth a warning: no heartbeat that is answered in time takes so
    /// long, and no machine that keeps its time is so wrong.
    pub const NOTABLE: Duration = Duration::from_secs(2);

    /// Beyond this an engine whose clock differs from most others' does not go by it.
    pub const ODD: Duration = Duration::from_secs(30);

    /// The difference of two clocks that were read at about the same time.
    #[must_use]
    pub const fn between(engine: Timestamp, database: Timestamp) -> Self {
        Self(engine.as_micros().saturating_sub(database.as_micros()))
    }

    /// How far the clocks are apart, whichever is ahead.
    #[must_use]
    pub const fn apart(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }

    /// The offset that `micros` microseconds are.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In microseconds; negative when the engine is behind.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How far this engine's clock is ahead of the `other` one's.
    #[must_use]
    pub const fn ahead_of(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is worth a warning.
    #[must_use]
    pub fn is_notable(self) -> bool {
        self.apart() > Self::NOTABLE
    }

    /// In seconds; negative when the engine is behind.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        let apart = self.apart().as_secs_f64();
        if self.0 < 0 { -apart } else { apart }
    }
}

impl fmt::Display for ClockOffset {
    /// Seconds with a sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.1} s", self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(engine: i64, database: i64) -> ClockOffset {
        let at = |ms: i64| Timestamp::from_micros(ms * 1_000);
        ClockOffset::between(at(engine), at(database))
    }

    #[test]
    fn the_sign_says_who_is_ahead() {
        assert_eq!(offset(3_500, 0).to_string(), "+3.5 s");
        assert_eq!(offset(0, 3_600_000).to_string(), "-3600.0 s");
        assert_eq!(offset(7, 7), ClockOffset::default());
    }

    #[test]
    fn two_seconds_are_tolerated_either_way() {
        for (engine, database, notable) in [(2_000, 0, false), (0, 2_000, false)] {
            assert_eq!(offset(engine, database).is_notable(), notable);
        }
        assert!(offset(2_001, 0).is_notable() && offset(0, 2_001).is_notable());
    }

    #[test]
    fn the_most_different_clocks_have_an_offset_too() {
        let (first, last) = (
            Timestamp::from_micros(i64::MIN),
            Timestamp::from_micros(i64::MAX),
        );
        assert!(ClockOffset::between(first, last).as_secs_f64() < -9.0e12);
        assert!(ClockOffset::between(last, first).as_secs_f64() > 9.0e12);
    }
}
