#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn throttle(scope: &str, cluster: Option<u32>, engine: Option<u32>) -> Throttle {
    Throttle {
        scope: scope.parse().unwrap(),
        limits: Limits { cluster, engine },
    }
}

fn queue(lane: Option<&str>, urgencies: &[i64]) -> Queue {
    Queue {
        lane: lane.map(str::to_owned),
        urgencies: urgencies.to_vec(),
    }
}

#[test]
fn a_minute_of_waiting_is_worth_one_priority() {
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    assert!(urgency(5, at(59)) < urgency(6, at(0)));
    assert!(urgency(5, at(61)) > urgency(6, at(0)));
    assert!(urgency(1, at(5)) < urgency(1, at(6)));
    let last = Timestamp::from_micros(i64::MAX);
    assert!(urgency(i32::MIN, last) < urgency(i32::MAX, last));
}

#[test]
fn a_scope_is_written_as_it_is_shown() {
    for text in ["finance", "finance/nightly-close"] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
    for text in ["", "/", "a/", "/b", "a/b/c", "a b", "ä", &"x".repeat(64)] {
        let error = text.parse::<Scope>().unwrap_err();
        assert!(error.contains("such as `finance`"), "{error}");
    }
}

#[test]
fn the_narrowest_throttle_counts() {
    let mut slots = Slots::new(vec![
        throttle("shop", Some(5), None),
        throttle("shop/order", Some(3), Some(2)),
    ]);
    assert_eq!(slots.free("shop/order"), 2);
    assert_eq!(slots.free("shop/refund"), 5);
    assert_eq!(slots.free("store/order"), u32::MAX);
    slots.occupy("shop/order", false, 2);
    assert_eq!(slots.free("shop/order"), 1);
    assert_eq!(slots.free("shop/refund"), 3);
    slots.occupy("shop/refund", true, 4);
    assert_eq!(slots.free("shop/order"), 0);
}

#[test]
fn the_most_urgent_that_have_a_slot_are_taken() {
    let slots = Slots::new(vec![throttle("shop/order", Some(1), None)]);
    let queues = [
        queue(None, &[10, 30]),
        queue(Some("shop/order"), &[1, 2, 3]),
        queue(Some("shop/refund"), &[20]),
    ];
    assert_eq!(slots.clone().shares(3, &queues), [1, 1, 1]);
    assert_eq!(slots.shares(9, &queues), [2, 1, 1]);
}

proptest! {
    /// Never more than asked for, never more than there is, never more than a throttle lets through;
    /// and nothing is left behind that could have gone.
    #[test]
    fn shares_fill_the_slots_and_no_more(
        limit in 0_u32..12,
        lengths in prop::collection::vec(0_usize..8, 3),
        cluster in prop::option::of(0_u32..6),
        engine in prop::option::of(0_u32..6),
        both in prop::option::of(0_u32..9),
        running in 0_u32..4,
    ) {
        let lanes = [None, Some("shop/order"), Some("shop/refund")];
        let queues: Vec<Queue> = lanes
            .iter()
            .zip(&lengths)
            .map(|(lane, length)| queue(*lane, &(0..*length as i64).collect::<Vec<_>>()))
            .collect();
        let mut slots = Slots::new(vec![
            throttle("shop/order", cluster, engine),
            throttle("shop", both, None),
        ]);
        slots.occupy("shop/order", false, running);
        let shares = slots.clone().shares(limit, &queues);
        let total: u32 = shares.iter().sum();
        prop_assert!(total <= limit);
        let mut after = slots.clone();
        for ((share, queue), length) in shares.iter().zip(&queues).zip(&lengths) {
            prop_assert!(*share as usize <= *length);
            if let Some(lane) = &queue.lane {
                prop_assert!(*share <= slots.free(lane));
                after.occupy(lane, true, *share);
            }
        }
        let in_shop = shares[1] + shares[2] + running;
        prop_assert!(shares[1] + shares[2] == 0 || both.is_none_or(|both| in_shop <= both));
        for ((share, queue), length) in shares.iter().zip(&queues).zip(&lengths) {
            let could = (*share as usize) < *length
                && queue.lane.as_deref().is_none_or(|lane| after.free(lane) > 0);
            prop_assert!(total == limit || !could);
        }
    }
}
