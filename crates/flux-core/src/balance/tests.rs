//! The promises one by one, on small examples.

use std::time::Duration;

use uuid::Uuid;

use super::{Balancer, GRACE, Load, Report, Score, Share};
use crate::clock::BootTime;
use crate::ids::Incarnation;

pub(super) const STALENESS: Duration = Duration::from_secs(3);

pub(super) fn incarnation(number: u128) -> Incarnation {
    Incarnation::new(Uuid::from_u128(number))
}

pub(super) fn at(ms: u64) -> BootTime {
    BootTime::default().plus(Duration::from_millis(ms))
}

pub(super) fn load(running: u32, concurrency: u32) -> Load {
    Load {
        running,
        concurrency,
        score: None,
    }
}

pub(super) fn scored(running: u32, concurrency: u32, available: f64) -> Load {
    let claimed = 0;
    Load {
        score: Some(Score { available, claimed }),
        ..load(running, concurrency)
    }
}

pub(super) fn report(number: u128, load: Load) -> Report {
    Report {
        from: incarnation(number),
        load,
        at: at(0),
    }
}

/// A balancer of each of `loads`, that has heard of all others at 0 ms.
pub(super) fn cluster(loads: &[Load]) -> Vec<Balancer> {
    let reports: Vec<_> = (0..).zip(loads).map(|(i, load)| report(i, *load)).collect();
    let hearing = |i: usize| {
        let mut balancer = Balancer::new(incarnation(i as u128), STALENESS);
        reports.iter().for_each(|report| balancer.hear(*report));
        balancer
    };
    (0..loads.len()).map(hearing).collect()
}

/// What each of `loads` claims at once when all look at the same time.
pub(super) fn shares(loads: &[Load], ready: u32) -> Vec<u32> {
    let balancers = cluster(loads);
    let share = |(mut balancer, load): (Balancer, &Load)| balancer.share(load, ready, at(0)).claim;
    balancers.into_iter().zip(loads).map(share).collect()
}

fn all(claim: u32) -> Share {
    let look_again = None;
    Share { claim, look_again }
}

/// What each of `loads` keeps of `new` branches that are submitted to it.
pub(super) fn parts_of_new(loads: &[Load], new: u32) -> Vec<u32> {
    let balancers = cluster(loads).into_iter().zip(loads);
    let part = |(mut balancer, load): (Balancer, &Load)| balancer.part_of_new(load, new, at(0));
    balancers.map(part).collect()
}

#[test]
fn who_gets_a_submission_keeps_its_part_and_wins_the_ties() {
    let idle = [load(0, 10); 3];
    assert_eq!(parts_of_new(&idle, 1), [1, 1, 1]);
    assert_eq!(parts_of_new(&idle, 10), [4, 4, 4]);
    assert_eq!(parts_of_new(&[load(5, 10), load(0, 10)], 1), [0, 1]);
    assert_eq!(parts_of_new(&[load(5, 10), load(0, 10)], 9), [2, 7]);
    assert_eq!(parts_of_new(&[load(5, 10), load(0, 10)], 10), [3, 8]);
    assert_eq!(parts_of_new(&[load(7, 10)], 9), [3]);
    assert_eq!(parts_of_new(&[load(10, 10), load(0, 3)], 9), [0, 3]);
    let mut balancer = cluster(&idle).remove(0);
    let later = at(0).plus(STALENESS + Duration::from_millis(1));
    assert_eq!(
        balancer.part_of_new(&load(0, 10), 9, later),
        9,
        "nobody counts any more"
    );
}

#[test]
fn counts_even_out_and_the_full_are_passed_over() {
    let loads = [load(0, 10), load(4, 10), load(9, 10), load(2, 2)];
    assert_eq!(shares(&loads, 8), [6, 2, 0, 0]);
    assert_eq!(shares(&loads, 1), [1, 0, 0, 0]);
    assert_eq!(shares(&loads, 100), [10, 6, 1, 0]);
}

#[test]
fn equals_take_turns_in_the_order_of_their_incarnations() {
    assert_eq!(shares(&[load(3, 9); 3], 1), [1, 0, 0]);
    assert_eq!(shares(&[load(3, 9); 3], 5), [2, 2, 1]);
}

#[test]
fn without_a_fresh_report_it_claims_what_it_has_room_for() {
    let mut alone = Balancer::new(incarnation(1), STALENESS);
    assert_eq!(alone.share(&load(3, 10), 20, at(0)), all(7));
    let idle = Report {
        at: at(1),
        ..report(2, load(0, 10))
    };
    alone.hear(idle);
    assert_eq!(alone.share(&load(3, 10), 3, at(3_001)).claim, 0);
    assert_eq!(alone.share(&load(3, 10), 3, at(3_002)), all(3));
    alone.hear(idle);
    alone.forget(incarnation(2));
    assert_eq!(alone.share(&load(3, 10), 3, at(2)), all(3));
}

#[test]
fn what_the_least_loaded_does_not_take_anybody_may_after_a_grace() {
    let loads = [load(0, 10), load(1, 10), load(2, 10)];
    let mut last = cluster(&loads).remove(2);
    let first_look = last.share(&loads[2], 6, at(0));
    let pause = first_look.look_again.expect("some are left");
    assert_eq!(first_look.claim, 1);
    assert!(pause <= GRACE);
    // The others are slow: a third of what is left, then all of it.
    let now = at(0).plus(pause);
    let second = last.share(&load(3, 10), 5, now);
    assert_eq!(second.claim, 2);
    assert_eq!(last.share(&load(5, 10), 3, at(0).plus(GRACE)), all(3));
}

#[test]
fn the_grace_is_longer_the_later_the_turn() {
    let loads: Vec<_> = (0..10).map(|running| load(running, 20)).collect();
    let pauses: Vec<_> = cluster(&loads)
        .iter_mut()
        .zip(&loads)
        .filter_map(|(balancer, load)| balancer.share(load, 1, at(0)).look_again)
        .collect();
    assert_eq!(pauses.len(), 9);
    assert!(pauses.is_sorted() && pauses[0] < pauses[8] && pauses[8] <= GRACE / 2);
}

#[test]
fn what_was_left_and_is_gone_was_taken_by_the_others() {
    let loads = [load(0, 10), load(0, 10)];
    let mut second = cluster(&loads).remove(1);
    assert_eq!(second.share(&loads[1], 1, at(0)).claim, 0);
    assert_eq!(second.share(&loads[1], 0, at(10)), all(0));
    // So it is its turn, though there was no report since.
    assert_eq!(second.share(&loads[1], 1, at(20)), all(1));
    second.hear(Report {
        at: at(25),
        ..report(0, load(0, 10))
    });
    assert_eq!(second.share(&load(1, 10), 1, at(30)).claim, 0);
}

#[test]
fn an_older_report_and_its_own_change_nothing() {
    let mut balancer = Balancer::new(incarnation(1), STALENESS);
    balancer.hear(report(1, load(0, 10)));
    assert_eq!(balancer.share(&load(5, 10), 1, at(0)), all(1));
    balancer.hear(Report {
        at: at(10),
        ..report(2, load(9, 10))
    });
    balancer.hear(report(2, load(0, 10)));
    assert_eq!(balancer.share(&load(5, 10), 1, at(10)), all(1));
}

#[test]
fn work_flows_to_resources_in_proportion_on_any_scale() {
    for scale in [1e-300, 1e-3, 1.0, 1e6, 1e300] {
        let loads = [1.0, 2.0, 5.0].map(|part| scored(0, 100, part * scale));
        assert_eq!(shares(&loads, 1), [0, 0, 1], "{scale}");
        assert_eq!(shares(&loads, 80), [10, 20, 50], "{scale}");
        assert_eq!(shares(&loads, 250), [50, 100, 100], "{scale}");
    }
}

#[test]
fn the_count_claimed_since_the_score_was_measured_costs() {
    let mut rich = scored(30, 100, 10.0);
    rich.score = Some(Score {
        available: 10.0,
        claimed: 20,
    });
    assert_eq!(shares(&[rich, scored(0, 100, 5.0)], 4), [0, 4]);
    // More than it runs have not been claimed, or have ended.
    rich.running = 1;
    assert_eq!(shares(&[rich, scored(0, 100, 5.0)], 4), [3, 1]);
}

#[test]
fn who_has_no_resources_comes_last_but_comes() {
    let loads = [scored(0, 10, 0.0), scored(0, 4, 7.0), scored(0, 10, -3.0)];
    assert_eq!(shares(&loads, 4), [0, 4, 0]);
    assert_eq!(shares(&loads, 7), [2, 4, 1]);
}

#[test]
fn without_a_score_of_each_all_are_counted() {
    for hindrance in [None, Some(f64::NAN), Some(f64::INFINITY)] {
        let claimed = 0;
        let score = hindrance.map(|available| Score { available, claimed });
        let without = Load {
            score,
            ..load(2, 10)
        };
        assert_eq!(
            shares(&[scored(0, 10, 1.0), without, scored(4, 10, 9.0)], 4),
            [3, 1, 0]
        );
    }
}

#[test]
fn a_joining_engine_is_filled_up_to_the_level_and_no_further() {
    let loads = [load(10, 50), load(11, 50), load(0, 50)];
    assert_eq!(shares(&loads, 10), [0, 0, 10]);
    assert_eq!(shares(&loads, 15), [2, 1, 12]);
}

#[test]
fn only_who_should_take_something_is_told() {
    let load = |running| Load {
        running,
        concurrency: 10,
        score: None,
    };
    let engine = |number: u128| Incarnation::new(Uuid::from_u128(number));
    let engines = || (0..5).map(|number| (engine(number), load(10 - number as u32)));
    assert_eq!(super::takers(engines(), 1), [engine(4)]);
    assert_eq!(super::takers(engines(), 3), [engine(3), engine(4)]);
    assert_eq!(super::takers(engines(), 100).len(), 4, "one is full");
    assert!(super::takers([], 5).is_empty());
}
