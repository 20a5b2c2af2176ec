#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 60 * 60;

fn expression(text: &str) -> TimeExpression {
    text.parse().unwrap()
}

fn problem(text: &str) -> Error {
    text.parse::<TimeExpression>().unwrap_err()
}

fn moment(rfc3339: &str) -> Timestamp {
    let moment: jiff::Timestamp = rfc3339.parse().unwrap();
    Timestamp::from_micros(moment.as_microsecond())
}

#[test]
fn every_unit_has_its_length() {
    for (text, secs) in [
        ("+0s", 0),
        ("+3s", 3),
        ("+m", 60),
        ("+3m", 180),
        ("+1H", 3600),
        ("+7d", 7 * DAY),
        ("+w", 7 * DAY),
        ("+2M", 60 * DAY),
        ("+10y", 3650 * DAY),
        ("+1H+30m", 5400),
        ("+1H-30m", 1800),
        ("-30m+1H", 1800),
    ] {
        let length = expression(text).to_duration().unwrap();
        assert_eq!(length, Duration::from_secs(secs), "{text}");
    }
}

#[test]
fn a_moment_is_found_by_the_calendar() {
    for (text, from, to) in [
        ("+1M", "2025-01-31T10:00:00Z", "2025-02-28T10:00:00Z"),
        ("+1M", "2024-01-31T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("+1y", "2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z"),
        ("-1M", "2025-03-31T00:00:00Z", "2025-02-28T00:00:00Z"),
        ("+1M+1d", "2025-01-31T00:00:00Z", "2025-03-01T00:00:00Z"),
        ("+1d+1M", "2025-01-31T00:00:00Z", "2025-03-01T00:00:00Z"),
        ("+1H+30m", "2025-12-31T23:00:00Z", "2026-01-01T00:30:00Z"),
        ("-w", "2025-01-08T00:00:00Z", "2025-01-01T00:00:00Z"),
    ] {
        let found = expression(text).after(moment(from)).unwrap();
        assert_eq!(found, moment(to), "{text} from {from}");
    }
    let january = moment("2025-01-01T00:00:00Z");
    let month = expression("+1M").as_duration_from(january).unwrap();
    assert_eq!(month, Duration::from_secs(31 * DAY));
    let back = expression("-1M").as_duration_from(january).unwrap();
    assert_eq!(back, Duration::ZERO);
}

#[test]
fn the_end_of_the_calendar_is_an_error_and_no_panic() {
    for text in ["+10000y", "+9000y", "-9000y-9000y", "+315360000000s"] {
        let error = expression(text).after(moment("2025-01-01T00:00:00Z"));
        assert_eq!(error.unwrap_err().problem, Problem::OutOfCalendar, "{text}");
    }
    let error = expression("+1s").after(Timestamp::from_micros(i64::MAX));
    assert_eq!(error.unwrap_err().problem, Problem::OutOfCalendar);
}

#[test]
fn a_window_is_at_least_a_second_and_may_be_ten_years() {
    assert_eq!(expression("+1s").window().unwrap(), MIN_WINDOW);
    let ten_years = expression("+10y").window().unwrap();
    assert_eq!(ten_years, Duration::from_secs(3650 * DAY));
    for (text, problem) in [
        ("+0s", Problem::WindowTooShort),
        ("+1m-60s", Problem::WindowTooShort),
        ("-3m", Problem::Negative),
    ] {
        let error = expression(text).window().unwrap_err();
        assert_eq!(error.problem, problem, "{text}");
    }
    let error = expression("-3m").window().unwrap_err();
    assert_eq!(error.suggestion.as_deref(), Some("+3m"));
}

#[test]
fn an_error_says_where_what_and_what_is_right() {
    for (text, position, found, wrong, suggestion) in [
        ("3m", 1, "3m", Problem::NoSign, Some("+3m")),
        ("0", 1, "0", Problem::NoSign, None),
        ("+1H30m", 4, "30m", Problem::NoSign, Some("+1H+30m")),
        ("+3", 3, "", Problem::NoUnit, None),
        ("+", 2, "", Problem::NoUnit, None),
        ("++3m", 2, "+", Problem::NoUnit, None),
        ("+3h", 3, "h", Problem::UnknownUnit, Some("+3H")),
        ("+1H+2D", 6, "D", Problem::UnknownUnit, Some("+1H+2d")),
        ("+1.5H", 3, ".", Problem::UnknownUnit, None),
        ("+ 3m", 2, " ", Problem::UnknownUnit, None),
        ("+3µs", 3, "µ", Problem::UnknownUnit, None),
        ("+1sµ", 4, "µ", Problem::NoSign, None),
    ] {
        let error = problem(text);
        let got = (error.position, error.found.as_str(), error.problem);
        assert_eq!(got, (position, found, wrong), "{text}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{text}");
    }
    assert_eq!(problem("").problem, Problem::Empty);
}

#[test]
fn messages_read_well() {
    assert_eq!(
        problem("3m").to_string(),
        "time expression \"3m\": at position 1, \"3m\": each part starts with + or -; \
         write +3m, for example +3m (three minutes) or +1H+30m"
    );
    assert_eq!(
        expression("+0s").window().unwrap_err().to_string(),
        "time expression \"+0s\": a time window is at least one second; \
         for example +3m (three minutes) or +1H+30m"
    );
    assert_eq!(
        problem("+99999999999999999999y").to_string(),
        "time expression \"+99999999999999999999y\": at position 2, \"99999999999999999999\": \
         at most 10000 years are possible; for example +3m (three minutes) or +1H+30m"
    );
}

#[test]
fn json_holds_the_text() {
    let json = serde_json::to_string(&expression("+H+30m")).unwrap();
    assert_eq!(json, r#""+1H+30m""#);
    let error = serde_json::from_str::<TimeExpression>(r#""3m""#).unwrap_err();
    assert!(error.to_string().contains("write +3m"), "{error}");
}

fn any_part() -> impl Strategy<Value = Part> {
    (any::<bool>(), 0..Unit::ALL.len(), any::<u64>()).prop_map(|(forward, unit, count)| {
        let unit = Unit::ALL[unit];
        let limit = unit.max_count().unsigned_abs() + 1;
        let count = i64::try_from(count % limit).unwrap();
        Part {
            forward,
            count,
            unit,
        }
    })
}

proptest! {
    #[test]
    fn what_is_displayed_reads_back(parts in prop::collection::vec(any_part(), 1..6)) {
        let expression = TimeExpression { parts };
        prop_assert_eq!(expression.to_string().parse::<TimeExpression>().unwrap(), expression);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9smHdwMyµ ]{0,12}|\\PC{0,8}", from: i64) {
        match text.parse::<TimeExpression>() {
            Ok(expression) => {
                let _ = expression.after(Timestamp::from_micros(from));
                let _ = expression.as_duration_from(Timestamp::from_micros(from));
                let _ = expression.window();
            }
            Err(error) => {
                prop_assert!(error.position >= 1);
                prop_assert!(error.position <= text.chars().count() + 1);
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_part_within_its_limit_fails_to_be_a_span(part in any_part()) {
        prop_assert!(part.span().is_some());
    }
}
