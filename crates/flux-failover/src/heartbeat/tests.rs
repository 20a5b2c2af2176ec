//! Each beat by itself on a clock that the test moves, and the two threads on the real one.
#![expect(clippy::expect_used, reason = "a test may panic")]

use super::*;
use crate::SystemHost;
use crate::memory::{Staged, eventually};
use crate::trust::Loss;
use async_trait::async_trait;
use flux_core::clock::{BootTime, Clock, ManualClock, Timestamp};
use flux_core::host::Task;
use flux_core::ports::members::{Joined, Member, NewMember, Takeover};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use uuid::Uuid;

const ME: Incarnation = Incarnation::new(Uuid::from_u128(7));
const LONG: Duration = Duration::from_secs(60);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What the store does with one heartbeat.
enum Answer {
    Yes,
    /// Time passes before the answer comes.
    YesAfter(Duration),
    Dead,
    Fails,
    /// No answer, ever.
    Never,
    /// Blocks its thread, as no store should, until the sender is gone.
    Blocks(mpsc::Receiver<()>),
}

/// Answers heartbeats as it is told, and with yes when it is told nothing.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: AtomicUsize,
    clock: Option<Arc<ManualClock>>,
}

impl Script {
    fn then(&self, answer: Answer) {
        let mut answers = self.answers.lock().expect("nobody panics with it");
        answers.push_back(answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Members for Script {
    async fn heartbeat(&self, _me: Incarnation, _now: Timestamp) -> Result<bool, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = {
            let mut answers = self.answers.lock().expect("nobody panics with it");
            answers.pop_front().unwrap_or(Answer::Yes)
        };
        match answer {
            Answer::Yes => Ok(true),
            Answer::YesAfter(time) => {
                let clock = self.clock.as_ref().expect("the test has a manual clock");
                clock.advance(time);
                Ok(true)
            }
            Answer::Dead => Ok(false),
            Answer::Fails => Err(Error::Unavailable("told to fail".to_owned())),
            Answer::Never => std::future::pending().await,
            Answer::Blocks(until) => Ok(until.recv().is_err()),
        }
    }

    async fn join(&self, _: NewMember, _: u32, _: Timestamp) -> Result<Joined, Error> {
        unreachable!("a heartbeat only beats")
    }

    async fn members(&self) -> Result<Vec<Member>, Error> {
        unreachable!("a heartbeat only beats")
    }

    async fn convict(
        &self,
        _: Incarnation,
        _: u64,
        _: Incarnation,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, Error> {
        unreachable!("a heartbeat only beats")
    }

    async fn take_over(
        &self,
        _: Incarnation,
        _: Incarnation,
        _: u32,
        _: u32,
        _: Timestamp,
    ) -> Result<Vec<Takeover>, Error> {
        unreachable!("a heartbeat only beats")
    }

    async fn set_draining(&self, _: Incarnation) -> Result<(), Error> {
        unreachable!("a heartbeat only beats")
    }

    async fn leave(&self, _: Incarnation) -> Result<(), Error> {
        unreachable!("a heartbeat only beats")
    }
}

/// Single beats with a window of three minutes.
struct Bench {
    script: Arc<Script>,
    clock: Arc<ManualClock>,
    trust: TrustHandle,
    beat: Beat,
}

fn bench(window: Duration) -> Bench {
    let clock = Arc::new(ManualClock::default());
    clock.advance(secs(1000));
    let script = Arc::new(Script {
        clock: Some(Arc::clone(&clock)),
        ..Script::default()
    });
    let timing = Timing::of(window);
    let trust = TrustHandle::new(timing, clock.clone());
    let beat = Beat {
        me: ME,
        timing,
        members: script.clone(),
        host: Arc::new(Staged(clock.clone())),
        trust: trust.clone(),
        count: 0,
        failing: false,
    };
    Bench {
        script,
        clock,
        trust,
        beat,
    }
}

#[tokio::test]
async fn it_beats_after_nine_tenths_to_a_whole_period() {
    let mut bench = bench(secs(180));
    let (shortest, longest) = (secs(54), secs(60));
    let mut pauses = Vec::new();
    for _ in 0..200 {
        let pause = bench.beat.once().await.expect("it goes on");
        assert!(pause >= shortest && pause <= longest, "{pause:?}");
        bench.clock.advance(pause);
        assert_eq!(bench.trust.state(), Trust::Full);
        pauses.push(pause);
    }
    pauses.sort();
    pauses.dedup();
    assert!(pauses.len() > 20, "engines started together drift apart");
    assert_eq!(bench.script.asked(), 200);
}

#[tokio::test]
async fn the_time_that_the_answer_took_is_part_of_the_period() {
    let mut bench = bench(secs(180));
    bench.script.then(Answer::YesAfter(secs(20)));
    let pause = bench.beat.once().await.expect("it goes on");
    assert!(pause >= secs(34) && pause <= secs(40), "{pause:?}");
    bench.script.then(Answer::YesAfter(secs(90)));
    assert_eq!(bench.beat.once().await, Some(Duration::ZERO));
}

#[tokio::test]
async fn a_failure_is_tried_again_soon_and_gives_no_trust() {
    let mut bench = bench(secs(180));
    bench.script.then(Answer::Fails);
    assert_eq!(bench.beat.once().await, Some(secs(10)));
    assert_eq!(bench.trust.state(), Trust::NoNewActions);
    assert!(bench.beat.once().await.is_some());
    assert_eq!(bench.trust.state(), Trust::Full);
    bench.clock.advance(secs(119));
    bench.script.then(Answer::Fails);
    bench.beat.once().await;
    bench.clock.advance(secs(1));
    assert_eq!(
        bench.trust.state(),
        Trust::NoNewActions,
        "counted from the success"
    );
}

#[tokio::test]
async fn a_late_answer_extends_trust_only_from_when_it_was_asked_for() {
    let mut bench = bench(secs(180));
    bench.script.then(Answer::YesAfter(secs(110)));
    bench.beat.once().await;
    assert_eq!(bench.trust.state(), Trust::Full);
    bench.clock.advance(secs(10));
    assert_eq!(bench.trust.state(), Trust::NoNewActions);
}

#[tokio::test]
async fn an_answer_after_the_dead_line_is_the_end() {
    let mut bench = bench(secs(180));
    bench.beat.once().await;
    bench.clock.advance(secs(100));
    bench.script.then(Answer::YesAfter(secs(62)));
    assert_eq!(bench.beat.once().await, None);
    assert_eq!(bench.trust.state(), Trust::Lost);
    assert_eq!(bench.trust.loss(), Some(Loss::Silent));
}

#[tokio::test]
async fn a_fenced_engine_loses_its_trust_at_once() {
    let mut bench = bench(secs(180));
    bench.beat.once().await;
    bench.script.then(Answer::Dead);
    assert_eq!(bench.beat.once().await, None);
    assert_eq!(bench.trust.state(), Trust::Lost);
    assert_eq!(bench.trust.loss(), Some(Loss::Convicted));
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_failure() {
    let window = Duration::from_millis(60);
    let mut bench = bench(window);
    bench.script.then(Answer::Never);
    let pause = bench.beat.once().await;
    assert_eq!(pause, Some(Timing::of(window).heartbeat_retry));
    assert_eq!(bench.trust.state(), Trust::NoNewActions);
    bench.beat.once().await;
    assert_eq!(bench.trust.state(), Trust::Full);
}

/// The threads, on the real clock, with a window so short that the test is.
fn beating(script: &Arc<Script>, window: Duration) -> (Heartbeat, TrustHandle) {
    let host: Arc<dyn Host> = Arc::new(SystemHost);
    let timing = Timing::of(window);
    let trust = TrustHandle::new(timing, host.clone());
    let script = script.clone();
    let connect = move || -> Arc<dyn Members> { script };
    let heartbeat = Heartbeat::start(ME, timing, connect, host, trust.clone());
    (heartbeat.expect("the threads start"), trust)
}

#[tokio::test]
async fn its_own_thread_beats_while_the_runtime_is_blocked() {
    let script = Arc::new(Script::default());
    // So long that a busy machine does not end the incarnation before five beats.
    let (_heartbeat, trust) = beating(&script, secs(3));
    let start = std::time::Instant::now();
    // Without a single await: nothing else can happen on this runtime.
    while script.asked() < 3 {
        assert!(start.elapsed() < LONG && trust.state() != Trust::Lost);
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_call_that_hangs_does_not_hang_the_heartbeat() {
    let script = Arc::new(Script::default());
    script.then(Answer::Never);
    script.then(Answer::Never);
    let (_heartbeat, trust) = beating(&script, Duration::from_millis(300));
    eventually("it beats again", || script.asked() >= 3).await;
    drop(trust);
}

#[tokio::test]
async fn the_watchdog_notices_the_loss_while_the_heartbeat_is_blocked() {
    let script = Arc::new(Script::default());
    let (release, blocked) = mpsc::channel();
    script.then(Answer::Yes);
    script.then(Answer::Blocks(blocked));
    let (_heartbeat, trust) = beating(&script, Duration::from_millis(300));
    let published = trust.subscribe();
    eventually("the loss is published", || {
        *published.borrow() == Trust::Lost
    })
    .await;
    drop(release);
}

/// A host that says, by being dropped, that nobody can use it any more.
struct Shared;

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        SystemHost.now()
    }

    fn boot(&self) -> BootTime {
        SystemHost.boot()
    }
}

impl Host for Shared {
    fn sleep(&self, by: Duration) -> Task {
        SystemHost.sleep(by)
    }

    fn spawn(&self, task: Task) {
        SystemHost.spawn(task);
    }

    fn spawn_apart(&self, name: &'static str, task: Task) -> io::Result<()> {
        SystemHost.spawn_apart(name, task)
    }

    fn fresh_id(&self) -> Uuid {
        SystemHost.fresh_id()
    }
}

#[tokio::test]
async fn dropping_it_ends_both_threads_even_in_the_middle_of_a_call() {
    for first in [Answer::Yes, Answer::Never] {
        let script = Arc::new(Script::default());
        script.then(first);
        let host: Arc<dyn Host> = Arc::new(Shared);
        let timing = Timing::of(secs(3600));
        let trust = TrustHandle::new(timing, host.clone());
        let connect = {
            let script = script.clone();
            move || -> Arc<dyn Members> { script }
        };
        let heartbeat =
            Heartbeat::start(ME, timing, connect, host.clone(), trust).expect("it starts");
        eventually("it beats", || script.asked() == 1).await;
        drop(heartbeat);
        // The heartbeat's thread holds the store and the host, the watchdog's holds the host.
        eventually("both threads are gone", || {
            Arc::strong_count(&script) == 1 && Arc::strong_count(&host) == 1
        })
        .await;
    }
}
