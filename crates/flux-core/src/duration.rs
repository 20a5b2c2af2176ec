//! Durations of the definition language: ISO 8601 text (`PT30S`, `P1DT2H`) or an object of units
//! (`{days, hours, minutes, seconds, milliseconds}`).

use crate::value::{self, Value};
use std::time::Duration;

/// Units of the object form with their length in milliseconds.
pub const UNITS: [(&str, u64); 5] = [
    ("days", 86_400_000),
    ("hours", 3_600_000),
    ("minutes", 60_000),
    ("seconds", 1_000),
    ("milliseconds", 1),
];

/// Longest duration: a hundred years of 365 days.
pub const MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration; the text says what is wrong and gives an example. Days have 24 hours; years
/// and months are refused because their length depends on the date.
pub fn parse(value: &Value) -> Result<Duration, String> {
    let duration = match (value::as_str(value), value) {
        (Some(text), _) => iso(text)?,
        (None, Value::Obj(_)) => object(value)?,
        _ => {
            return Err(format!(
                "{} is no duration; write PT30S or {{ seconds: 30 }}",
                value::to_json(value)
            ));
        }
    };
    if duration > MAX {
        return Err(format!(
            "{} is longer than 100 years",
            value::to_json(value)
        ));
    }
    Ok(duration)
}

fn object(value: &Value) -> Result<Duration, String> {
    let fields = value::to_serde(value);
    let mut total = 0f64;
    for (unit, amount) in fields.as_object().into_iter().flatten() {
        let Some((_, length)) = UNITS.iter().find(|(name, _)| name == unit) else {
            let units: Vec<_> = UNITS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "`{unit}` is no unit of a duration; one of {}",
                units.join(", ")
            ));
        };
        let amount = amount
            .as_f64()
            .filter(|n| n.is_finite() && *n >= 0.0)
            .ok_or_else(|| format!("`{unit}: {amount}` must be a number that is not negative"))?;
        total += amount * *length as f64;
    }
    seconds(total / 1_000.0)
}

fn iso(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{text}` is no ISO 8601 duration of days and less; write PT30S, PT1H30M or P2D")
    };
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return Err(wrong());
    }
    let total = span
        .total(jiff::SpanTotal::from(jiff::Unit::Second).days_are_24_hours())
        .map_err(|_| wrong())?;
    if !text.starts_with('P') {
        return Err(wrong());
    }
    seconds(total)
}

fn seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} seconds is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Duration, String> {
        parse(&value::parse(json).expect("the test's JSON is right"))
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(parsed(r#""PT1H30M""#), Ok(Duration::from_secs(5_400)));
        assert_eq!(parsed(r#""P2D""#), Ok(Duration::from_secs(172_800)));
        assert_eq!(parsed(r#""PT0.25S""#), Ok(Duration::from_millis(250)));
        assert_eq!(
            parsed(r#"{"minutes": 1, "milliseconds": 5}"#),
            Ok(Duration::from_millis(60_005))
        );
        assert_eq!(parsed("{}"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for wrong in [
            r#""30""#,
            r#""30s""#,
            r#""P1M""#,
            r#""-PT1S""#,
            "5",
            r#"{"second": 1}"#,
            r#"{"hours": -1}"#,
            r#"{"days": 1e300}"#,
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert!(parsed("5").is_err_and(|text| text.contains("PT30S")));
    }
}
