//! How long an engine may trust that it still owns what it runs.

use std::time::Duration;

use super::Timing;
use crate::clock::BootTime;

/// What an engine may still do with the branches it owns, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Everything: claim, start actions, commit.
    Full,
    /// No claim and no new action; what runs may end. Also before the first heartbeat.
    NoNewActions,
    /// What runs is to be killed now.
    StopActions,
    /// Everything must be dead. This incarnation is at its end and must step down.
    Lost,
}

/// The trust of one incarnation, kept up by its heartbeats:
///
/// | time since the last successful heartbeat was sent | trust |
/// |---|---|
/// | none was sent yet | `NoNewActions` |
/// | up to 2H | `Full` |
/// | up to the time to kill | `NoNewActions` |
/// | up to W - g | `StopActions` |
/// | after that, or fenced, and ever after | `Lost` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrustWindow {
    timing: Timing,
    proof: Proof,
}

/// What the trust rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Proof {
    None,
    /// The time before the last successful heartbeat was sent.
    Sent(BootTime),
    Fenced,
}

impl TrustWindow {
    /// The trust of an incarnation that has not beaten yet.
    #[must_use]
    pub const fn new(timing: Timing) -> Self {
        Self {
            timing,
            proof: Proof::None,
        }
    }

    /// A heartbeat that was sent at `sent` (read *before* sending) is known at `now` to have
    /// succeeded. Once lost, trust does not come back: others may have noticed the loss and
    /// acted on it. Returns the trust at `now`.
    pub fn renew(&mut self, sent: BootTime, now: BootTime) -> Trust {
        match self.proof {
            Proof::Fenced => {}
            _ if self.state(now) == Trust::Lost => self.fence(),
            Proof::Sent(before) if before >= sent => {}
            _ => self.proof = Proof::Sent(sent),
        }
        self.state(now)
    }

    /// The store said that this incarnation is dead or gone.
    pub const fn fence(&mut self) {
        self.proof = Proof::Fenced;
    }

    /// The trust at `now`. A clock that went back counts as one that stands still.
    #[must_use]
    pub fn state(&self, now: BootTime) -> Trust {
        let sent = match self.proof {
            Proof::None => return Trust::NoNewActions,
            Proof::Fenced => return Trust::Lost,
            Proof::Sent(sent) => sent,
        };
        let age = now.since(sent);
        if age < self.timing.soft_limit.min(self.timing.kill_at) {
            Trust::Full
        } else if age < self.timing.kill_at {
            Trust::NoNewActions
        } else if age < self.timing.dead_line {
            Trust::StopActions
        } else {
            Trust::Lost
        }
    }

    /// How long after `now` the trust changes by itself; `None` if it never does.
    #[must_use]
    pub fn until_change(&self, now: BootTime) -> Option<Duration> {
        let Proof::Sent(sent) = self.proof else {
            return None;
        };
        let age = now.since(sent);
        let Timing {
            soft_limit,
            kill_at,
            dead_line,
            ..
        } = self.timing;
        [soft_limit.min(kill_at), kill_at, dead_line]
            .into_iter()
            .find(|&edge| edge > age)
            .map(|edge| edge.saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(180);

    fn at(secs: u64) -> BootTime {
        BootTime::default().plus(Duration::from_secs(secs))
    }

    fn window() -> TrustWindow {
        TrustWindow::new(Timing::of(WINDOW))
    }

    #[test]
    fn trust_fades_step_by_step() {
        let mut trust = window();
        assert_eq!(trust.state(at(1000)), Trust::NoNewActions);
        assert_eq!(trust.until_change(at(1000)), None);
        assert_eq!(trust.renew(at(1000), at(1001)), Trust::Full);
        for (now, state, until) in [
            (1000, Trust::Full, Some(120)),
            (1119, Trust::Full, Some(1)),
            (1120, Trust::NoNewActions, Some(32)),
            (1152, Trust::StopActions, Some(10)),
            (1162, Trust::Lost, None),
            (9999, Trust::Lost, None),
            (1, Trust::Full, Some(120)),
        ] {
            assert_eq!(trust.state(at(now)), state, "at {now}");
            let until = until.map(Duration::from_secs);
            assert_eq!(trust.until_change(at(now)), until, "at {now}");
        }
    }

    #[test]
    fn an_answer_that_comes_after_the_loss_brings_nothing_back() {
        let mut trust = window();
        trust.renew(at(0), at(0));
        assert_eq!(trust.renew(at(161), at(162)), Trust::Lost);
        assert_eq!(trust.renew(at(163), at(163)), Trust::Lost);
        assert_eq!(trust.until_change(at(163)), None);
    }

    #[test]
    fn an_answer_in_time_counts_from_when_it_was_asked_for() {
        let mut trust = window();
        trust.renew(at(0), at(0));
        assert_eq!(trust.renew(at(30), at(155)), Trust::NoNewActions);
        assert_eq!(trust.state(at(191)), Trust::StopActions);
        assert_eq!(trust.state(at(192)), Trust::Lost);
    }

    #[test]
    fn a_first_answer_that_took_too_long_is_a_loss() {
        assert_eq!(window().renew(at(0), at(200)), Trust::Lost);
    }

    #[test]
    fn an_older_proof_does_not_replace_a_newer_one() {
        let mut trust = window();
        trust.renew(at(100), at(100));
        trust.renew(at(50), at(110));
        assert_eq!(trust.state(at(219)), Trust::Full);
    }

    #[test]
    fn the_fenced_stay_fenced() {
        let mut trust = window();
        trust.renew(at(0), at(0));
        trust.fence();
        assert_eq!(trust.renew(at(1), at(1)), Trust::Lost);
    }

    proptest! {
        /// Whoever lost its trust has done so a guard time before anybody can convict it, since
        /// an observer counts its window from a moment after `sent`.
        #[test]
        fn trust_never_outlives_the_last_proof(
            window_ms in 1_u64..10_000_000,
            beats in prop::collection::vec((0_u64..5_000_000, 0_u64..1_000_000), 1..20),
        ) {
            let timing = Timing::of(Duration::from_millis(window_ms));
            let mut trust = TrustWindow::new(timing);
            let mut clock = BootTime::default();
            let (mut last, mut lost) = (None, false);
            for (pause_ms, answer_ms) in beats {
                clock = clock.plus(Duration::from_millis(pause_ms));
                let before = trust.state(clock);
                if let Some(sent) = last {
                    prop_assert_eq!(before == Trust::Lost, lost || clock.since(sent) >= timing.dead_line);
                }
                lost |= before == Trust::Lost;
                let sent = clock;
                clock = clock.plus(Duration::from_millis(answer_ms));
                lost |= trust.state(clock) == Trust::Lost;
                let after = trust.renew(sent, clock);
                lost |= after == Trust::Lost;
                prop_assert_eq!(lost, after == Trust::Lost);
                prop_assert!(lost || clock.since(sent) < timing.dead_line);
                last = Some(sent);
            }
        }
    }
}
