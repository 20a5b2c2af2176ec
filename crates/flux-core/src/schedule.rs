//! When schedules are due: pure planning, from the stored due time and what the clock says.

use crate::chart::{Misfire, Overlap, Schedule, ScheduleRule};
use crate::clock::Timestamp;
use croner::Cron;
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::str::FromStr;
use std::time::Duration;

/// Most runs that [`Misfire::RunAll`] makes up for at once.
const MAKE_UP: u32 = 100;

/// A due time is missed, rather than a little late, after this.
const LATE: Duration = Duration::from_secs(60);

/// What to do about a schedule that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Runs to start now.
    pub runs: u32,
    /// Next due time; none for `after`, which is due again when its run ends.
    pub next: Option<Timestamp>,
}

/// First due time of a schedule that becomes active now; none when it is never due.
#[must_use]
pub fn first_due(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    match &schedule.rule {
        ScheduleRule::Every(_) | ScheduleRule::Cron(_) => next_after(schedule, now),
        ScheduleRule::After(_) => Some(now),
    }
}

/// The next due time strictly after an instant; none for `after`, or when it is never due again.
#[must_use]
pub fn next_after(schedule: &Schedule, after: Timestamp) -> Option<Timestamp> {
    match &schedule.rule {
        ScheduleRule::Every(every) => Some(after.plus(*every)),
        ScheduleRule::Cron(cron) => cron_after(cron, schedule.timezone.as_deref(), after),
        ScheduleRule::After(_) => None,
    }
}

/// What to do at `now` about a schedule due at `due`, whose last run has ended or not.
#[must_use]
pub fn plan(schedule: &Schedule, due: Timestamp, last_ended: bool, now: Timestamp) -> Plan {
    let mut passed = 1;
    let mut next = next_after(schedule, due);
    while let Some(time) = next.filter(|time| *time <= now) {
        passed += 1;
        next = match (&schedule.rule, passed > MAKE_UP) {
            // The grid of `every` is kept without walking over all that was missed.
            (ScheduleRule::Every(every), true) => Some(grid(due, *every, now)),
            (_, true) => next_after(schedule, now),
            (_, false) => next_after(schedule, time),
        };
    }
    let late = now.since(due) > LATE;
    let runs = match schedule.misfire {
        Misfire::RunOnce => 1,
        Misfire::RunAll => passed.min(MAKE_UP),
        Misfire::Skip if late => 0,
        Misfire::Skip => 1,
    };
    let held = schedule.overlap == Overlap::Skip && !last_ended;
    Plan {
        runs: if held { 0 } else { runs },
        next,
    }
}

/// The first instant after `now` that is a whole number of steps after `due`.
fn grid(due: Timestamp, every: Duration, now: Timestamp) -> Timestamp {
    let step = every.as_micros().max(1);
    let steps = now.since(due).as_micros() / step + 1;
    let micros = u64::try_from(steps.saturating_mul(step)).unwrap_or(u64::MAX);
    due.plus(Duration::from_micros(micros))
}

fn cron_after(cron: &str, timezone: Option<&str>, after: Timestamp) -> Option<Timestamp> {
    let cron = Cron::from_str(cron).ok()?;
    let zone = match timezone {
        Some(name) => TimeZone::get(name).ok()?,
        None => TimeZone::UTC,
    };
    let after: Zoned = jiff::Timestamp::from_microsecond(after.as_micros())
        .ok()?
        .to_zoned(zone);
    let next = cron.find_next_occurrence(&after, false).ok()?;
    Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().expect("the test's time is right");
        Timestamp::from_micros(time.as_microsecond())
    }

    fn schedule(rule: ScheduleRule) -> Schedule {
        Schedule {
            rule,
            timezone: None,
            misfire: Misfire::RunOnce,
            overlap: Overlap::Allow,
        }
    }

    #[test]
    fn cron_keeps_its_wall_clock_time_over_a_change_of_the_clocks() {
        let mut nightly = schedule(ScheduleRule::Cron("30 3 * * *".to_owned()));
        nightly.timezone = Some("Europe/Berlin".to_owned());
        let before = at("2026-03-28T12:00:00Z");
        let first = next_after(&nightly, before).expect("it is due");
        assert_eq!(first, at("2026-03-29T01:30:00Z"));
        assert_eq!(
            next_after(&nightly, first),
            Some(at("2026-03-30T01:30:00Z"))
        );
    }

    #[test]
    fn missed_times_are_made_up_for_as_the_policy_says() {
        let mut every = schedule(ScheduleRule::Every(Duration::from_secs(600)));
        let (due, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T01:05:00Z"));
        let next = Some(at("2026-01-01T01:10:00Z"));
        assert_eq!(plan(&every, due, true, now), Plan { runs: 1, next });
        every.misfire = Misfire::RunAll;
        assert_eq!(plan(&every, due, true, now), Plan { runs: 7, next });
        every.misfire = Misfire::Skip;
        assert_eq!(plan(&every, due, true, now), Plan { runs: 0, next });
    }

    #[test]
    fn years_of_absence_cost_no_walk_and_keep_the_grid() {
        let mut every = schedule(ScheduleRule::Every(Duration::from_secs(1)));
        every.misfire = Misfire::RunAll;
        let (due, now) = (at("2000-01-01T00:00:00.5Z"), at("2026-01-01T00:00:00Z"));
        let expected = Plan {
            runs: 100,
            next: Some(at("2026-01-01T00:00:00.5Z")),
        };
        assert_eq!(plan(&every, due, true, now), expected);
    }

    #[test]
    fn a_run_that_has_not_ended_holds_the_next_one_back_when_asked() {
        let mut every = schedule(ScheduleRule::Every(Duration::from_secs(60)));
        every.overlap = Overlap::Skip;
        let due = at("2026-01-01T00:00:00Z");
        assert_eq!(plan(&every, due, false, due).runs, 0);
        assert_eq!(plan(&every, due, true, due).runs, 1);
    }

    #[test]
    fn after_is_due_at_once_and_then_when_its_run_has_ended() {
        let after = schedule(ScheduleRule::After(Duration::from_secs(5)));
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(first_due(&after, now), Some(now));
        assert_eq!(
            plan(&after, now, true, now),
            Plan {
                runs: 1,
                next: None
            }
        );
    }
}
