//! Says in the log what the engines should agree on and do not, once, and when it is over.

use std::time::Duration;

use flux_core::clock::ClockOffset;
use flux_core::ids::Incarnation;
use flux_core::ownership::{calendar_correction, differing_windows};
use flux_core::ports::members::Member;
use tracing::{info, warn};

use crate::calendar::Correction;

/// Offsets about the limit are not told of again and again: the clock is right again below this.
const RIGHT_AGAIN: Duration = Duration::from_secs(1);

/// What an engine has said already.
#[derive(Debug)]
pub(super) struct Differences {
    me: Incarnation,
    windows: bool,
    clock: bool,
    correction: Correction,
}

impl Differences {
    pub(super) fn new(me: Incarnation, correction: Correction) -> Self {
        Self {
            me,
            windows: false,
            clock: false,
            correction,
        }
    }

    /// Compares the members. Nothing that is found here is a danger to what they run.
    pub(super) fn tell(&mut self, members: &[Member]) {
        self.tell_of_windows(members);
        let mut all = members.iter();
        if let Some(me) = all.find(|member| member.incarnation == self.me) {
            self.tell_of_clock(me.clock_offset);
        }
        self.correct(calendar_correction(members, self.me));
    }

    fn correct(&self, by: ClockOffset) {
        let right = ClockOffset::default();
        match (self.correction.replace(by) == right, by == right) {
            (true, false) => warn!(
                engine.id = %self.me, by_s = by.as_secs_f64(),
                "most clocks of this cluster are more than {:?} away from the one of this machine: it \
                 goes by theirs",
                ClockOffset::ODD
            ),
            (false, true) => info!(
                engine.id = %self.me,
                "the clock of this machine agrees with the others again: it goes by its own"
            ),
            _ => {}
        }
    }

    fn tell_of_windows(&mut self, members: &[Member]) {
        let differing = differing_windows(members);
        let told = std::mem::replace(&mut self.windows, !differing.is_empty());
        match (told, self.windows) {
            (false, true) => {
                let window = |m: &&Member| format!("{} {:?}", m.name, m.window);
                let windows: Vec<String> = differing.iter().map(window).collect();
                warn!(
                    engine.id = %self.me, windows = windows.join(", "),
                    "engines of this cluster have different values of FAILOVER_TIME_WINDOW; each is judged by its own"
                );
            }
            (true, false) => info!(
                engine.id = %self.me,
                "all engines of this cluster have the same FAILOVER_TIME_WINDOW again"
            ),
            _ => {}
        }
    }

    fn tell_of_clock(&mut self, offset: ClockOffset) {
        if !self.clock && offset.is_notable() {
            self.clock = true;
            warn!(
                engine.id = %self.me, offset_s = offset.as_secs_f64(),
                "the calendar clock of this machine differs from the database's; failover does not \
                 depend on it, but timers and schedules are early or late by as much"
            );
        } else if self.clock && offset.apart() <= RIGHT_AGAIN {
            self.clock = false;
            info!(
                engine.id = %self.me, offset_s = offset.as_secs_f64(),
                "the calendar clock of this machine agrees with the database's again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use flux_core::clock::Timestamp;
    use flux_core::ports::members::{MemberState, Members};

    use super::*;
    use crate::memory::{Memory, new_member};

    async fn members(windows_s: &[u64]) -> Vec<Member> {
        let store = Memory::new();
        for window in windows_s {
            let new = new_member(Duration::from_secs(*window));
            let joined = store.join(new, 35, Timestamp::default()).await;
            joined.expect("the store is there");
        }
        store.members().await.expect("the store is there")
    }

    #[tokio::test]
    async fn windows_are_told_of_until_they_are_the_same() {
        let mut all = members(&[3, 3, 9]).await;
        let mut differences = Differences::new(all[0].incarnation, Correction::default());
        differences.tell(&all);
        assert!(differences.windows);
        all[2].state = MemberState::Dead;
        differences.tell(&all);
        assert!(!differences.windows);
    }

    #[tokio::test]
    async fn an_engine_tells_of_its_own_clock_until_it_is_right() {
        let mut all = members(&[3, 3]).await;
        let correction = Correction::default();
        let mut differences = Differences::new(all[0].incarnation, correction.clone());
        let mut told = |me_ms: i64, other_ms: i64| {
            let offset = |ms| {
                let engine = Timestamp::from_micros(ms * 1_000);
                ClockOffset::between(engine, Timestamp::default())
            };
            all[0].clock_offset = offset(me_ms);
            all[1].clock_offset = offset(other_ms);
            differences.tell(&all);
            differences.clock
        };
        assert!(
            !told(2_000, -60_000),
            "the other one's clock is its own affair"
        );
        assert!(told(-2_001, 0));
        assert!(told(1_500, 0), "neither wrong enough nor right");
        assert!(!told(-1_000, 0));
        assert!(!told(1_500, 0));
        assert!(told(31_000, 0));
        assert_eq!(
            correction.replace(ClockOffset::default()).to_string(),
            "-31.0 s"
        );
        assert!(told(29_000, 0));
        assert_eq!(
            correction.replace(ClockOffset::default()),
            ClockOffset::default()
        );
    }
}
