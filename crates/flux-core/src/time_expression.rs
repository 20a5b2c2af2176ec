//! Time expressions: how configuration and workflows write spans of time, such as `+3m`.
//!
//! An expression is one or more parts; each is a sign, a number (1 if missing) and a unit, whose
//! case matters: `s` second, `m` minute, `H` hour, `d` day, `w` week, `M` month, `y` year. So
//! `+1H+30m` is ninety minutes and `+M` one month. Every part carries its own sign.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Span;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

mod error;
mod parse;

pub use error::{Error, Problem};

/// The shortest failover time window an expression may ask for: one second.
pub const MIN_WINDOW: Duration = Duration::from_secs(1);

/// A parsed time expression. It displays in the form it is written in, numbers always shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeExpression {
    parts: Vec<Part>,
}

/// One signed part of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Part {
    forward: bool,
    count: i64,
    unit: Unit,
}

/// What a part counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimeExpression {
    /// The moment this expression leads to from `from`: part by part from the left, months and
    /// years by the calendar in UTC, where a day that a month does not have becomes its last
    /// (31 January and `+1M` is the end of February).
    ///
    /// # Errors
    /// [`Problem::OutOfCalendar`] beyond the years -9999 to 9999.
    pub fn after(&self, from: Timestamp) -> Result<Timestamp, Error> {
        let beyond = || Error::whole(self.to_string(), Problem::OutOfCalendar);
        let start = jiff::Timestamp::from_microsecond(from.as_micros()).map_err(|_| beyond())?;
        let mut moment = start.to_zoned(TimeZone::UTC);
        for part in &self.parts {
            let span = part.span().ok_or_else(beyond)?;
            moment = moment.checked_add(span).map_err(|_| beyond())?;
        }
        Ok(Timestamp::from_micros(moment.timestamp().as_microsecond()))
    }

    /// How long after `now` the moment of [`after`](Self::after) is; zero if it is not after it.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn as_duration_from(&self, now: Timestamp) -> Result<Duration, Error> {
        Ok(self.after(now)?.since(now))
    }

    /// The span as a fixed length: a month counts 30 days and a year 365.
    ///
    /// Options are measured by this and not by the calendar, because engines with the same
    /// configuration must agree on its length, whatever the date each of them started at.
    ///
    /// # Errors
    /// [`Problem::Negative`] if the parts add up to less than nothing.
    pub fn to_duration(&self) -> Result<Duration, Error> {
        let secs: i128 = self.parts.iter().map(|part| part.nominal_secs()).sum();
        if secs < 0 {
            return Err(Error::whole(self.to_string(), Problem::Negative));
        }
        // Only an expression of millions of parts could exceed this, and it then still waits
        // for longer than anybody will.
        Ok(Duration::from_secs(u64::try_from(secs).unwrap_or(u64::MAX)))
    }

    /// The span as a failover time window: [`to_duration`](Self::to_duration), at least
    /// [`MIN_WINDOW`].
    ///
    /// # Errors
    /// [`Problem::Negative`], or [`Problem::WindowTooShort`] for `+0s` and the like.
    pub fn window(&self) -> Result<Duration, Error> {
        let window = self.to_duration()?;
        if window < MIN_WINDOW {
            return Err(Error::whole(self.to_string(), Problem::WindowTooShort));
        }
        Ok(window)
    }
}

impl FromStr for TimeExpression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse::expression(text).map(|parts| Self { parts })
    }
}

impl fmt::Display for TimeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| {
            let sign = if part.forward { '+' } else { '-' };
            write!(f, "{sign}{}{}", part.count, part.unit.letter())
        })
    }
}

impl TryFrom<String> for TimeExpression {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<TimeExpression> for String {
    fn from(expression: TimeExpression) -> Self {
        expression.to_string()
    }
}

impl Part {
    fn signed(self) -> i64 {
        if self.forward {
            self.count
        } else {
            -self.count
        }
    }

    /// `None` cannot happen for a parsed part: its count is within the calendar's limits.
    fn span(self) -> Option<Span> {
        let (span, count) = (Span::new(), self.signed());
        match self.unit {
            Unit::Second => span.try_seconds(count),
            Unit::Minute => span.try_minutes(count),
            Unit::Hour => span.try_hours(count),
            Unit::Day => span.try_days(count),
            Unit::Week => span.try_weeks(count),
            Unit::Month => span.try_months(count),
            Unit::Year => span.try_years(count),
        }
        .ok()
    }

    fn nominal_secs(self) -> i128 {
        i128::from(self.signed()) * i128::from(self.unit.nominal_secs())
    }
}

impl Unit {
    const ALL: [Self; 7] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    const fn letter(self) -> char {
        match self {
            Self::Second => 's',
            Self::Minute => 'm',
            Self::Hour => 'H',
            Self::Day => 'd',
            Self::Week => 'w',
            Self::Month => 'M',
            Self::Year => 'y',
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Second => "seconds",
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
            Self::Week => "weeks",
            Self::Month => "months",
            Self::Year => "years",
        }
    }

    const fn nominal_secs(self) -> i64 {
        const DAY: i64 = 24 * 60 * 60;
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Year => 365 * DAY,
        }
    }

    /// The highest number of one part: about ten thousand years, all that a calendar of four
    /// digits has room for.
    const fn max_count(self) -> i64 {
        const YEARS: i64 = 10_000;
        YEARS * Self::Year.nominal_secs() / self.nominal_secs()
    }
}

#[cfg(test)]
mod tests;
