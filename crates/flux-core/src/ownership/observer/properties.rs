//! Random histories: engines that beat, pause and fall silent, seen by one observer whose polls
//! are regular, late or torn. Time is in milliseconds.

use std::collections::HashMap;

use proptest::prelude::*;

use super::tests::{incarnation, member};
use super::*;

fn at(ms: u64) -> BootTime {
    BootTime::default().plus(Duration::from_millis(ms))
}

/// One member: its window, and the moments its heartbeats are applied at.
#[derive(Clone, Debug)]
struct Life {
    window_ms: u64,
    beats: Vec<u64>,
}

impl Life {
    /// How many heartbeats have been applied by `now`.
    fn seq(&self, now: u64) -> u64 {
        self.beats.iter().filter(|&&beat| beat <= now).count() as u64
    }

    /// The last moment up to `now` at which the member was heard of in truth.
    fn last_beat(&self, now: u64) -> u64 {
        let beats = self.beats.iter().copied().filter(|&beat| beat <= now);
        beats.max().unwrap_or(0)
    }

    fn row(&self, number: u128, now: u64) -> Member {
        let mut row = member(number, self.seq(now));
        row.window = Duration::from_millis(self.window_ms);
        row
    }
}

fn any_life() -> impl Strategy<Value = Life> {
    let pauses = prop::collection::vec(1_u64..6_000, 0..40);
    (50_u64..20_000, pauses).prop_map(|(window_ms, pauses)| {
        let beats = pauses.iter().scan(0, |now, pause| {
            *now += pause;
            Some(*now)
        });
        Life {
            window_ms,
            beats: beats.collect(),
        }
    })
}

/// Mostly regular polls, some of them with a clock that stands, some far too late.
fn any_gap() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1_u64..400, 1 => Just(0), 1 => 400_u64..10_000]
}

proptest! {
    #[test]
    fn nobody_is_convicted_within_its_window(
        own_window in 1_000_u64..6_000,
        lives in prop::collection::vec(any_life(), 1..6),
        polls in prop::collection::vec((any_gap(), 0_u64..300, prop::bool::weighted(0.02)), 1..150),
    ) {
        let timing = Timing::of(Duration::from_millis(own_window));
        let mut observer = Observer::new(incarnation(999), timing);
        let mut now = 0;
        let mut watched_since = None;
        for (gap, answer, lost_store) in polls {
            // The store is read at `read`; the answer is received later.
            let read = now + gap;
            now = read + answer;
            if lost_store {
                observer.reset();
                watched_since = None;
                continue;
            }
            watched_since.get_or_insert(now);
            let rows: Vec<_> = (0..).zip(&lives).map(|(i, life)| life.row(i, read)).collect();
            for verdict in observer.observe(at(now), &rows) {
                let Verdict::Convict { who, seen_seq, silent } = verdict else { continue };
                let life = &lives[usize::try_from(who.uuid().as_u128()).expect("a small number")];
                prop_assert_eq!(seen_seq, life.seq(read));
                // Only if its number is still the same is the conviction carried out, now.
                if life.seq(now) == seen_seq {
                    prop_assert!(now - life.last_beat(now) >= life.window_ms);
                }
                prop_assert!(silent >= Duration::from_millis(life.window_ms));
                prop_assert!(now - watched_since.expect("it has polled") >= life.window_ms);
            }
        }
    }

    #[test]
    fn the_silent_are_convicted_in_time(
        window_ms in 1_200_u64..20_000,
        beats in 0_usize..8,
        jitter in prop::collection::vec(0_u64..100, 8..9),
    ) {
        let timing = Timing::of(Duration::from_millis(window_ms));
        let interval = u64::try_from(timing.observe.as_millis()).expect("a small number");
        let period = window_ms / 3;
        let life = Life { window_ms, beats: (1..=beats as u64).map(|i| i * period).collect() };
        let death = life.last_beat(u64::MAX);
        let mut observer = Observer::new(incarnation(999), timing);
        let mut convicted_at = None;
        let mut now = jitter[7] % interval;
        let mut turn = 0;
        while convicted_at.is_none() && now <= death + 3 * window_ms {
            let verdicts = observer.observe(at(now), &[life.row(1, now)]);
            if verdicts.iter().any(|v| matches!(v, Verdict::Convict { .. })) {
                convicted_at = Some(now);
            }
            // Never later than C: regular polling.
            now += interval - jitter[turn % 7] % interval.min(100);
            turn += 1;
        }
        let convicted_at = convicted_at.expect("the silent are convicted");
        prop_assert!(convicted_at >= death + window_ms, "too early: {convicted_at}");
        prop_assert!(convicted_at <= death + window_ms + 2 * interval, "too late: {convicted_at}");
    }

    #[test]
    fn who_beats_as_it_should_is_not_even_suspect(
        windows in prop::collection::vec(1_200_u64..60_000, 1..6),
        delays in prop::collection::vec(90_u64..=100, 50..51),
    ) {
        let mut observer = Observer::new(incarnation(999), Timing::of(Duration::from_secs(3)));
        let mut next: HashMap<usize, u64> = HashMap::new();
        let mut seqs = vec![0_u64; windows.len()];
        for now in (0..60_000_u64).step_by(200) {
            for (i, window) in windows.iter().enumerate() {
                let due = next.entry(i).or_insert(0);
                if *due <= now {
                    seqs[i] += 1;
                    let delay = delays[usize::try_from(seqs[i]).expect("small") % delays.len()];
                    *due = now + window / 3 * delay / 100;
                }
            }
            let rows: Vec<_> = (0..).zip(&windows).zip(&seqs).map(|((i, window), seq)| {
                let mut row = member(i, *seq);
                row.window = Duration::from_millis(*window);
                row
            }).collect();
            let verdicts = observer.observe(at(now), &rows);
            prop_assert!(verdicts.is_empty(), "{verdicts:?} at {now}");
        }
    }
}
