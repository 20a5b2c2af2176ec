use flux_core::clock::{Clock, ManualClock, Timestamp};

use super::*;
use crate::memory::{Memory, Staged, new_member};

const WINDOW: Duration = Duration::from_secs(180);
const INTERVAL: Duration = Duration::from_secs(15);

/// An engine that observes a cluster on a clock that the test moves.
struct Observing {
    store: Arc<Memory>,
    clock: Arc<ManualClock>,
    trust: TrustHandle,
    me: Incarnation,
    failover: Failover,
}

async fn join(store: &Memory, window: Duration) -> Incarnation {
    let row = new_member(window);
    let who = row.incarnation;
    let joined = store.join(row, 35, Timestamp::default()).await;
    joined.expect("the store is there");
    who
}

async fn observing() -> Observing {
    let store = Memory::new();
    let clock = Arc::new(ManualClock::default());
    let me = join(&store, WINDOW).await;
    let timing = Timing::of(WINDOW);
    let trust = TrustHandle::new(timing, clock.clone());
    let host = Arc::new(Staged(clock.clone()));
    let members = store.clone();
    let correction = Correction::default();
    let failover = Failover::new(me, timing, 5, members, host, trust.clone(), correction);
    Observing {
        store,
        clock,
        trust,
        me,
        failover,
    }
}

impl Observing {
    /// Lets the interval pass and makes a pass, beating for this engine and for `others`.
    async fn pass(&mut self, others: &[Incarnation]) -> Result<Report, Error> {
        self.clock.advance(INTERVAL);
        self.trust.renew(self.clock.boot());
        for who in others.iter().chain([&self.me]) {
            let _ = self.store.heartbeat(*who, self.clock.now()).await;
        }
        self.failover.pass().await
    }

    async fn passes(&mut self, count: u32, others: &[Incarnation]) -> Report {
        let mut report = Report::default();
        for _ in 0..count {
            let next = self.pass(others).await.expect("the store is there");
            report.convicted.extend(next.convicted);
            report.taken_over.extend(next.taken_over);
            report.suspects = next.suspects;
        }
        report
    }
}

#[tokio::test]
async fn a_silent_engine_is_convicted_and_all_its_branches_are_freed() {
    let mut observing = observing().await;
    let silent = join(&observing.store, WINDOW).await;
    observing.store.give(silent, &[0; 2_500]);
    let report = observing.passes(12, &[]).await;
    assert_eq!(report.convicted, vec![]);
    assert_eq!(report.suspects, vec![silent]);
    let report = observing.passes(1, &[]).await;
    let conviction = Conviction {
        who: silent,
        silent: WINDOW,
    };
    assert_eq!(report.convicted, vec![conviction]);
    assert_eq!(report.taken_over.len(), 2_500);
    assert_eq!(observing.store.largest_batch(), 1_000);
    let (who, by, evidence) = observing.store.convictions().remove(0);
    assert_eq!((who, by), (silent, observing.me));
    assert_eq!(evidence, "its heartbeat 0 had not changed for 180.0 s");
    assert_eq!(observing.passes(20, &[]).await, Report::default());
}

#[tokio::test]
async fn an_engine_that_beats_is_left_alone() {
    let mut observing = observing().await;
    let beating = join(&observing.store, WINDOW).await;
    assert_eq!(observing.passes(100, &[beating]).await, Report::default());
}

#[tokio::test]
async fn branches_that_killed_engines_too_often_are_poisoned() {
    let mut observing = observing().await;
    let silent = join(&observing.store, WINDOW).await;
    observing.store.give(silent, &[0, 3, 4]);
    let report = observing.passes(13, &[]).await;
    let poisoned: Vec<_> = report.taken_over.iter().map(|t| t.poisoned).collect();
    assert_eq!(poisoned, vec![false, false, true]);
}

#[tokio::test]
async fn an_outage_convicts_nobody() {
    let mut observing = observing().await;
    let other = join(&observing.store, WINDOW).await;
    observing.passes(12, &[]).await;
    observing.store.set_away(true);
    for _ in 0..3 {
        observing.pass(&[]).await.expect_err("the store is away");
    }
    observing.store.set_away(false);
    // The other one beats again a full heartbeat period after the outage, and was never judged.
    assert_eq!(observing.passes(4, &[]).await, Report::default());
    assert_eq!(observing.passes(30, &[other]).await, Report::default());
    assert!(observing.store.convictions().is_empty());
}

#[tokio::test]
async fn who_is_not_trusted_judges_nobody() {
    let mut observing = observing().await;
    let silent = join(&observing.store, WINDOW).await;
    observing.store.give(silent, &[0]);
    for _ in 0..30 {
        observing.clock.advance(INTERVAL);
        let report = observing.failover.pass().await;
        assert_eq!(report, Ok(Report::default()));
    }
    assert!(observing.store.convictions().is_empty());
}

#[tokio::test]
async fn what_another_engine_began_is_finished_at_once() {
    let mut observing = observing().await;
    let (dead, other) = (
        join(&observing.store, WINDOW).await,
        join(&observing.store, WINDOW).await,
    );
    observing.store.give(dead, &[0, 0]);
    let now = Timestamp::default();
    let convicted = observing.store.convict(dead, 0, other, "silent", now).await;
    assert_eq!(convicted, Ok(true));
    let report = observing.passes(1, &[other]).await;
    assert_eq!(report.convicted, vec![]);
    assert_eq!(report.taken_over.len(), 2);
}

#[tokio::test]
async fn a_short_window_of_another_engine_is_its_own_affair() {
    let mut observing = observing().await;
    let short = join(&observing.store, Duration::from_secs(30)).await;
    let long = join(&observing.store, Duration::from_secs(3_600)).await;
    let report = observing.passes(13, &[]).await;
    let convicted: Vec<_> = report.convicted.iter().map(|c| c.who).collect();
    assert_eq!(convicted, vec![short]);
    let report = observing.passes(228, &[]).await;
    let convicted: Vec<_> = report.convicted.iter().map(|c| c.who).collect();
    assert_eq!(convicted, vec![long]);
}

/// Otherwise each answer that takes as long as the interval makes the next observation begin anew.
#[tokio::test]
async fn a_slow_answer_does_not_delay_the_next_pass() {
    let observing = observing().await;
    let began = observing.clock.boot();
    let pause = |took: Duration| {
        let clock = &observing.clock;
        clock.advance(took.saturating_sub(clock.boot().since(began)));
        observing.failover.pause(began)
    };
    assert_eq!(pause(Duration::ZERO), INTERVAL);
    assert_eq!(pause(INTERVAL / 3), INTERVAL - INTERVAL / 3);
    assert_eq!(pause(INTERVAL), INTERVAL / 4, "the store is not flooded");
    assert_eq!(pause(INTERVAL * 3), INTERVAL / 4);
}
