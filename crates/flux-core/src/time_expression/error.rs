//! What is wrong with a time expression, said so that it can be put right.

use std::fmt;

/// Examples that every message ends with.
const EXAMPLES: &str = "for example +3m (three minutes) or +1H+30m";

/// A time expression that cannot be read or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The whole expression.
    pub text: String,
    /// Which character the problem is at, counted from 1; 1 if it concerns the whole.
    pub position: usize,
    /// The offending part of the text; empty at its end.
    pub found: String,
    /// What is wrong there.
    pub problem: Problem,
    /// What to write instead, where that can be told.
    pub suggestion: Option<String>,
}

/// What is wrong with a time expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing was given.
    Empty,
    /// A part does not start with `+` or `-`.
    NoSign,
    /// A number is not followed by a unit.
    NoUnit,
    /// A letter is not one of the units.
    UnknownUnit,
    /// A number is higher than its unit allows.
    TooLarge {
        /// The highest number.
        max: i64,
        /// The plural of the unit.
        unit: &'static str,
    },
    /// The moment lies beyond the calendar.
    OutOfCalendar,
    /// It goes back in time where only forward makes sense.
    Negative,
    /// Too short for a failover time window.
    WindowTooShort,
}

impl Error {
    /// A problem of the expression as a whole.
    pub(super) fn whole(text: String, problem: Problem) -> Self {
        let suggestion = match problem {
            Problem::Negative => Some(text.replace('-', "+")),
            _ => None,
        };
        Self {
            position: 1,
            found: text.clone(),
            text,
            problem,
            suggestion,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time expression \"{}\": ", self.text)?;
        if self.problem.is_at_a_place() {
            write!(f, "at position {}, ", self.position)?;
            match self.found.as_str() {
                "" => write!(f, "at the end, ")?,
                found => write!(f, "\"{found}\": ")?,
            }
        }
        write!(f, "{}; ", self.problem)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "write {suggestion}, ")?;
        }
        f.write_str(EXAMPLES)
    }
}

impl std::error::Error for Error {}

impl Problem {
    const fn is_at_a_place(self) -> bool {
        matches!(
            self,
            Self::NoSign | Self::NoUnit | Self::UnknownUnit | Self::TooLarge { .. }
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NoSign => "each part starts with + or -",
            Self::NoUnit => {
                "a unit is missing: s second, m minute, H hour, d day, w week, M month, y year"
            }
            Self::UnknownUnit => {
                "not a unit, which are s second, m minute, H hour, d day, w week, M month, y year"
            }
            Self::TooLarge { max, unit } => return write!(f, "at most {max} {unit} are possible"),
            Self::OutOfCalendar => "it leads beyond the years -9999 to 9999",
            Self::Negative => "it goes back in time",
            Self::WindowTooShort => "a time window is at least one second",
        })
    }
}
