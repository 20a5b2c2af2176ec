//! Everything that follows from the failover time window.

use std::time::Duration;

/// Longest observation interval, however long the window: members with shorter windows, and
/// the branches of members that are dead already, wait no longer than this for this engine.
const MAX_OBSERVE: Duration = Duration::from_secs(60);
/// Longest time that killing what an engine runs is allowed to take.
const MAX_KILL_BUDGET: Duration = Duration::from_secs(10);
/// Longest wait for the answer of one heartbeat.
const MAX_ANSWER: Duration = Duration::from_secs(30);

/// The times an engine lives by, all derived from its failover time window W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// The failover time window, W: silence of this length is a conviction.
    pub window: Duration,
    /// The heartbeat period, H = W/3.
    pub heartbeat: Duration,
    /// How soon a failed heartbeat is tried again, H/6.
    pub heartbeat_retry: Duration,
    /// How long the answer to a heartbeat is waited for, at most H/2.
    pub heartbeat_answer: Duration,
    /// The observation interval, C: H/4, at most a minute.
    pub observe: Duration,
    /// The guard time, g = W/10: between the end of this engine's acting and the first possible
    /// conviction. It absorbs clocks that run up to 5 % too fast or slow.
    pub guard: Duration,
    /// Time since the last successful heartbeat was sent after which no action starts: 2H.
    pub soft_limit: Duration,
    /// Time since then at which what still runs is to be killed.
    pub kill_at: Duration,
    /// Time since then at which all of it must be dead: W - g.
    pub dead_line: Duration,
}

impl Timing {
    /// The times for a failover time window of `window`.
    #[must_use]
    pub fn of(window: Duration) -> Self {
        let heartbeat = window / 3;
        let guard = window / 10;
        let dead_line = window.saturating_sub(guard);
        let kill_budget = MAX_KILL_BUDGET.min(window / 6);
        Self {
            window,
            heartbeat,
            heartbeat_retry: heartbeat / 6,
            heartbeat_answer: MAX_ANSWER.min(heartbeat / 2),
            observe: MAX_OBSERVE.min(heartbeat / 4),
            guard,
            soft_limit: heartbeat * 2,
            kill_at: dead_line.saturating_sub(kill_budget),
            dead_line,
        }
    }

    /// Time from the last heartbeat of a member with this `window` until its branches are free at
    /// the latest, W + W/3 + C, when others that live look every `observe`.
    #[must_use]
    pub fn latest_takeover(window: Duration, observe: Duration) -> Duration {
        window.saturating_add(window / 3).saturating_add(observe)
    }

    /// Silence after which a member is worth mentioning: half of `window`, when at least one
    /// heartbeat must be missing.
    #[must_use]
    pub fn suspicion(window: Duration) -> Duration {
        window / 2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_window_of_three_minutes() {
        let timing = Timing::of(Duration::from_secs(180));
        let secs = Duration::from_secs;
        assert_eq!(timing.heartbeat, secs(60));
        assert_eq!(timing.heartbeat_retry, secs(10));
        assert_eq!(timing.heartbeat_answer, secs(30));
        assert_eq!(timing.observe, secs(15));
        assert_eq!(timing.guard, secs(18));
        assert_eq!(timing.soft_limit, secs(120));
        assert_eq!(timing.kill_at, secs(152));
        assert_eq!(timing.dead_line, secs(162));
    }

    #[test]
    fn branches_of_a_silent_engine_are_free_in_time() {
        let window = Duration::from_secs(180);
        let observe = Timing::of(window).observe;
        let latest = Timing::latest_takeover(window, observe);
        assert_eq!(latest, Duration::from_secs(180 + 60 + 15));
        let never = Timing::latest_takeover(Duration::MAX, observe);
        assert_eq!(never, Duration::MAX);
    }

    #[test]
    fn ten_years_still_observe_every_minute() {
        let window = Duration::from_secs(3650 * 24 * 60 * 60);
        let timing = Timing::of(window);
        assert_eq!(timing.observe, MAX_OBSERVE);
        assert_eq!(timing.heartbeat, window / 3);
    }

    proptest! {
        #[test]
        fn the_order_of_the_times_never_changes(nanos: u64, huge: bool) {
            let window = if huge { Duration::MAX } else { Duration::from_nanos(nanos) };
            let timing = Timing::of(window);
            prop_assert!(timing.observe <= timing.heartbeat / 4);
            prop_assert!(timing.heartbeat_retry <= timing.heartbeat);
            prop_assert!(timing.heartbeat <= timing.soft_limit);
            // Whole nanoseconds are rounded, hence the tolerance for windows of nothing.
            let rounding = Duration::from_nanos(3);
            prop_assert!(timing.soft_limit <= timing.kill_at.saturating_add(rounding));
            prop_assert!(timing.kill_at <= timing.dead_line);
            prop_assert!(timing.dead_line <= window);
            prop_assert_eq!(timing.dead_line.saturating_add(timing.guard), window);
        }
    }
}
